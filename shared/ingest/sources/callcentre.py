"""What came of calls (架電結果), posted by the call centre's system as Standard Webhooks.

    {"task_id": "…", "customer_id": "…", "outcome": "reached", "reason": "price", "at": "2026-11-21T12:00:00+09:00"}

`task_id` and `customer_id` are those of the task we sent (channels/call.py); the customer id is ours. Free text is not
taken: what somebody said on the telephone may name anybody. `refused` is a no to further calls.

https://github.com/standard-webhooks/standard-webhooks: `v1,base64(HMAC-SHA256(id.timestamp.body))`, ± 5 minutes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from shared.core.errors import RejectedError
from shared.core.ids import digest, is_digest
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, delivered
from shared.ingest.derive import event
from shared.ingest.model import CallFacts, ConsentFacts, Envelope, Event, EventType, Person
from shared.ingest.signing import is_any, live_secrets

NAME = "callcentre"
TOPIC = "call.recorded"
TOLERANCE_SECONDS = 300
OUTCOMES = frozenset({"reached", "absent", "retained", "cancelled", "refused", "wrong_number"})

_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_WORD = re.compile(r"[\w-]{1,40}")
"""A word of a list; a sentence has spaces or signs."""


class CallCentre:
    """Adapter of call results."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """One of the header's signatures is by a live secret, and the request is of these minutes."""
        message, stamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        if not _ID.fullmatch(message) or not re.fullmatch(r"[0-9]{1,12}", stamp, re.ASCII):
            return False
        if abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
            return False
        expected = [
            _signature(secret, message, stamp, request.body) for secret in live_secrets(connection, now) if _key(secret)
        ]
        given = request.headers.get("webhook-signature", "").split(" ")[:10]
        return any(is_any(each, expected) for each in given)

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """One result."""
        body = read.parse_object(request.body)
        customer = read.required(read.text(body, "customer_id"), "customer_id")
        if not is_digest(customer):
            raise RejectedError("field 'customer_id' must be the one of the task")
        _facts(body)
        at = read.time(body, "at")
        return (
            delivered(
                request,
                connection,
                now,
                about=("customer", customer),
                event_id=digest(NAME, connection.store, request.headers["webhook-id"]),
                topic=TOPIC,
                occurred_at=min(at or now, now),
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """The result, and a no to calls where that is what it says."""
        body = read.parse_object(envelope.raw)
        facts = _facts(body)
        person = Person(source_customer_id=read.required(read.text(body, "customer_id"), "customer_id"))
        result = event(envelope, EventType.CALL_RECORDED, facts, person)
        if facts.outcome != "refused":
            return (result,)
        refusal = ConsentFacts(channel="call", granted=False, method="callcentre:refused")
        return (result, event(envelope, EventType.CONSENT_CHANGED, refusal, person, part="consent"))


ADAPTER = CallCentre()

ABOUT = About(
    title="Call centre (コールセンター)",
    arrives="webhook, or the file `calls`",
    orders="no: not its business",
    customers="our own customer id, as the task named it",
    consent="yes: a refusal ends calls",
    carts="no: not its business",
    signature="Standard Webhooks: HMAC-SHA256 over id, time and raw body, ± 5 minutes",
    dedupe="`webhook-id`",
    limits="an outcome and a reason are words of a list; what was said is not taken",
)


def _facts(body: read.Body) -> CallFacts:
    outcome, reason = read.required(read.text(body, "outcome"), "outcome"), read.text(body, "reason")
    if outcome not in OUTCOMES:
        raise RejectedError(f"field 'outcome' must be one of {', '.join(sorted(OUTCOMES))}")
    if reason is not None and not _WORD.fullmatch(reason):
        raise RejectedError("field 'reason' must be a word of your list, of at most 40 letters without spaces")
    task = read.text(body, "task_id")
    return CallFacts(task_id=task[:100] if task else None, outcome=outcome, reason=reason)


def _signature(secret: str, message: str, stamp: str, body: bytes) -> bytes:
    signed = b".".join((message.encode(), stamp.encode(), body))
    return b"v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest())


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""
