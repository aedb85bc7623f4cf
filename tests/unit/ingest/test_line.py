"""LINE: several people in one body, nobody's words, and the customer behind a nonce."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, EventId, TenantId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.customers.model import ConsentStatus
from shared.customers.reference import fold_all
from shared.ingest.adapter import Connection, Request
from shared.ingest.derive import event as an_event
from shared.ingest.model import ConsentFacts, Envelope, Event, EventType, Person, ProfileFacts
from shared.ingest.sources.line import ADAPTER, link_key

SAMPLES = Path(__file__).parents[2] / "samples" / "line"
BOT = "u000000000000000000000000000000b7"
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CONNECTION = Connection(ConnectionId("c"), TenantId("mihon"), "line", BOT, "secret")
KEYS = derive_key_ring("a master key that exists in tests only")


def one(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())["events"][0]
    return found


def envelopes(*events: dict[str, Any], destination: str = BOT.upper()) -> list[Envelope]:
    body = json.dumps({"destination": destination, "events": events}, ensure_ascii=False).encode()
    return list(ADAPTER.envelopes(Request({}, body), CONNECTION, NOW))


def read(*events: dict[str, Any]) -> list[Event]:
    return [event for envelope in envelopes(*events) for event in ADAPTER.events(envelope)]


def test_one_body_tells_of_several_people_and_each_is_kept_by_itself() -> None:
    kept = envelopes(one("follow"), one("message"), one("unfollow"))
    assert len({(e.subject, e.event_id) for e in kept}) == 3
    assert [e.topic for e in kept] == ["follow", "message", "unfollow"]


def test_the_verify_button_sends_nothing_to_keep() -> None:
    assert envelopes() == []


def test_another_bots_request_is_refused() -> None:
    with pytest.raises(RejectedError, match="destination"):
        envelopes(one("follow"), destination="U" + "0" * 32)


def test_a_body_of_before_the_destination_is_believed_by_its_signature() -> None:
    body = json.dumps({"events": [one("follow")]}).encode()
    assert len(ADAPTER.envelopes(Request({}, body), CONNECTION, NOW)) == 1


@pytest.mark.parametrize("text", ["ＳＴＯＰ", " 配信停止。", "Unsubscribe"])
def test_a_stop_word_counts_however_it_is_typed(text: str) -> None:
    said = one("message")
    (event,) = read({**said, "message": {**said["message"], "text": text}})
    assert isinstance(event.facts, ConsentFacts)


@pytest.mark.parametrize("kind", ["videoPlayComplete", "botSuspended", "message_edited", "pnp.delivery2"])
def test_a_type_of_tomorrow_does_not_lose_its_neighbours(kind: str) -> None:
    events = read({**one("follow"), "type": kind}, one("unfollow"))
    assert [event.event_type for event in events] == [EventType.UNKNOWN, EventType.CONSENT_CHANGED]


@pytest.mark.parametrize("source", [{"type": "group", "groupId": "C1", "userId": "U" + "1" * 32}, {"type": "room"}])
def test_who_writes_in_a_group_is_nobody_of_the_shops(source: dict[str, Any]) -> None:
    assert [event.event_type for event in read({**one("message@stop"), "source": source})] == [EventType.UNKNOWN]


@pytest.mark.parametrize(
    ("name", "granted", "method"),
    [
        ("follow", True, "line:follow"),
        ("follow@unblocked", True, "line:unblocked"),
        ("unfollow", False, "line:unfollow"),
        ("message@stop", False, "line:keyword"),
    ],
)
def test_following_is_consent_and_blocking_its_end(name: str, granted: bool, method: str) -> None:
    (event,) = read(one(name))
    assert isinstance(event.facts, ConsentFacts)
    assert (event.facts.channel, event.facts.granted, event.facts.method) == ("line", granted, method)
    assert event.person.line_user_id


def test_a_redelivery_is_the_same_event() -> None:
    again = {**one("follow"), "deliveryContext": {"isRedelivery": True}}
    assert envelopes(one("follow")) == envelopes(again)


def test_what_people_write_is_never_kept() -> None:
    secret = "わたしは見本花子、電話は050-0000-0000です"
    said = one("message")
    (kept,) = envelopes({**said, "message": {**said["message"], "text": secret}, "postback": {"data": secret}})
    assert secret not in kept.raw.decode()
    assert "replyToken" not in kept.raw.decode()


@pytest.mark.parametrize("name", ["unsend", "membership", "accountLink@failed"])
def test_what_names_nobody_or_is_new_passes_unread(name: str) -> None:
    assert [event.event_type for event in read(one(name))] == [EventType.UNKNOWN]


def test_an_account_link_makes_the_line_user_the_customer_whose_page_gave_the_nonce() -> None:
    offered = an_event(
        replace(envelopes(one("follow"))[0], event_id=EventId("offer"), topic="link_offered"),
        EventType.CUSTOMER_UPDATED,
        ProfileFacts(),
        Person(email="hanako@example.com", anonymous_ids=(link_key("nonce-of-a-page-0001"),)),
    )
    user = one("accountLink")["source"]
    events = [*read({**one("follow"), "source": user}, one("accountLink")), offered]
    shop = Shop(TenantId("mihon"), "見本商店")
    for order in (events, events[::-1]):
        (person,) = fold_all(order, KEYS, shop).values()
        assert person.profile.email == "hanako@example.com"
        assert person.profile.line_user_id == user["userId"]
        assert [(c.channel, c.status) for c in person.consents] == [("line", ConsentStatus.OPT_IN)]
