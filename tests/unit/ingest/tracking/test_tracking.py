"""Tracking calls: whose they are, when they happened, what is read of them and what never leaves the raw body."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.clock import to_iso
from shared.core.keys import KeyRing
from shared.customers.fold import apply
from shared.customers.reference import fold_all
from shared.customers.store import MemoryCustomerStore
from shared.ingest.codec import event_json, event_of
from shared.ingest.model import (
    CartFacts,
    EventType,
    LoginFacts,
    MergeFacts,
    OrderFacts,
    PageFacts,
    Person,
    ProfileFacts,
    TrackedFacts,
)
from shared.ingest.registry import events_of
from shared.ingest.tracking.proof import proof_of
from tests.amount import amount
from tests.unit.ingest.tracking.world import KEY, NOW, SECRET_KEY, SHOP, SITE, STORE, Site, call, connected, iso

KEYS = KeyRing(personal=b"a key of this test", links={"1": b"another"})


# --- whose key -------------------------------------------------------------------------------------------------------
def test_the_key_may_come_as_user_name_or_in_the_body() -> None:
    site = Site()
    assert site.post("track", call(event="A"))["statusCode"] == 200
    assert site.post("track", call(event="A", messageId="2", writeKey=KEY), key=None)["statusCode"] == 200
    assert site.post("batch", {"batch": [call(event="A", messageId="3", writeKey=KEY)]}, key=None)["statusCode"] == 200
    assert len(site.events()) == 3


@pytest.mark.parametrize("key", [None, "", "zyxwvutsrqponmlkjihgfedcba", f"{KEY}_wrong", "é:", SECRET_KEY[:-1]])
def test_nobody_gets_in_without_a_key(key: str | None) -> None:
    site = Site()
    answer = site.post("track", call(event="A"), key=key)
    assert answer["statusCode"] == 401
    assert {"code", "message"} < json.loads(answer["body"]).keys()
    assert site.events() == []


def test_a_cart_is_no_website() -> None:
    site = Site(replace(SITE, source="shopify"))
    assert site.post("track", call(event="A"))["statusCode"] == 401


def test_the_old_secret_key_works_while_it_is_rotated() -> None:
    turned = replace(SITE, secret="c" * 64, previous_secret=SITE.secret, previous_until=NOW + timedelta(hours=1))
    assert Site(turned).post("track", call(event="A"), key=SECRET_KEY)["statusCode"] == 200
    assert (
        Site(turned).post("track", call(event="A"), key=SECRET_KEY, now=NOW + timedelta(hours=2))["statusCode"] == 401
    )


def test_a_browser_claims_and_the_shops_server_says() -> None:
    assert Site().said("identify", call(userId="7")).person.claimed
    assert not Site().said("identify", call(userId="7"), key=SECRET_KEY).person.claimed


def test_where_proof_is_wanted_a_browser_names_nobody_without_it() -> None:
    asks = Site(replace(SITE, proven_users=True))
    claim = call(userId="7", traits={"email": "hanako@example.com", "plan": "gold"})
    unproven = asks.said("identify", claim)
    assert (unproven.person, unproven.facts) == (
        Person(anonymous_ids=("visitor/visitor-1",), claimed=True),
        ProfileFacts(),
    )
    wrong = asks.said("identify", {**claim, "messageId": "2", "context": {"userProof": proof_of("8", SITE.secret)}})
    assert wrong.person.source_customer_id is None
    proven = asks.said("identify", {**claim, "messageId": "3", "context": {"userProof": proof_of("7", SITE.secret)}})
    assert (proven.person.source_customer_id, proven.person.email) == ("7", "hanako@example.com")
    by_server = asks.said("identify", {**claim, "messageId": "4"}, key=SECRET_KEY)
    assert by_server.person.source_customer_id == "7"


# --- limits ----------------------------------------------------------------------------------------------------------
def test_what_segment_refuses_is_refused() -> None:
    big = call(event="A", properties={"text": "x" * 33_000})
    for kind, body in (
        ("track", b"{"),
        ("track", b"[]"),
        ("track", b"\xff"),
        ("track", b'{"a": NaN}'),
        ("track", b"[" * 100_000),
        ("track", b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"),
        ("track", big),
        ("batch", {"batch": [big]}),
        ("batch", {"batch": "no"}),
        ("batch", {"batch": [1]}),
        ("batch", {"batch": [call(event="A", properties={"t": "x" * 20_000})] * 30}),
        ("nothing", call()),
    ):
        answer = Site().post(kind, body)
        assert answer["statusCode"] == 400, (kind, body)


def test_a_packed_body_is_unpacked_and_a_bomb_is_not() -> None:
    site = Site()
    packed = gzip.compress(json.dumps({"batch": [call(event="A")]}).encode())
    assert site.post("batch", packed, content_encoding="gzip")["statusCode"] == 200
    assert len(site.events()) == 1
    for hostile in (gzip.compress(b" " * 50_000_000), packed[:-9], b"no gzip"):
        assert site.post("batch", hostile, content_encoding="gzip")["statusCode"] == 400
    assert site.post("batch", packed, content_encoding="br")["statusCode"] == 400


def test_a_batch_is_one_row_and_its_calls_are_events_of_their_own() -> None:
    site = Site()
    batch = [call(type="track", event=f"E{n}", messageId=f"m{n}") for n in range(250)]
    assert site.post("batch", {"batch": batch, "sentAt": iso(NOW)})["statusCode"] == 200
    assert len(site.store.rows) == 3
    assert len({event.event_id for event in site.events()}) == 250


def test_a_call_sent_again_is_the_same_event_whatever_batch_it_comes_in() -> None:
    site = Site()
    one, other = (call(type="track", event="A", messageId=name) for name in ("a", "b"))
    site.post("batch", {"batch": [one, other]})
    site.post("batch", {"batch": [one, other]}, now=NOW + timedelta(seconds=40))
    assert len(site.store.rows) == 1
    site.post("b", {"batch": [other], "sentAt": iso(NOW)})
    site.post("t", other)
    same = [event for event in site.events() if event.event_id == site.events()[1].event_id]
    assert len(same) == 2
    assert {(event.occurred_at, event.facts.kind) for event in same} == {(same[0].occurred_at, "tracked")}


# --- when ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrong", [timedelta(hours=-9), timedelta(days=400), timedelta(seconds=59), timedelta(0)])
def test_a_wrong_clock_is_put_right(wrong: timedelta) -> None:
    happened = NOW - timedelta(minutes=5)
    event = Site().said("track", call(event="A", timestamp=iso(happened + wrong), sentAt=iso(NOW + wrong)))
    assert abs(event.occurred_at - happened) < timedelta(seconds=60)


def test_no_call_is_of_the_future_and_a_browser_tells_no_old_tales() -> None:
    assert Site().said("track", call(event="A", timestamp=iso(NOW + timedelta(days=1)))).occurred_at == NOW
    old = call(event="A", timestamp="2019-01-01T00:00:00Z")
    assert Site().said("track", old).occurred_at == NOW - timedelta(days=30)
    assert to_iso(Site().said("track", old, key=SECRET_KEY).occurred_at).startswith("2019-01-01")
    for nonsense in (None, 5, "", "yesterday", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+09:00"):
        assert Site().said("track", call(event="A", timestamp=nonsense)).occurred_at <= NOW


def test_a_time_may_be_a_number_or_finer_than_a_microsecond() -> None:
    at = NOW - timedelta(hours=1)
    seconds = int(at.timestamp())
    for written in (
        seconds,
        seconds * 1000,
        at.strftime("%Y-%m-%dT%H:%M:%S.000000123Z"),
        at.strftime("%Y-%m-%d %H:%M:%S"),
    ):
        assert Site().said("track", call(event="A", timestamp=written)).occurred_at == at


def test_old_and_loose_libraries_name_their_calls_differently() -> None:
    site = Site()
    calls = [call(action="track", event="A", messageId="1"), call(type="Identify", userId="7", messageId="2")]
    assert site.post("import", {"batch": calls})["statusCode"] == 200
    assert [event.event_type for event in site.events()] == [EventType.TRACKED, EventType.CUSTOMER_UPDATED]


# --- what is read ----------------------------------------------------------------------------------------------------
def page(url: str, **fields: Any) -> PageFacts:
    """What a page call says."""
    said = Site().said("page", call(properties={"url": url, **fields.pop("properties", {})}, **fields)).facts
    assert isinstance(said, PageFacts)
    return said


def test_a_page_is_kept_without_what_its_address_must_not_tell() -> None:
    said = page(
        "https://www.example.jp:8443/products/green-tea?email=a@example.com&utm_source=google#x",
        properties={"referrer": "https://search.example.com/?q=secret", "search": "?utm_source=google&utm_medium=cpc"},
        context={"userAgent": "Mozilla/5.0"},
    )
    assert said.url == "https://www.example.jp/products/green-tea"
    assert (said.page_type, said.referrer_host, said.campaign) == ("product", "search.example.com", "google/cpc")
    assert not said.machine
    assert (
        page("https://u:p@www.example.jp/u/hanako%40example.com/090-1234-5678/").url == "https://www.example.jp/u/-/-/"
    )
    assert (
        page("https://www.example.jp/account/reset/9f8e7d6c5b4a39281706abcd").url
        == "https://www.example.jp/account/reset/-"
    )
    assert page("/pages/price-2026").page_type == "price"
    assert (
        page("https://www.example.jp/", context={"campaign": {"source": "line", "name": "秋"}}).campaign == "line//秋"
    )
    assert page("https://www.example.jp/a", properties={"title": "山田花子様のページ"}).title is None


def test_an_app_screen_is_a_page_of_the_app() -> None:
    said = Site().said("screen", call(name="商品一覧")).facts
    assert isinstance(said, PageFacts)
    assert said.url == f"app://{STORE}/商品一覧"


@pytest.mark.parametrize("name", ["Signed In", "LOGIN", "login", "signed_in", "User Logged In", "ログイン", "ﾛｸﾞｲﾝ"])
def test_logins_are_known_by_their_usual_names(name: str) -> None:
    event = Site().said("track", call(event=name))
    assert (event.event_type, event.facts) == (EventType.LOGGED_IN, LoginFacts())


def test_an_order_of_the_site_is_no_second_order() -> None:
    site = Site()
    for number, name in enumerate(("Product Viewed", "Cart Viewed", "Checkout Started", "Order Completed")):
        said = site.said(
            "track",
            call(event=name, messageId=f"{number}", properties={"order_id": "1001", "total": 3980, "currency": "JPY"}),
        )
        assert isinstance(said.facts, TrackedFacts)
        assert said.facts.properties == {"order_id": "1001", "total": 3980, "currency": "JPY"}
    assert not any(isinstance(event.facts, OrderFacts | CartFacts) for event in site.events())


def test_nothing_personal_becomes_a_property() -> None:
    said = Site().said(
        "track",
        call(
            event="Form Sent",
            properties={
                "email": "x", "Phone": "x", "lastName": "山田", "shipping_address": "x", "to": "hanako@example.com",
                "note": "０９０-1234-5678", "greeting": "山田花子様", "n": 819012345678, "nested": {}, "list": [1],
                "plan": "gold", "price": 1980.5, "first": True, "none": None,
            },
        ),
    ).facts  # fmt: skip
    assert isinstance(said, TrackedFacts)
    assert said.properties == {"plan": "gold", "price": 1980.5, "first": True}


def test_traits_become_a_person_and_attributes() -> None:
    event = Site().said(
        "identify",
        call(
            userId=7,
            traits={
                "email": "hanako@example.com", "phone": "090-0000-0000", "name": "山田 花子", "gender": "女性",
                "birthday": "1990-04-01T00:00:00Z", "createdAt": "2024-02-03", "plan": "gold", "日本酒": True,
                "address": {"postalCode": "100-0001", "state": "Tokyo", "city": "千代田区", "street": "1-1"},
            },
        ),
        key=SECRET_KEY,
    )  # fmt: skip
    person = event.person
    assert (person.source_customer_id, person.email, person.last_name, person.first_name) == (
        "7",
        "hanako@example.com",
        "山田",
        "花子",
    )
    assert (person.prefecture, person.address, person.anonymous_ids) == (
        "東京都",
        "千代田区 1-1",
        ("visitor/visitor-1",),
    )
    assert event.facts == ProfileFacts(
        attributes={
            "birth_on": "1990-04-01", "gender": "female", "registered_on": "2024-02-03",
            "custom/plan": "gold", "custom/日本酒": True,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("1990-04-01T15:00:00.000Z", "1990-04-02"),  # midnight in Tokyo, as a browser writes it
        ("1990-04-01T00:00:00+09:00", "1990-04-01"),
        ("1990/4/1", "1990-04-01"),
        (1456866609, "2016-03-02"),
        (1456866609000, "2016-03-02"),
    ],
)
def test_a_day_among_the_traits_is_the_shops(written: str | int, day: str) -> None:
    said = Site().said("identify", call(userId="7", traits={"birthday": written, "anonymousId": "v", "userId": "7"}))
    assert said.facts == ProfileFacts(attributes={"birth_on": day})


def test_a_user_id_that_is_an_address_is_read_as_one() -> None:
    by_mail = Site().said("track", call(event="A", userId="Hanako@example.com")).person
    assert (by_mail.source_customer_id, by_mail.email) == (None, "Hanako@example.com")
    by_phone = Site().said("track", call(event="A", userId="090-0000-0000")).person
    assert (by_phone.source_customer_id, by_phone.phone) == (None, "090-0000-0000")


def test_user_ids_are_the_carts_where_the_connection_says_so() -> None:
    site = Site(connected("shopify/a.myshopify.com"))
    event = site.said(
        "track", call(event="Order Completed", userId="7", properties={"checkout_id": "c1", "order_id": "9"})
    )
    assert (event.source, event.store) == ("shopify", "a.myshopify.com")
    assert event.person.anonymous_ids == ("checkout/c1", "visitor/visitor-1")
    by_server = site.said("track", call(event="X", messageId="2", properties={"order_id": "9"}), key=SECRET_KEY)
    assert "order/9" in by_server.person.anonymous_ids


def test_an_alias_ties_two_names_together() -> None:
    said = Site().said("alias", call(previousId="old-visitor", userId="7"))
    assert said.person.anonymous_ids == ("visitor/old-visitor", "visitor/visitor-1")
    site = Site()
    site.post("alias", call(previousId="6", userId="7"), key=SECRET_KEY)
    assert [type(event.facts) for event in site.events()] == [ProfileFacts, MergeFacts]


def test_what_names_nobody_or_nothing_is_kept_unread() -> None:
    site = Site()
    bodies: tuple[tuple[str, dict[str, Any]], ...] = (
        ("track", {"event": "A"}),
        ("track", call(event=" ")),
        ("track", call()),
        ("group", call(groupId="g")),
        ("alias", call(userId="7")),
        ("batch", {"batch": [{}]}),
    )
    for number, (kind, body) in enumerate(bodies):
        assert site.post(kind, {**body, "messageId": str(number)})["statusCode"] == 200
    assert [event.event_type for event in site.events()] == [EventType.UNKNOWN] * len(bodies)


# --- machines --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
        "Mozilla/5.0 (Linux; Android 11) AppleWebKit/537.36 Chrome/146.0 Mobile Safari/537.36 Chrome-Lighthouse",
        "curl/8.5.0",
        "python-requests/2.32.0",
        "line-poker/1.0",
    ],
)
def test_bots_are_flagged_wherever_they_say_so(agent: str) -> None:
    for how in ({"user_agent": agent}, {}):
        body = call(name="x", properties={"url": "/a"}, **({} if how else {"context": {"userAgent": agent}}))
        said = Site().said("page", body, **how).facts
        assert isinstance(said, PageFacts)
        assert said.machine


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari Line/14.0.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/146.0 Safari/537.36 Edg/146.0",
        "Mozilla/5.0 (Linux; Android 14; CUBOT X70) AppleWebKit/537.36 Chrome/146.0 Mobile Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "analytics-python/2.3.6",
        "analytics-node-next/latest",
    ],
)
def test_people_and_the_shops_own_server_are_not(agent: str) -> None:
    said = Site().said("page", call(properties={"url": "/a"}), user_agent=agent).facts
    assert isinstance(said, PageFacts)
    assert not said.machine


def test_what_an_app_or_the_shops_server_sends_with_is_nobodys_browser() -> None:
    app = call(name="Home", context={"library": {"name": "@segment/analytics-react-native", "version": "2.19.1"}})
    crawler = {**app, "context": {**app["context"], "userAgent": "Googlebot/2.1"}}
    said = [
        Site().said("screen", app, user_agent="okhttp/4.9.2"),
        Site().said("page", call(properties={"url": "/a"}), key=SECRET_KEY, user_agent="axios/1.7"),
        Site().said("screen", crawler, user_agent="okhttp/4.9.2"),
    ]
    assert [isinstance(e.facts, PageFacts) and e.facts.machine for e in said] == [False, False, True]


@pytest.mark.parametrize("header", ["sec_purpose", "purpose", "x_moz", "x_purpose"])
def test_a_page_loaded_before_anybody_asked_is_flagged(header: str) -> None:
    said = Site().said("track", call(event="Signed In"), **{header: "prefetch;prerender"}).facts
    assert isinstance(said, LoginFacts)
    assert said.machine


# --- one visitor becomes one person ----------------------------------------------------------------------------------
def test_a_visitor_becomes_a_customer_and_brings_what_they_did() -> None:
    site = Site()
    site.post("p", call(messageId="1", properties={"url": "/products/tea"}))
    site.post("t", call(messageId="2", event="Product Added"))
    site.post("i", call(messageId="3", userId="7", traits={"email": "hanako@example.com"}))
    site.post("p", call(messageId="4", anonymousId="visitor-2", properties={"url": "/pages/price"}))
    site.post("a", call(messageId="5", anonymousId="visitor-2", previousId="visitor-2", userId="7"))
    events = site.events()
    (person,) = fold_all(events, KEYS, SHOP).values()
    assert person.profile.email == "hanako@example.com"
    random.Random(1).shuffle(events)
    store = MemoryCustomerStore()
    ids = {apply(event, store, KEYS, SHOP).customer_id for event in events for _ in range(2)}
    live = {store.person(SITE.tenant, each).profile.customer_id for each in ids if each}  # type: ignore[union-attr]
    assert live == {person.profile.customer_id}


def test_what_a_browser_claims_never_replaces_what_the_shop_said() -> None:
    site = Site()
    site.post("i", call(messageId="1", userId="7", traits={"email": "hanako@example.com"}), key=SECRET_KEY)
    later = NOW + timedelta(days=1)
    claim = call(messageId="2", userId="7", timestamp=iso(later), traits={"email": "taro@example.com"})
    site.post("i", claim, now=later)
    (person,) = fold_all(site.events(), KEYS, SHOP).values()
    assert person.profile.email == "hanako@example.com"


# --- hostile ---------------------------------------------------------------------------------------------------------
HOSTILE: tuple[Any, ...] = (
    "", " ", "0", "x" * 3000, "\ud800", "\x00", "a@b.c", "https://[", "//", "http://\u2100/", "?", "%", "%ff%fe",
    "&=;" * 900, 0, -1, 2**70, 10**400, 1.5, 1e300, True, False, None, [], {}, [None], [[]], {"": None}, {"a": {}},
    "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1" * 13, "﷽" * 90,
)  # fmt: skip
FIELDS = (
    "event", "userId", "anonymousId", "previousId", "messageId", "timestamp", "sentAt", "originalTimestamp", "type",
    "name", "category", "properties", "traits", "context", "writeKey", "groupId", "integrations",
)  # fmt: skip
INNER = (
    "url", "path", "title", "referrer", "search", "page", "userAgent", "campaign", "source", "traits", "email", "phone",
    "birthday", "createdAt", "address", "city", "gender", "name", "product_id", "page_type", "cart_id", "order_id", "x",
)  # fmt: skip


def hostile_call(rng: random.Random) -> dict[str, Any]:
    """A call with anything anywhere."""

    def anything(depth: int) -> Any:
        if depth and rng.random() < 0.5:
            return {rng.choice(INNER): anything(depth - 1) for _ in range(rng.randint(0, 5))}
        return rng.choice(HOSTILE)

    body = call(type=rng.choice(("track", "page", "identify", "alias", "screen", "group")), event="A", userId="7")
    return body | {rng.choice(FIELDS): anything(3) for _ in range(rng.randint(1, 6))}


def test_hostile_bodies_are_read_or_refused() -> None:
    """A sample; 10,000 bodies with `MATAKITE_FULL=1`."""
    bodies = amount(10_000, sample=2_000)
    rng = random.Random(4)
    statuses: dict[int, int] = {}
    site = Site()
    for number in range(bodies):
        kind = rng.choice(("track", "page", "identify", "alias", "batch", "t", "p", "i", "screen"))
        body: Any = hostile_call(rng)
        if kind == "batch":
            body = {"batch": [hostile_call(rng) for _ in range(rng.randint(0, 3))], "sentAt": rng.choice(HOSTILE)}
        raw = json.dumps(body).encode()
        if number % 10 == 0:
            broken = bytearray(raw)
            for _ in range(rng.randint(1, 5)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            raw = bytes(broken)
        status = site.post(kind, raw, key=rng.choice((KEY, SECRET_KEY)))["statusCode"]
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses.keys() <= {200, 400, 401}
    assert statuses[200] > 0.8 * bodies
    for envelope in site.store.envelopes():
        assert "@" not in envelope.subject + envelope.event_id
        for event in events_of(envelope):
            assert event_of(event_json(event)) == event
            assert event.occurred_at <= event.received_at


@given(st.binary(max_size=300), st.sampled_from(("track", "batch", "x")))
def test_any_bytes_are_answered(raw: bytes, kind: str) -> None:
    assert Site().post(kind, raw)["statusCode"] in {200, 400, 401}
