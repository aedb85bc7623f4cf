"""What comes of SMS, from the queue: receipts, kept once and used to settle sends whose answer was lost, and replies.

What is neither a reply nor names a send of ours is refused and ends in the dead-letter queue, where a person finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.core.ids import CustomerId, SendId, TenantId
from shared.delivery.feedback import FeedbackDeps
from shared.delivery.model import SendKey
from shared.delivery.replies.receive import ReplyDeps, is_reply, receive_reply
from shared.delivery.store import DOUBTFUL
from shared.ingest import body as read
from shared.ingest.sources import sms


@dataclass(frozen=True, slots=True)
class ReceiptDeps:
    """What both need."""

    feedback: FeedbackDeps
    replies: ReplyDeps


def receive(message: str, deps: ReceiptDeps, now: datetime) -> None:
    """One message of the topic."""
    record = read.parse_object(message.encode())
    if is_reply(record):
        receive_reply(record, deps.replies, now)
    else:
        receive_receipt(message, deps.feedback, now)


def receive_receipt(message: str, deps: FeedbackDeps, now: datetime) -> None:
    """One receipt. Whatever it says of the delivery, AWS took the text: a doubt about that ends here."""
    raw = message.encode()
    deps.events.put_once(sms.envelope_of(raw, now))
    record = read.parse_object(raw)
    tenant, customer, send = sms.send_context(record)
    key = SendKey(TenantId(tenant), CustomerId(customer), SendId(send))
    row = deps.ledger.row(key)
    if row is not None and row.state in DOUBTFUL:
        deps.ledger.settle(key, sms.message_id(record), now)
