"""The way out: GET shows, POST acts, and the opt-out is committed when it is confirmed."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from functions.delivery import unsubscribe as function
from shared.core.clock import FixedClock
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, EventId, SendId
from shared.core.pages import HEADERS, Page
from shared.customers import fold
from shared.customers.model import ConsentStatus
from shared.customers.store import MemoryCustomerStore
from shared.delivery.lint import UNSUBSCRIBE_URL
from shared.delivery.render import ROOT, TemplateStore
from shared.delivery.tokens import UnsubscribeToken, sign
from shared.delivery.unsubscribe import Submission, UnsubscribeDeps, act, answer_http, show
from shared.ingest.model import ConsentFacts, Event, EventType, Person
from shared.ingest.oversize import MemoryOversize
from shared.ingest.store import MemoryEventStore
from tests.unit.delivery.world import KEYS, NOON, STORE, TENANT, a_shop

FORM = "application/x-www-form-urlencoded"
ONE_CLICK = Submission(FORM, b"List-Unsubscribe=One-Click")
MULTIPART = Submission(
    "multipart/form-data; boundary=xyz",
    b'--xyz\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--xyz--\r\n',
)
BUTTON = Submission(FORM, b"List-Unsubscribe=One-Click&said=page")


@dataclass
class Site:
    """One customer who opted in, and the page."""

    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON))

    def __post_init__(self) -> None:
        self.customers = MemoryCustomerStore(self.clock)
        self.events = MemoryEventStore(MemoryOversize())
        self.deps = UnsubscribeDeps(
            keys=lambda: KEYS,
            read_shop=lambda tenant: a_shop(),
            customers=self.customers,
            events=self.events,
            pages=TemplateStore(ROOT),
        )
        self.customer = self.says(granted=True, at=NOON - timedelta(days=900))
        self.link = sign(UnsubscribeToken(TENANT, self.customer, SendId("s1"), "email", STORE), KEYS)

    def says(
        self, *, granted: bool, at: datetime, store: str = STORE, channel: Any = "email", **more: Any
    ) -> CustomerId:
        event = Event(
            tenant=TENANT,
            event_id=EventId(f"consent-{store}-{at.isoformat()}-{len(more)}"),
            event_type=EventType.CONSENT_CHANGED,
            source="shopify",
            store=store,
            subject="shopify/store/customer/1",
            occurred_at=at,
            received_at=at,
            version=at.isoformat(),
            person=Person(source_customer_id="1", email="hanako@example.com", **more),
            facts=ConsentFacts(channel=channel, granted=granted, method="test"),
        )
        known = fold.apply(event, self.customers, KEYS, a_shop()).customer_id
        assert known is not None
        return known

    def follows_on_line(self) -> str:
        """LINE's yes is one to the account: the store of that consent, which is none of a cart's."""
        bot = "u0123456789abcdef0123456789abcdef"
        self.says(granted=True, at=NOON - timedelta(days=5), store=bot, channel="line", line_user_id="U" + "1" * 32)
        return bot

    def status(self) -> ConsentStatus:
        person = self.customers.person(TENANT, self.customer)
        assert person is not None
        (status,) = {consent.status for consent in person.consents}
        return status

    def post(self, submission: Submission = ONE_CLICK, at: datetime = NOON) -> Page:
        return act(self.link, submission, self.deps, at)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize("submission", [ONE_CLICK, MULTIPART, BUTTON], ids=["one_click", "multipart", "button"])
def test_a_post_opts_out_before_it_is_answered(site: Site, submission: Submission) -> None:
    answer = site.post(submission)
    assert answer.status == 200
    assert "配信を停止しました" in answer.html
    assert site.status() is ConsentStatus.OPT_OUT
    assert [envelope.topic for envelope in site.events.envelopes()] == ["unsubscribe"]


def test_no_number_of_gets_changes_anything(site: Site) -> None:
    for _ in range(1000):
        assert show(site.link, site.deps).status == 200
    assert site.status() is ConsentStatus.OPT_IN
    assert not site.events.rows


def test_posting_five_times_is_the_same_as_once(site: Site) -> None:
    answers = [site.post(at=NOON + timedelta(seconds=n)) for n in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert len(site.events.rows) == 1


def test_opting_in_again_and_out_again_works(site: Site) -> None:
    site.post()
    site.says(granted=True, at=NOON + timedelta(days=1))
    assert site.status() is ConsentStatus.OPT_IN
    site.post(at=NOON + timedelta(days=2))
    assert site.status() is ConsentStatus.OPT_OUT
    assert len(site.events.rows) == 2


def test_what_was_kept_and_what_was_applied_are_the_same(site: Site) -> None:
    from shared.ingest.registry import events_of

    site.post()
    again = [event for envelope in site.events.envelopes() for event in events_of(envelope)]
    for event in again:
        assert not fold.apply(event, site.customers, KEYS, a_shop()).changed


@pytest.mark.parametrize(
    "submission",
    [
        Submission(FORM, b""),
        Submission(FORM, b"List-Unsubscribe=No"),
        Submission("", b"\xff\xfe"),
        Submission("multipart/form-data", b"no boundary"),
        Submission("application/json", b'{"List-Unsubscribe":"One-Click"}'),
        Submission(FORM, b"x" * 20_000 + b"&List-Unsubscribe=One-Click"),
    ],
)
def test_a_post_that_does_not_ask_to_stop_shows_the_button_again(site: Site, submission: Submission) -> None:
    answer = site.post(submission)
    assert answer.status == 400
    assert "配信を停止する" in answer.html
    assert site.status() is ConsentStatus.OPT_IN


@pytest.mark.parametrize(
    "link", ["", "v1.1.x.y", "../../etc/passwd", "<script>alert(1)</script>", "v1.1." + "A" * 3000]
)
def test_a_link_of_nobody_is_explained(site: Site, link: str) -> None:
    for answer in (show(link, site.deps), act(link, ONE_CLICK, site.deps, NOON)):
        assert answer.status == 400
        assert "リンクを確認できませんでした" in answer.html
        assert "<script>" not in answer.html
    assert not site.events.rows


def test_somebody_who_was_erased_is_told_the_same(site: Site) -> None:
    token = UnsubscribeToken(TENANT, CustomerId("gone"), SendId("s1"), "email", STORE)
    answer = act(sign(token, KEYS), ONE_CLICK, site.deps, NOON)
    assert answer.status == 200
    assert not site.events.rows


def test_a_busy_database_is_no_confirmation(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise UnavailableError("busy")

    monkeypatch.setattr(site.customers, "commit", busy)
    answer = site.post()
    assert answer.status == 503
    assert "もう一度" in answer.html
    assert site.status() is ConsentStatus.OPT_IN
    monkeypatch.undo()
    assert site.post(at=NOON + timedelta(seconds=5)).status == 200
    assert site.status() is ConsentStatus.OPT_OUT


class _Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_page_works_without_scripts_pictures_or_another_server(site: Site) -> None:
    page = _Page(show(site.link, site.deps).html)
    assert not [tag for tag in ("script", "img", "link", "iframe", "a") if page.all(tag)]
    assert page.all("html") == [{"lang": "ja"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == len(page.all("button")) == 1
    (form,) = page.all("form")
    assert form == {"method": "post"}, "posts to its own address"


def test_pressing_the_pages_own_button_sends_what_is_understood(site: Site) -> None:
    fields = _Page(show(site.link, site.deps).html).all("input")
    body = "&".join(f"{given['name']}={given['value']}" for given in fields)
    assert site.post(Submission(FORM, body.encode())).status == 200
    (envelope,) = site.events.envelopes()
    assert b'"method":"page"' in envelope.raw


def request(
    method: str, link: str, body: bytes = b"", content_type: str = FORM, *, encode: bool = True
) -> dict[str, Any]:
    return {
        "requestContext": {"http": {"method": method}},
        "pathParameters": {"token": link},
        "headers": {"Content-Type": FORM},
        "body": base64.b64encode(body).decode() if encode else body.decode(),
        "isBase64Encoded": encode,
    }


def test_the_function_answers_api_gateway(site: Site) -> None:
    got = function.handler(request("GET", site.link), None, site.deps)
    assert (got["statusCode"], got["headers"]) == (200, dict(HEADERS))
    head = function.handler(request("HEAD", site.link), None, site.deps)
    assert (head["statusCode"], head["body"]) == (200, "")
    assert site.status() is ConsentStatus.OPT_IN
    for encode in (True, False):
        posted = function.handler(request("POST", site.link, ONE_CLICK.body, encode=encode), None, site.deps)
        assert posted["statusCode"] == 200
    assert site.status() is ConsentStatus.OPT_OUT
    person = site.customers.person(TENANT, site.customer)
    assert person is not None
    assert abs(person.consents[0].at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_body_that_is_no_base64_is_no_body(site: Site) -> None:
    broken = request("POST", site.link) | {"body": "%%%", "isBase64Encoded": True}
    assert answer_http(broken, site.deps, NOON)["statusCode"] == 400


def test_the_link_in_a_mail_has_the_path_of_the_route() -> None:
    assert "/v1/unsubscribe/" in UNSUBSCRIBE_URL
