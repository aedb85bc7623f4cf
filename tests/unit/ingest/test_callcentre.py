"""What came of calls: signed as Standard Webhooks, named by our own ids, without anybody's words."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, TenantId, digest
from shared.delivery.endpoints import new_secret
from shared.delivery.outbound import signed_headers
from shared.ingest.adapter import Connection, Request
from shared.ingest.connections import rotated
from shared.ingest.model import CallFacts, ConsentFacts
from shared.ingest.sources.callcentre import ADAPTER, OUTCOMES

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
SECRET = new_secret()
CENTRE = Connection(ConnectionId("c"), TenantId("mihon"), "callcentre", "callcentre.example.jp", SECRET)
CUSTOMER = digest("hanako")
RESULT = {"task_id": "t1", "customer_id": CUSTOMER, "outcome": "retained", "reason": "price"}


def a_request(secret: str = SECRET, at: datetime = NOW, **changed: Any) -> Request:
    body = json.dumps({**RESULT, **changed}).encode()
    return Request(signed_headers("msg_1", body, secret, at), body)


def test_a_result_is_kept_once_under_the_messages_id_and_names_our_customer() -> None:
    request = a_request(at_=None)
    assert ADAPTER.verify(request, CENTRE, NOW)
    (envelope,) = ADAPTER.envelopes(request, CENTRE, NOW)
    assert [envelope] == list(ADAPTER.envelopes(request, CENTRE, NOW))
    (event,) = ADAPTER.events(envelope)
    assert event.facts == CallFacts(task_id="t1", outcome="retained", reason="price")
    assert event.person.source_customer_id == CUSTOMER


def test_a_refusal_ends_calls() -> None:
    (envelope,) = ADAPTER.envelopes(a_request(outcome="refused"), CENTRE, NOW)
    call, consent = ADAPTER.events(envelope)
    assert isinstance(call.facts, CallFacts)
    assert isinstance(consent.facts, ConsentFacts)
    assert (consent.facts.channel, consent.facts.granted) == ("call", False)


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24 * 400])
def test_an_old_or_early_request_is_not_believed(minutes: int) -> None:
    assert not ADAPTER.verify(a_request(at=NOW + timedelta(minutes=minutes)), CENTRE, NOW)


def test_only_a_live_secret_over_these_very_bytes_counts() -> None:
    good = a_request()
    assert not ADAPTER.verify(a_request(new_secret()), CENTRE, NOW)
    assert not ADAPTER.verify(Request(good.headers, good.body + b" "), CENTRE, NOW)
    assert not ADAPTER.verify(Request({**good.headers, "webhook-id": "msg_2"}, good.body), CENTRE, NOW)
    for missing in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        left = {name: value for name, value in good.headers.items() if name != missing}
        assert not ADAPTER.verify(Request(left, good.body), CENTRE, NOW)
    two = {**good.headers, "webhook-signature": f"v1,AAAA {good.headers['webhook-signature']}"}
    assert ADAPTER.verify(Request(two, good.body), CENTRE, NOW), "a list of signatures is a rotation"
    changed = rotated(CENTRE, NOW, new_secret())
    assert ADAPTER.verify(good, changed, NOW + timedelta(minutes=1))
    assert not ADAPTER.verify(good, Connection(ConnectionId("c"), CENTRE.tenant, "callcentre", "x", ""), NOW)


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": "talked for an hour"},
        {"outcome": None},
        {"reason": "高いと言っていた。 03-0000-0000"},
        {"customer_id": "1"},
        {"customer_id": None},
    ],
)
def test_what_is_no_result_is_refused_with_the_field_named(changed: dict[str, Any]) -> None:
    with pytest.raises(RejectedError, match="field"):
        ADAPTER.envelopes(a_request(**changed), CENTRE, NOW)


def test_outcomes_are_those_of_the_file() -> None:
    from shared.ingest.files.kinds.call_results import _OUTCOMES

    assert set(_OUTCOMES.values()) == OUTCOMES
