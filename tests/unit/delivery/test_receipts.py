"""SMS receipts: kept once without a telephone number, and a send in doubt is in doubt no longer."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from functions.delivery import receive_receipt as function
from shared.core.errors import RejectedError
from shared.delivery.feedback import FeedbackDeps
from shared.delivery.model import Outcome, Reason, SendKey, SendState
from shared.delivery.receipts import receive_receipt
from shared.delivery.store import Attempt, MemoryLedgerStore
from shared.ingest.model import EventType, MessageFacts
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import events_of
from shared.ingest.sources.sms import MEANING, envelope_of
from shared.ingest.store import MemoryEventStore
from tests.unit.delivery.test_replies import Phones
from tests.unit.delivery.world import NOON, a_request

PHONE = "+818000000001"


def a_receipt(key: SendKey, kind: str = "TEXT_DELIVERED", **changed: Any) -> str:
    """As AWS documents it (End User Messaging SMS user guide, event types)."""
    record = {
        "eventType": kind,
        "eventVersion": "1.0",
        "eventTimestamp": int(NOON.timestamp() * 1000),
        "isFinal": True,
        "originationPhoneNumber": "+810000000000",
        "destinationPhoneNumber": PHONE,
        "isoCountryCode": "JP",
        "messageId": "aws-message-1",
        "messageStatus": kind.removeprefix("TEXT_"),
        "context": {"tenant": key.tenant, "customer": key.customer_id, "send_id": key.send_id},
        "totalMessageParts": 1,
        "totalMessagePrice": 0.07,
        "totalCarrierFee": 0.0,
    }
    return json.dumps({**record, **changed})


def deps() -> FeedbackDeps:
    return FeedbackDeps(MemoryEventStore(MemoryOversize()), MemoryLedgerStore())


def in_doubt(ports: FeedbackDeps) -> SendKey:
    request, attempt = a_request(channel="sms"), Attempt("dead", NOON)
    ports.ledger.reserve(request, attempt, NOON)
    ports.ledger.mark(request.key, attempt, NOON)
    ports.ledger.record(request.key, Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS), attempt, NOON)
    return request.key


def test_a_receipt_settles_a_send_in_doubt_and_is_kept_once() -> None:
    ports = deps()
    key = in_doubt(ports)
    for _ in range(3):
        receive_receipt(a_receipt(key), ports, NOON + timedelta(seconds=9))
    row = ports.ledger.row(key)
    assert row is not None
    assert (row.state, row.message_id) == (SendState.SENT, "aws-message-1")
    assert isinstance(ports.events, MemoryEventStore)
    (envelope,) = ports.events.envelopes()
    assert PHONE.encode() not in envelope.raw
    (event,) = events_of(envelope)
    assert event.event_type is EventType.MESSAGE_DELIVERED
    assert isinstance(event.facts, MessageFacts)
    assert (event.facts.channel, event.facts.send_id) == ("sms", key.send_id)


@pytest.mark.parametrize("kind", [*MEANING, "TEXT_SOMETHING_NEW"])
def test_every_kind_is_kept_and_a_new_one_is_not_acted_on(kind: str) -> None:
    envelope = envelope_of(a_receipt(a_request().key, kind).encode(), NOON)
    (event,) = events_of(envelope)
    assert event.event_type is MEANING.get(kind, EventType.UNKNOWN)
    if isinstance(event.facts, MessageFacts):
        assert event.facts.permanent == (kind == "TEXT_INVALID")


def test_seconds_and_milliseconds_are_both_understood() -> None:
    key = a_request().key
    milliseconds = envelope_of(a_receipt(key).encode(), NOON)
    seconds = envelope_of(a_receipt(key, eventTimestamp=int(NOON.timestamp())).encode(), NOON)
    assert milliseconds.occurred_at == seconds.occurred_at == NOON


@pytest.mark.parametrize("wrong", [{"context": {}}, {"context": None}, {"eventVersion": "3.1"}, {"eventType": None}])
def test_what_is_not_ours_comes_back_to_the_queue(wrong: dict[str, Any]) -> None:
    body = a_receipt(a_request().key, **wrong)
    with pytest.raises(RejectedError):
        receive_receipt(body, deps(), NOON)
    record = {"messageId": "m1", "body": body, "eventSource": "aws:sqs"}
    answer = function.handler({"Records": [record]}, None, Phones(feedback=deps()).deps)
    assert answer["batchItemFailures"] == [{"itemIdentifier": "m1"}]
