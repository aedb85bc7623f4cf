"""Signing up takes two steps: an address typed is a request, and only its owner's own click is consent."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.core.ids import ConnectionId, CustomerId, TenantId
from shared.customers import fold
from shared.customers.identity import address_ref
from shared.customers.model import ConsentStatus
from shared.customers.store import MemoryCustomerStore
from shared.delivery.channels.ses import TEXT
from shared.delivery.model import SendState
from shared.delivery.render import TemplateStore
from shared.delivery.sign_up import SignUpDeps, sign_up_http
from shared.ingest.adapter import Connection
from shared.ingest.agreement import agreement_of
from shared.ingest.confirm import ConfirmDeps, ConfirmToken, confirm_http, sign, verify
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import ConsentFacts, EventType
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import events_of
from shared.ingest.store import MemoryEventStore
from tests.unit.delivery.world import KEYS, NOON, TENANT, World, a_shop

KEY = "abcdefghijklmnopqrstuvwxyz"
SITE = Connection(ConnectionId(KEY), TENANT, "track", "www.example.jp", "s" * 64)
HANAKO = "hanako@example.com"


class Desk:
    """Both steps, with everything they keep and send."""

    def __init__(self, templates: TemplateStore) -> None:
        self.world = World(templates)
        self.customers = MemoryCustomerStore(self.world.time)
        self.events = MemoryEventStore(MemoryOversize())
        send = self.world.deps(read_person=self.customers.person)
        self.deps = SignUpDeps(MemoryConnections(SITE), self.customers, self.events, send)

    def ask(self, method: str = "POST", *, key: str = KEY, kind: str = "form", **fields: str) -> dict[str, Any]:
        """A request of the first page."""
        raw = json.dumps({**fields, "writeKey": key}) if kind == "json" else urlencode(fields)
        event = request(
            method, raw.encode(), "application/json" if kind == "json" else "application/x-www-form-urlencoded"
        )
        event["pathParameters"] = {} if kind == "json" else {"key": key}
        return sign_up_http(event, self.deps, self.world.time.now())

    def confirm(self, token: str, method: str = "POST") -> dict[str, Any]:
        """A request of the second page."""
        deps = ConfirmDeps(lambda: KEYS, lambda _tenant: a_shop(), self.events)
        event = request(method) | {"pathParameters": {"token": token}}
        return confirm_http(event, deps, self.world.time.now())

    def link(self) -> str:
        """The token in the last mail."""
        found = re.search(r"/v1/confirm/(\S+)", self.world.ses.accepted[-1].parts[TEXT])
        assert found
        return found[1]

    def token(self) -> str:
        """A token for somebody, without a mail."""
        return sign(ConfirmToken(TENANT, CustomerId("hanako"), SITE.store, self.world.time.now()), KEYS)

    def status(self, address: str = HANAKO) -> ConsentStatus | None:
        """What the owner of the address said, once everything kept is folded."""
        for envelope in self.events.envelopes():
            for event in events_of(envelope):
                fold.apply(event, self.customers, KEYS, a_shop())
        from shared.customers.identity import address_ref

        ref = address_ref(TENANT, address, KEYS)
        customer = self.customers.resolve_ref(TENANT, ref)
        person = self.customers.person(TENANT, customer) if customer else None
        said = {c.store: c.status for c in person.consents} if person else {}
        return said.get(SITE.store)


def request(method: str, raw: bytes = b"", content_type: str = "") -> dict[str, Any]:
    """A request as API Gateway hands it over."""
    return {
        "requestContext": {"http": {"method": method, "sourceIp": "192.0.2.1"}},
        "headers": {"content-type": content_type},
        "body": base64.b64encode(raw).decode(),
        "isBase64Encoded": True,
    }


@pytest.fixture
def desk(compiled: TemplateStore) -> Desk:
    """Nobody has signed up yet."""
    return Desk(compiled)


def test_only_the_owners_click_is_consent(desk: Desk) -> None:
    assert desk.ask("GET")["statusCode"] == 200
    assert desk.ask(email=HANAKO)["statusCode"] == 200
    (mail,) = desk.world.ses.accepted
    assert mail.to == HANAKO
    assert desk.status() is None, "typing an address is no consent"
    assert "同意して登録する" in desk.confirm(desk.link(), "GET")["body"]
    assert desk.status() is None, "a scanner that opens the link is no consent"
    assert "登録が完了しました" in desk.confirm(desk.link())["body"]
    assert desk.status() is ConsentStatus.OPT_IN


def test_what_was_agreed_to_is_kept_as_evidence(desk: Desk) -> None:
    desk.ask(email=HANAKO)
    desk.confirm(desk.link())
    desk.confirm(desk.link())
    events = [event for envelope in desk.events.envelopes() for event in events_of(envelope)]
    assert [event.event_type for event in events] == [EventType.CUSTOMER_UPDATED, EventType.CONSENT_CHANGED]
    said = events[1].facts
    raw = json.loads(desk.events.envelopes()[1].raw)
    assert said == ConsentFacts(
        channel="email",
        granted=True,
        method="double_opt_in",
        wording=agreement_of(a_shop()).digest,
        wording_text=agreement_of(a_shop()).wording,
        form="/v1/subscribe#1",
        network=raw["network"],
        address=address_ref(TENANT, HANAKO, KEYS),
    )
    assert "192.0.2.1" not in json.dumps(raw)
    assert raw["network"]


def test_an_address_gets_one_mail_a_day_however_often_it_is_typed(desk: Desk) -> None:
    for _ in range(5):
        answers = {desk.ask(email=HANAKO)["body"], desk.ask(email="Hanako@EXAMPLE.com".lower())["body"]}
        assert len(answers) == 1
        desk.world.time.pass_(60)
    assert len(desk.world.ses.accepted) == 1
    desk.world.time.pass_(86_400)
    desk.ask(email=HANAKO)
    assert len(desk.world.ses.accepted) == 2


def test_who_is_in_already_gets_no_mail_and_nobody_learns_it(desk: Desk) -> None:
    first = desk.ask(email=HANAKO)
    desk.confirm(desk.link())
    assert desk.status() is ConsentStatus.OPT_IN
    desk.world.time.pass_(3 * 86_400)
    assert desk.ask(email=HANAKO)["body"] == first["body"]
    assert len(desk.world.ses.accepted) == 1


def test_a_program_may_ask_too(desk: Desk) -> None:
    answer = desk.ask(kind="json", email=HANAKO)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"success": True})
    assert len(desk.world.ses.accepted) == 1
    assert desk.ask(kind="json", email="nobody")["statusCode"] == 400


def test_a_program_that_fills_every_field_sends_nothing(desk: Desk) -> None:
    assert desk.ask(email=HANAKO, website="https://example.com")["statusCode"] == 200
    assert desk.world.ses.accepted == []
    assert desk.events.envelopes() == []


@pytest.mark.parametrize("email", ["", "hanako", "@", "a b@example.com", "x" * 400 + "@example.com", '"><script>'])
def test_what_is_no_address_is_asked_again(desk: Desk, email: str) -> None:
    answer = desk.ask(email=email)
    assert answer["statusCode"] == 400
    assert "<script" not in answer["body"]
    assert desk.events.envelopes() == []


@pytest.mark.parametrize("email", [["hanako@example.com"], {"a": "hanako@example.com"}, True])
def test_what_is_not_even_text_is_refused_without_falling_over(desk: Desk, email: Any) -> None:
    assert desk.ask(kind="json", email=email)["statusCode"] == 400
    assert not desk.events.rows


def test_nobody_signs_up_with_a_key_of_nobody(desk: Desk) -> None:
    assert desk.ask(key="zyxwvutsrqponmlkjihgfedcba", email=HANAKO)["statusCode"] == 404


def test_a_link_lives_a_week_and_cannot_be_made(desk: Desk) -> None:
    desk.ask(email=HANAKO)
    token = verify(desk.link(), KEYS)
    assert token is not None
    for other in ("", "x", desk.link()[:-1], sign(replace(token, requested_at=NOON - timedelta(days=8)), KEYS)):
        assert desk.confirm(other)["statusCode"] == 400
    desk.world.time.pass_(8 * 86_400)
    assert desk.confirm(desk.link())["statusCode"] == 400
    assert desk.status() is None
    assert verify(sign(ConfirmToken(TenantId("a"), token.customer_id, "b", NOON), KEYS), KEYS) is not None


def test_the_confirmation_is_in_the_ledger(desk: Desk) -> None:
    desk.ask(email=HANAKO)
    key = desk.world.ses.accepted[0].key
    (row,) = desk.world.ledger.rows(TENANT, key.customer_id)
    assert (row.scenario, row.state) == ("double_opt_in", SendState.SENT)
