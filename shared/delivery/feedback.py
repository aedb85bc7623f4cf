"""What SES reports about our sends: kept as events once, and used to settle sends whose answer was lost.

A record that names no send of ours is refused; its queue message then ends in the dead-letter queue, where a person
finds it. Nothing is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, SendId, TenantId
from shared.delivery.breaker import Breaker
from shared.delivery.model import SendKey
from shared.delivery.store import DOUBTFUL, LedgerStore
from shared.ingest import body as read
from shared.ingest.sources import ses
from shared.ingest.store import EventStore

SETTLING = frozenset({"Send", "Delivery", "Bounce", "Complaint"})
"""Of the records that prove acceptance, those that every mail has soon: opens and clicks need not be looked up."""


REACTIONS = {"Open": "opened", "Click": "clicked"}
"""What people do with a mail, and scenarios ask about; a machine's opening or click is an event and nothing more."""


@dataclass(frozen=True, slots=True)
class FeedbackDeps:
    """What receiving feedback needs."""

    events: EventStore
    ledger: LedgerStore
    breaker: Breaker | None = None
    """Counts what comes back, per shop."""


def receive(message: str, deps: FeedbackDeps, now: datetime) -> None:
    """One EventBridge event from the queue. Raises RejectedError when it is not feedback of a send of ours."""
    record = _detail(message)
    new = deps.events.put_once(ses.envelope_of(ses.trimmed(record), now))
    if new and deps.breaker is not None:
        deps.breaker.note(record, now)
    kind = ses.kind_of(record)
    if kind in SETTLING:
        settle(record, deps.ledger, now)
    elif kind in REACTIONS and not ses.by_machine(record):
        deps.ledger.react(_key(record), REACTIONS[kind], now)


def settle(record: read.Body, ledger: LedgerStore, now: datetime) -> bool:
    """SES has the mail, whatever became of its answer. True if the ledger did not know that yet."""
    key = _key(record)
    # A read first: nine of ten sends are settled already, and a refused write costs as much as a made one.
    row = ledger.row(key)
    return row is not None and row.state in DOUBTFUL and ledger.settle(key, ses.message_id(record), now)


def _key(record: read.Body) -> SendKey:
    tenant, customer, send = ses.send_tags(record)
    return SendKey(TenantId(tenant), CustomerId(customer), SendId(send))


def _detail(message: str) -> read.Body:
    detail = read.inner(read.parse_object(message.encode()), "detail")
    if detail is None:
        raise RejectedError("the message has no 'detail': not an event of EventBridge")
    return detail
