"""Links of a message: found in every part, told apart by utm, led through us where nobody else counts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.keys import derive_key_ring
from shared.delivery.channels.channel import Message, NotSentError
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.links.link import changed, code_of, counted, is_ours, parse_token, tagged, tracks, utm_of
from shared.delivery.links.store import MemoryLinks
from shared.delivery.links.tracked import Tracked
from shared.delivery.model import SendKey
from tests.unit.delivery.messages import a_mail
from tests.unit.delivery.world import KEYS, STORE, TENANT, a_request, a_shop

KEY = SendKey(TENANT, CustomerId("hanako"), SendId("s1"))
SHOP = "https://shop.example.jp/products/tea?a=1&b=%E8%8C%B6"
PUBLIC = "https://go.example.jp"
HTML = (
    f'<a style="x" href="{SHOP.replace("&", "&amp;")}">見る</a><img src="https://shop.example.jp/tea.png">'
    f'<a href="{PUBLIC}/v1/unsubscribe/v1.1.a.b">停止</a><a href="mailto:a@example.jp">mail</a>'
)
LINE = [
    {"type": "text", "text": f"こちら→{SHOP}。お待ちしています（https://example.com/a)"},
    {
        "type": "flex",
        "altText": "お知らせ",
        "contents": {
            "type": "bubble",
            "hero": {"type": "image", "url": "https://shop.example.jp/tea.png"},
            "footer": {"type": "box", "contents": [{"type": "button", "action": {"type": "uri", "uri": SHOP}}]},
        },
    },
]


def marked(url: str) -> str:
    return f"<{url}>"


def test_links_of_a_mail_are_found_and_pictures_are_none() -> None:
    found: list[str] = []

    def note(url: str) -> str:
        found.append(url)
        return url

    changed("mail.html", HTML, note)
    assert found == [SHOP, f"{PUBLIC}/v1/unsubscribe/v1.1.a.b"]
    assert changed("mail.html", HTML, lambda url: url) == HTML


def test_a_link_ends_where_japanese_or_the_sentence_goes_on() -> None:
    text = "詳しくはhttps://shop.example.jp/a?b=c。または https://shop.example.jp/d, まで\n(https://shop.example.jp/e)"
    assert changed("sms.txt", text, marked) == (
        "詳しくは<https://shop.example.jp/a?b=c>。または <https://shop.example.jp/d>, まで\n(<https://shop.example.jp/e>)"
    )


def test_on_line_buttons_and_words_are_links_and_pictures_are_none() -> None:
    messages = json.loads(changed("line.json", json.dumps(LINE), marked))
    assert messages[0]["text"] == f"こちら→<{SHOP}>。お待ちしています（<https://example.com/a>)"
    assert messages[1]["contents"]["footer"]["contents"][0]["action"]["uri"] == f"<{SHOP}>"
    assert messages[1]["contents"]["hero"]["url"] == "https://shop.example.jp/tea.png"


def test_what_is_no_message_or_no_address_is_left_for_the_channel_to_refuse() -> None:
    assert changed("line.json", "{not json", marked) == "{not json"
    bubble = [{"type": "flex", "contents": {"type": "text", "text": f"見る {SHOP}"}}]
    assert json.loads(changed("line.json", json.dumps(bubble), marked)) == bubble
    broken = {"mail.txt": "http://[:::1]]/x https://shop.example.jp:port/"}
    assert tagged(broken, a_shop(utm=True), a_request()).keys() == broken.keys()


def test_utm_words_go_to_the_shops_own_site_alone_and_leave_the_link_as_it_is() -> None:
    text = (
        "https://shop.example.jp/a https://www.shop.example.jp/b?key=%2f%2F#top https://evilshop.example.jp/ "
        f"https://shop.example.jp/c?utm_source=x {PUBLIC}/v1/unsubscribe/x https://{STORE}/products/tea"
    )
    words = "utm_source=matakite&utm_medium=email&utm_campaign=cart_abandoned&utm_content=first"
    said = tagged({"mail.txt": text}, a_shop(utm=True), a_request())["mail.txt"].split(" ")
    assert said == [
        f"https://shop.example.jp/a?{words}",
        f"https://www.shop.example.jp/b?key=%2f%2F&{words}#top",
        "https://evilshop.example.jp/",
        "https://shop.example.jp/c?utm_source=x",
        f"{PUBLIC}/v1/unsubscribe/x",
        f"https://{STORE}/products/tea?{words}",
    ]
    assert (
        "?a=1&amp;b=%E8%8C%B6&amp;utm_source="
        in tagged({"mail.html": HTML}, a_shop(utm=True), a_request())["mail.html"]
    )


def test_a_shop_that_says_nothing_gets_its_links_as_they_are() -> None:
    parts = {"mail.txt": SHOP}
    assert tagged(parts, a_shop(), a_request()) is parts
    own = {"source": "mihon", "campaign": "{scenario}-2026"}
    assert tagged(parts, a_shop(utm=own), a_request())["mail.txt"].endswith(
        "&utm_source=mihon&utm_campaign=cart_abandoned-2026"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "yes",
        {"source": 1},
        {"Source ": "x"},
        {"source": "{person}"},
        {"source": "{"},
        {"source": "{step.__class__}"},
        [1],
    ],
)
def test_wrong_utm_words_stop_the_sending_and_say_what_would_do(wrong: object) -> None:
    with pytest.raises(MisconfiguredError, match="utm"):
        utm_of(a_shop(utm=wrong))


def test_line_is_counted_and_sms_where_the_shop_says_so() -> None:
    assert tracks(a_shop(), "line")
    assert not tracks(a_shop(), "sms")
    assert tracks(a_shop(track_links=["sms"]), "sms")
    assert not tracks(a_shop(track_links=[]), "line")
    with pytest.raises(MisconfiguredError, match="SES counts clicks in mail"):
        tracks(a_shop(track_links=["email"]), "email")


def test_a_link_led_through_us_says_nothing_of_where_it_leads() -> None:
    parts, links = counted(
        {"sms.txt": f"{SHOP} {SHOP} {PUBLIC}/v1/unsubscribe/x https://example.com/"}, KEY, PUBLIC, KEYS
    )
    first, again, out, other = parts["sms.txt"].split(" ")
    assert first == again == f"{PUBLIC}/v1/c/mihon.{links[0].code}"
    assert len(first) < 50
    assert out == f"{PUBLIC}/v1/unsubscribe/x"
    assert [(link.url, link.number) for link in links] == [(SHOP, 1), ("https://example.com/", 2)]
    assert parse_token(first.rpartition("/")[2]) == (TENANT, links[0].code)
    assert other != first


def test_a_code_is_good_for_one_link_of_one_message_and_outlives_a_new_key() -> None:
    code = code_of(KEY, SHOP, KEYS)
    rotated = derive_key_ring("a master key that exists in tests only", link_generation=2)
    assert code_of(KEY, SHOP, rotated) != code
    assert is_ours(code, KEY, SHOP, rotated)
    others = [
        SendKey(TenantId("yoso"), KEY.customer_id, KEY.send_id),
        SendKey(TENANT, CustomerId("taro"), KEY.send_id),
        SendKey(TENANT, KEY.customer_id, SendId("s2")),
    ]
    assert not any(is_ours(code, other, SHOP, KEYS) for other in others)
    assert not is_ours(code, KEY, f"{SHOP}1", KEYS)


@pytest.mark.parametrize(
    "text", ["", ".", "mihon", "mihon.", "mihon.short", "MIHON.abcdefghijkl", "a.b.abcdefghijkl", "mihon.abcdefghijk1"]
)
def test_what_is_no_token_of_ours_is_not_looked_up(text: str) -> None:
    assert parse_token(text) is None


def a_tracked(links: Any, **delivery: Any) -> tuple[Tracked, FakeChannel]:
    inner = FakeChannel(parts=("line.json",))
    return Tracked(inner, "line", links, KEYS, lambda _tenant: a_shop(**delivery)), inner


def on_line() -> Message:
    return replace(a_mail(), parts={"line.json": json.dumps(LINE)})


def sent(channel: FakeChannel) -> Message:
    (message,) = channel.accepted
    return message


def test_where_the_links_lead_is_kept_before_the_message_leaves() -> None:
    links = MemoryLinks()
    tracked, inner = a_tracked(links)
    tracked.send(on_line())
    uri = json.loads(sent(inner).parts["line.json"])[1]["contents"]["footer"]["contents"][0]["action"]["uri"]
    said = parse_token(uri.rpartition("/")[2])
    assert said
    found = links.find(*said)
    assert found
    assert (found.link.url, found.channel, found.key) == (SHOP, "line", sent(inner).key)


def test_what_cannot_be_kept_is_not_sent_and_tried_again() -> None:
    class Busy(MemoryLinks):
        def keep(self, links: Any) -> None:
            raise UnavailableError("busy")

    tracked, inner = a_tracked(Busy())
    with pytest.raises(NotSentError):
        tracked.send(on_line())
    assert not inner.accepted


def test_where_the_shop_does_not_count_the_message_leaves_as_it_is() -> None:
    links = MemoryLinks()
    tracked, inner = a_tracked(links, track_links=[])
    tracked.send(on_line())
    assert json.loads(sent(inner).parts["line.json"]) == LINE
    assert not links.rows
