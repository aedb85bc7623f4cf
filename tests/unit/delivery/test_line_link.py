"""Linking a customer with LINE: only POST acts, the nonce joins them, and what the next message costs is said."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.core.clock import FixedClock
from shared.core.ids import ConnectionId, CustomerId, EventId
from shared.customers import fold
from shared.customers.model import ConsentStatus
from shared.customers.store import MemoryCustomerStore
from shared.delivery.channels.line import LineAccount
from shared.delivery.line_link import DIALOG, LIFE, LinkDeps, answer_http, link_path, read_token
from shared.delivery.line_price import Quota, price_of_next, yen_of_next
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import Envelope, Event, EventType, Person, ProfileFacts
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import events_of
from shared.ingest.signing import hmac_base64
from shared.ingest.sources.line import ADAPTER
from shared.ingest.store import MemoryEventStore
from tests.unit.delivery.world import KEYS, NOON, STORE, TENANT, a_shop

BOT = "U000000000000000000000000000000b0"
USER = "U000000000000000000000000000000a1"


@dataclass
class Site:
    """One customer with a mail address, and the page."""

    email: str | None = "hanako@example.com"

    def __post_init__(self) -> None:
        self.customers = MemoryCustomerStore(FixedClock(NOON))
        self.events = MemoryEventStore(MemoryOversize())
        nonces = itertools.count(1)
        self.deps = LinkDeps(
            keys=lambda: KEYS,
            read_shop=lambda tenant: a_shop(),
            read_account=lambda tenant: LineAccount("token", bot=BOT),
            customers=self.customers,
            events=self.events,
            new_nonce=lambda: f"nonce-of-the-test-{next(nonces)}",
        )
        known = Event(
            tenant=TENANT,
            event_id=EventId("customer-1"),
            event_type=EventType.CUSTOMER_UPDATED,
            source="shopify",
            store=STORE,
            subject=f"shopify/{STORE}/customer/1",
            occurred_at=NOON - timedelta(days=9),
            received_at=NOON - timedelta(days=9),
            version="1",
            person=Person(source_customer_id="1", email=self.email, last_name="見本"),
            facts=ProfileFacts(),
        )
        self.customer = self.apply(known)

    def apply(self, event: Event) -> CustomerId:
        return fold.apply(event, self.customers, KEYS, a_shop()).customer_id or CustomerId("")

    def ask(self, method: str, path: str | None = None, token: str | None = "link-token", late: bool = False) -> Any:
        path = path or link_path(TENANT, self.customer, KEYS, NOON)
        event = {
            "requestContext": {"http": {"method": method}},
            "pathParameters": {"token": path.rpartition("/")[2]},
            "queryStringParameters": {"linkToken": token} if token else None,
        }
        return answer_http(event, self.deps, NOON + (LIFE if late else timedelta()))


def test_get_shows_a_button_and_changes_nothing() -> None:
    site = Site()
    for method in ("GET", "HEAD"):
        answer = site.ask(method)
        assert answer["statusCode"] == 200
        assert ("LINEと連携する" in answer["body"]) == (method == "GET")
    assert "見本商店" in site.ask("GET")["body"]
    assert not site.events.envelopes()


def told_by_line(nonce: str) -> Sequence[Envelope]:
    """Whoever links their account has followed it before."""
    about = f'"mode":"active","source":{{"type":"user","userId":"{USER}"}}'
    body = (
        f'{{"destination":"{BOT}","events":['
        f'{{"type":"follow","timestamp":1763600000000,{about},"webhookEventId":"01HZX3N5E8W2Q4R6T8Y0A2C4E5"}},'
        f'{{"type":"accountLink","timestamp":1763604000000,{about},"webhookEventId":"01HZX3N5E8W2Q4R6T8Y0A2C4E6",'
        f'"link":{{"result":"ok","nonce":"{nonce}"}}}}]}}'
    ).encode()
    connection = Connection(ConnectionId("c"), TENANT, "line", BOT.lower(), "secret")
    request = Request({"x-line-signature": hmac_base64("secret", body).decode()}, body)
    assert ADAPTER.verify(request, connection, NOON)
    return ADAPTER.envelopes(request, connection, NOON)


def test_post_leads_to_lines_dialog_and_lines_webhook_makes_them_one_person() -> None:
    site = Site()
    answer = site.ask("POST")
    assert answer["statusCode"] == 303
    target = urlsplit(answer["headers"]["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == DIALOG
    said = parse_qs(target.query)
    assert said["linkToken"] == ["link-token"]
    assert "hanako" not in answer["headers"]["location"]
    (nonce,) = said["nonce"]
    (kept,) = site.events.envelopes()
    assert parse_qs(target.query).keys() == {"linkToken", "nonce"}
    for envelope in (kept, *told_by_line(nonce)):
        for event in events_of(envelope):
            site.apply(event)
    person = site.customers.person(TENANT, site.customer)
    assert person is not None
    assert person.profile.line_user_id == USER
    assert person.profile.email == "hanako@example.com"
    assert [(c.channel, c.status) for c in person.consents] == [("line", ConsentStatus.OPT_IN)]


def test_a_friend_of_old_who_presses_again_without_going_on_stays_linked() -> None:
    """Who followed the account before it was connected here never tells us so again."""
    site = Site()
    (nonce,) = parse_qs(urlsplit(site.ask("POST")["headers"]["location"]).query)["nonce"]
    (_follow, linked) = told_by_line(nonce)
    site.ask("POST")
    first, second = site.events.envelopes()
    if nonce not in first.raw.decode():
        first, second = second, first
    later = replace(second, occurred_at=NOON + timedelta(hours=1), received_at=NOON + timedelta(hours=1))
    for envelope in (first, linked, later):
        for event in events_of(envelope):
            site.apply(event)
    person = site.customers.person(TENANT, site.customer)
    assert person is not None
    assert (person.profile.line_user_id, person.profile.email) == (USER, "hanako@example.com")


@pytest.mark.parametrize("token", [None, "", "x" * 301, "ﾊﾟｽ"])
def test_without_a_token_of_line_the_page_says_where_to_begin(token: str | None) -> None:
    answer = Site().ask("POST", token=token)
    assert answer["statusCode"] == 200
    assert "トーク画面" in answer["body"]


def test_a_link_that_is_not_ours_or_a_day_old_does_nothing() -> None:
    site = Site()
    path = link_path(TENANT, site.customer, KEYS, NOON)
    for answer in (site.ask("POST", path[:-2] + "xx"), site.ask("POST", late=True), site.ask("POST", "/v1/x")):
        assert answer["statusCode"] == 400
        assert "location" not in answer["headers"]
    token = read_token(path.rpartition("/")[2], KEYS, NOON)
    assert token is not None
    assert replace(token, until=NOON).tenant == TENANT


@pytest.mark.parametrize("email", [None, "masked@mb.rakuten.ne.jp"])
def test_who_has_no_address_of_their_own_is_told_so(email: str | None) -> None:
    answer = Site(email).ask("POST")
    assert answer["statusCode"] == 409
    assert "メールアドレス" in answer["body"]


@pytest.mark.parametrize(
    ("limit", "used", "yen", "said"),
    [
        (200, 150, 0, "あと 50 通で止まります"),
        (200, 200, None, "ライトプラン（月額 5,000円・5,000 通）"),
        (5_000, 4_999, 0, "あと 1 通"),
        (5_000, 5_000, None, "スタンダードプラン（月額 15,000円"),
        (30_000, 30_000, None, "送信できません"),
        (100_000, 29_999, 0, "その先は1通 最大3円"),
        (100_000, 30_000, 3, "最大 3円"),
        (100_000, 100_000, None, "送信できません"),
        (None, 40_000, 3, "最大 3円"),
    ],
)
def test_the_price_of_the_next_message_is_said_before_the_cliff(
    limit: int | None, used: int, yen: int | None, said: str
) -> None:
    assert yen_of_next(Quota(limit, used)) == yen
    assert said in price_of_next(Quota(limit, used))
