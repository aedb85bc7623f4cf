"""Following a link: people and programs are led on alike, and told apart; nothing leads anywhere it was not sent to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.delivery import follow_link as function
from shared.analytics.event_rows import rows_of_event
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.pages import Page
from shared.delivery.links.clicks import ClickDeps, answer_http, follow
from shared.delivery.links.link import Link, code_of
from shared.delivery.links.store import Followed, MemoryLinks
from shared.delivery.model import Outcome, Reason, SendRequest, SendState
from shared.delivery.render import ROOT, TemplateStore
from shared.delivery.store import Attempt, MemoryLedgerStore
from shared.ingest.model import MessageFacts
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import events_of
from shared.ingest.store import MemoryEventStore
from tests.unit.delivery.world import KEYS, NOON, TENANT, a_request, a_shop

URL = "https://shop.example.jp/recover?key=secret"
PHONE = {
    "user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari"
}
LATER = NOON + timedelta(minutes=5)


@dataclass
class Road:
    """One message on LINE that was sent at noon, and its link."""

    request: SendRequest = field(default_factory=lambda: a_request(channel="line"))

    def __post_init__(self) -> None:
        self.links, self.ledger, self.events = MemoryLinks(), MemoryLedgerStore(), MemoryEventStore(MemoryOversize())
        self.deps = ClickDeps(lambda: KEYS, self.links, self.ledger, self.events, TemplateStore(ROOT))
        attempt = Attempt("me", NOON)
        self.ledger.reserve(self.request, attempt, NOON)
        self.ledger.mark(self.request.key, attempt, NOON)
        self.ledger.record(self.request.key, Outcome(SendState.SENT, Reason.NONE, "line-1"), attempt, NOON)
        link = Link(code_of(self.request.key, URL, KEYS), URL, 2)
        self.followed = Followed(self.request.key, "line", self.request.scenario, self.request.step, link)
        self.links.keep([self.followed])

    @property
    def token(self) -> str:
        return f"{TENANT}.{self.followed.link.code}"

    def get(self, method: str = "GET", at: datetime = LATER, **headers: str) -> Page:
        return follow(self.token, method, PHONE | headers, self.deps, at)

    def facts(self) -> list[MessageFacts]:
        found = [event.facts for each in self.events.envelopes() for event in events_of(each)]
        return [facts for facts in found if isinstance(facts, MessageFacts)]

    def reactions(self) -> frozenset[str]:
        row = self.ledger.row(self.request.key)
        assert row
        return row.reactions


@pytest.fixture
def road() -> Road:
    return Road()


def test_a_click_leads_on_and_is_known_of_the_message(road: Road) -> None:
    answer = road.get()
    assert (answer.status, answer.headers["location"], answer.html) == (302, URL, "")
    assert answer.headers["cache-control"] == "no-store"
    (facts,) = road.facts()
    assert facts == MessageFacts(
        send_id=road.request.send_id,
        customer_id="hanako",
        channel="line",
        message_id="line-1",
        link="https://shop.example.jp#2",
        machine=False,
        scenario="cart_abandoned",
        step="first",
    )
    assert road.reactions() == {"clicked"}
    (event,) = (event for each in road.events.envelopes() for event in events_of(each))
    rows = {table.name: row for table, row in rows_of_event(event, (), a_shop())}
    said = rows["messages"]
    assert (said["event"], said["channel"], said["machine"], said["step"]) == ("clicked", "line", False, "first")
    assert URL not in str(rows), "a cart's link is its buyer's secret"


@pytest.mark.parametrize(
    ("method", "at", "headers"),
    [
        ("HEAD", LATER, {}),
        ("GET", LATER, {"sec-purpose": "prefetch;prerender"}),
        ("GET", LATER, {"x-moz": "prefetch"}),
        ("GET", LATER, {"user-agent": "facebookexternalhit/1.1;line-poker/1.0"}),
        ("GET", LATER, {"user-agent": "python-requests/2.32"}),
        ("GET", LATER, {"user-agent": ""}),
        ("GET", NOON + timedelta(seconds=1), {}),
    ],
    ids=["head", "prefetch", "firefox prefetch", "preview of a chat", "program", "nobody", "too quick"],
)
def test_a_program_is_led_on_and_decides_nothing(
    road: Road, method: str, at: datetime, headers: dict[str, str]
) -> None:
    assert road.get(method, at, **headers).headers["location"] == URL
    assert [facts.machine for facts in road.facts()] == [True]
    assert road.reactions() == frozenset()


def test_a_thousand_looks_of_a_scanner_are_an_event_a_minute_and_no_reaction(road: Road) -> None:
    for number in range(1000):
        road.get("HEAD", LATER + timedelta(seconds=number * 0.06))
    assert len(road.events.rows) == 1
    assert road.reactions() == frozenset()


def test_a_person_after_a_scanner_counts(road: Road) -> None:
    road.get("HEAD")
    road.get()
    assert sorted(facts.machine for facts in road.facts()) == [False, True]
    assert road.reactions() == {"clicked"}


@pytest.mark.parametrize(
    "token", ["", "mihon", "mihon.aaaaaaaaaaaa", "yoso.{code}", "https://evil.example.com", "mihon.{code}x"]
)
def test_nothing_leads_anywhere_that_was_not_sent(road: Road, token: str) -> None:
    answer = follow(token.format(code=road.followed.link.code), "GET", PHONE, road.deps, LATER)
    assert answer.status == 404
    assert "location" not in answer.headers
    assert "リンクを確認できませんでした" in answer.html
    assert not road.events.rows


@pytest.mark.parametrize(
    "change",
    [
        {"key": a_request(channel="line", customer=CustomerId("taro")).key},
        {"key": replace(a_request().key, send_id=SendId("another"))},
        {"link": Link("", "https://evil.example.com/", 2)},
        {"link": Link("", "javascript:alert(1)", 2)},
    ],
)
def test_a_row_that_was_tampered_with_leads_nowhere(road: Road, change: dict[str, Any]) -> None:
    if "link" in change:
        change = {"link": replace(change["link"], code=road.followed.link.code)}
    road.links.rows[TENANT, road.followed.link.code] = replace(road.followed, **change)
    assert road.get().status == 404


def test_a_link_of_another_shop_is_not_found(road: Road) -> None:
    assert road.links.find(TenantId("yoso"), road.followed.link.code) is None


def test_a_click_that_cannot_be_noted_is_led_on(road: Road) -> None:
    class Busy(MemoryEventStore):
        def put_once(self, envelope: Any) -> bool:
            raise UnavailableError("busy")

    road.deps = replace(road.deps, events=Busy(MemoryOversize()))
    assert road.get().headers["location"] == URL


def test_what_cannot_be_looked_up_now_is_said_in_words(road: Road) -> None:
    class Busy(MemoryLinks):
        def find(self, tenant: TenantId, code: str) -> Followed | None:
            raise UnavailableError("busy")

    road.deps = replace(road.deps, links=Busy())
    answer = road.get()
    assert answer.status == 503
    assert "もう一度" in answer.html


def test_the_function_answers_api_gateway(road: Road) -> None:
    event = {
        "requestContext": {"http": {"method": "GET"}},
        "pathParameters": {"token": road.token},
        "headers": {"User-Agent": PHONE["user-agent"]},
    }
    got = function.handler(event, None, road.deps)
    assert (got["statusCode"], got["headers"]["location"], got["body"]) == (302, URL, "")
    head = answer_http(event | {"requestContext": {"http": {"method": "HEAD"}}, "pathParameters": {}}, road.deps, NOON)
    assert (head["statusCode"], head["body"]) == (404, "")
