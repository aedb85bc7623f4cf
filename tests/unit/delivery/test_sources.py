"""SES's records and our own pages, read into our events."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, CustomerId, TenantId
from shared.ingest.adapter import Connection, Request
from shared.ingest.codec import facts_json
from shared.ingest.model import ConsentFacts, Event, EventType, MessageFacts
from shared.ingest.registry import adapter, events_of, sources
from shared.ingest.sources import ses
from shared.ingest.sources.page import unsubscribe_envelope

SAMPLES = Path(__file__).parents[2] / "samples" / "ses"
NOW = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
PERSONAL = ("hanako", "@", "user unknown", "secret", "192.0.2")


def sample(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return document


def read(record: dict[str, Any]) -> Event:
    (event,) = events_of(ses.envelope_of(json.dumps(record).encode(), NOW))
    return event


def facts(event: Event) -> MessageFacts:
    assert isinstance(event.facts, MessageFacts)
    return event.facts


@pytest.mark.parametrize(
    ("name", "event_type", "permanent", "reason"),
    [
        ("send", EventType.MESSAGE_SENT, False, ""),
        ("delivery", EventType.MESSAGE_DELIVERED, False, ""),
        ("bounce@permanent", EventType.MESSAGE_BOUNCED, True, "bounce:General"),
        ("bounce@mailbox-full", EventType.MESSAGE_BOUNCED, False, "bounce:MailboxFull"),
        ("bounce@on-account-suppression-list", EventType.MESSAGE_BOUNCED, True, "bounce:OnAccountSuppressionList"),
        ("complaint", EventType.MESSAGE_COMPLAINED, True, "complaint:abuse"),
        ("complaint@without-recipients", EventType.MESSAGE_COMPLAINED, True, "complaint:unknown"),
        ("reject", EventType.MESSAGE_REJECTED, False, "reject:Bad_content"),
        ("rendering_failure", EventType.MESSAGE_REJECTED, False, "reject:rendering"),
        ("open", EventType.MESSAGE_OPENED, False, ""),
        ("click", EventType.MESSAGE_CLICKED, False, ""),
    ],
)
def test_what_each_record_means(name: str, event_type: EventType, permanent: bool, reason: str) -> None:
    event = read(sample(name))
    said = facts(event)
    assert (event.event_type, said.permanent, said.reason) == (event_type, permanent, reason)
    assert (said.customer_id, said.send_id) == ("c0000000000000000000000001", "s0000000000000000000000000000001")
    assert event.person.email == "hanako.mihon@example.com"


@pytest.mark.parametrize("name", ["complaint@not-spam", "delivery_delay", "subscription"])
def test_what_is_kept_and_not_acted_on(name: str) -> None:
    assert read(sample(name)).event_type is EventType.UNKNOWN


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.json")), ids=lambda file: file.stem)
def test_no_fact_holds_an_address_a_servers_words_or_a_secret(file: Path) -> None:
    event = read(json.loads(file.read_text("utf-8")))
    written = facts_json(event.facts) + event.subject + event.event_id
    assert not [word for word in PERSONAL if word in written]


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("open", False),
        ("open@gmail-proxy", True),
        ("open@apple-proxy", True),
        ("click", False),
        ("click@scanner", True),
    ],
)
def test_who_opened_or_clicked(name: str, machine: bool) -> None:
    assert facts(read(sample(name))).machine is machine


def test_a_click_says_which_site_and_nothing_of_the_buyers_secret_link() -> None:
    assert facts(read(sample("click"))).link == "https://shop.example.jp"


def test_an_old_docomo_address_is_read_back_as_it_was_written() -> None:
    assert read(sample("bounce@old-docomo-address")).person.email == "hanako..m.@docomo.ne.jp"


def test_the_same_record_is_one_event_and_another_is_another() -> None:
    ids = [read(json.loads(file.read_text("utf-8"))).event_id for file in sorted(SAMPLES.glob("*.json"))]
    again = [read(json.loads(file.read_text("utf-8"))).event_id for file in sorted(SAMPLES.glob("*.json"))]
    assert ids == again
    assert len(set(ids)) == len(ids)


def test_two_clicks_of_one_mail_are_two_events() -> None:
    first, second = sample("click"), sample("click")
    second["click"]["link"] = "https://shop.example.jp/other"
    assert read(first).event_id != read(second).event_id


@pytest.mark.parametrize("file", sorted(SAMPLES.glob("*.json")), ids=lambda file: file.stem)
def test_a_trimmed_record_says_the_same_in_half_the_bytes(file: Path) -> None:
    """What we wrote into the mail ourselves comes back with each of its records: headers, subject, SES's own tags."""
    record = sample(file.stem)
    record["mail"]["headers"] = [{"name": "List-Unsubscribe", "value": "https://shop.example.jp/" + "x" * 400}]
    record["mail"]["tags"]["ses:caller-identity"] = ["matakite"]
    kept = ses.trimmed(record)
    assert len(kept) < len(json.dumps(record)) / 2
    assert b"List-Unsubscribe" not in kept
    assert b"ses:" not in kept
    assert read(json.loads(kept)) == read(record)


def test_a_record_happened_when_it_says_not_when_it_came() -> None:
    assert read(sample("bounce@permanent")).occurred_at == datetime(2026, 11, 2, 1, 20, 5, tzinfo=UTC)
    assert read(sample("send")).occurred_at == datetime(2026, 11, 2, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize("spoil", ["tags", "mail", "eventType", "tenant", "send_id", "customer"])
def test_a_record_that_names_no_send_of_ours_is_refused(spoil: str) -> None:
    record = sample("delivery")
    if spoil in record:
        del record[spoil]
    elif spoil in record["mail"]:
        del record["mail"][spoil]
    else:
        del record["mail"]["tags"][spoil]
    with pytest.raises(RejectedError):
        read(record)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"eventType":1}', b'{"mail":{"tags":[]},"eventType":"Send"}']
)
def test_what_is_no_record_at_all_is_refused(body: bytes) -> None:
    with pytest.raises(RejectedError):
        ses.envelope_of(body, NOW)


@pytest.mark.parametrize("source", ["ses", "page"])
def test_nobody_can_post_our_own_sources_to_a_webhook(source: str) -> None:
    assert source in sources()
    connection = Connection(ConnectionId("guessed"), TenantId("mihon"), source, "store", "secret")
    request = Request({}, b"{}")
    assert adapter(source).verify(request, connection, NOW) is False
    with pytest.raises(RejectedError):
        adapter(source).envelopes(request, connection, NOW)


def test_an_unsubscribe_is_an_opt_out_by_the_customer_of_one_store() -> None:
    envelope = unsubscribe_envelope(TenantId("mihon"), CustomerId("c1"), "email", "a.example", "s1", "page", NOW)
    (event,) = events_of(envelope)
    assert isinstance(event.facts, ConsentFacts)
    assert (event.facts.granted, event.facts.by_customer, event.facts.method) == (False, True, "page")
    assert (event.store, event.person.source_customer_id, event.occurred_at) == ("a.example", "c1", NOW)


def test_saying_it_again_later_is_another_event() -> None:
    def said(at: datetime) -> str:
        return unsubscribe_envelope(TenantId("mihon"), CustomerId("c1"), "email", "a", "s1", "page", at).event_id

    assert said(NOW) == said(NOW)
    assert said(NOW) != said(NOW + timedelta(microseconds=1))
