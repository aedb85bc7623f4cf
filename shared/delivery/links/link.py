"""The links of a message (リンク): which there are, where the shop's own get their utm words, and which are counted.

Clicks in a mail are SES's to count: it does so without a write of ours, and a mail has dozens of links. LINE and SMS
count nothing, so their links lead through `/v1/c/{tenant}.{code}` (clicks.py). The code says nothing of where it
leads: it is looked up, and only what stood in that very message is ever found.

Section `delivery` of the shop's settings:

    {"track_links": ["line"],
     "utm": {"source": "matakite", "medium": "{channel}", "campaign": "{scenario}", "content": "{step}"}}

`track_links`: channels, LINE if nothing is said; on a telephone an SMS shows the link, so the shop decides. `utm`: only
if it is set (`true`: as above), only on links to the shop's own site, and never over what a link says already.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from html import escape, unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.core.errors import MisconfiguredError
from shared.core.ids import TenantId, keyed_digest
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.delivery.channels.line import MESSAGES
from shared.delivery.model import SendKey, SendRequest
from shared.delivery.policy import SECTION

ROUTE = "/v1/c/"
TRACKED = ("line",)
CODE_LETTERS = 12
"""60 bits: with a million links a guess finds one in 10^12."""

UTM: Mapping[str, str] = {
    "source": "matakite",
    "medium": "{channel}",
    "campaign": "{scenario}",
    "content": "{step}",
}

Change = Callable[[str], str]
"""A URL → what stands in its place."""

_HREF = re.compile(r'(?<=\bhref=")(https?://[^"]+)')
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_UTM_NAME = re.compile(r"[a-z_]{1,20}")
_UTM_WORD = re.compile(r"(?:[A-Za-z0-9_.-]|\{(?:channel|scenario|step)\})+")
_TRAILING = ".,;:!?)]'"
"""What ends a sentence, not a link."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a message."""

    code: str
    url: str
    number: int
    """Its place in the message, first = 1."""


def check_links(shop: Shop) -> None:
    """Raises MisconfiguredError where the shop's words about links cannot be meant."""
    utm_of(shop)
    tracks(shop, "line")


# --- finding them -----------------------------------------------------------------------------------------------------
def changed(part: str, text: str, change: Change) -> str:
    """A rendered part with every link a reader can follow replaced; pictures stay where they are."""
    if part.endswith(".html"):
        return _HREF.sub(lambda found: escape(change(unescape(found[1]))), text)
    if part == MESSAGES:
        return _on_line(text, change)
    return _in_words(text, change) if part.endswith(".txt") else text


def _on_line(text: str, change: Change) -> str:
    """What buttons open, and links in the words of a message; a text within a bubble is no link."""
    try:
        messages = json.loads(text)
    except ValueError:
        messages = None
    if not isinstance(messages, list):
        return text  # the channel refuses it and says why
    return json.dumps([_message(each, change) for each in messages], ensure_ascii=False)


def _message(message: Any, change: Change) -> Any:
    if isinstance(message, dict) and message.get("type") == "text":
        return {**message, "text": _in_words(str(message.get("text")), change)}
    return _opened(message, change)


def _opened(value: Any, change: Change) -> Any:
    if isinstance(value, list):
        return [_opened(inner, change) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {name: _opened(inner, change) for name, inner in value.items()}
    uri = value.get("uri")
    return {**found, "uri": change(uri)} if isinstance(uri, str) and uri.startswith(("https://", "http://")) else found


def _in_words(text: str, change: Change) -> str:
    def replaced(found: re.Match[str]) -> str:
        url = found[0].rstrip(_TRAILING)
        return change(url) + found[0][len(url) :]

    return _URL.sub(replaced, text)


# --- utm --------------------------------------------------------------------------------------------------------------
def tagged(parts: Mapping[str, str], shop: Shop, request: SendRequest) -> Mapping[str, str]:
    """The parts, links to the shop's own site with its utm words: how an order tells what it came from (広告媒体)."""
    words = utm_of(shop)
    if not words:
        return parts
    # A cart's own feed links to the store's domain, a shop to the one it is known by.
    homes = {_host(str(shop.section(SECTION).get("shop_url") or "")), request.store} - {""}
    about = {"channel": request.channel, "scenario": request.scenario, "step": request.step}
    said = [(f"utm_{name}", word.format(**about)) for name, word in words.items()]
    return {part: changed(part, text, lambda url: _with_words(url, homes, said)) for part, text in parts.items()}


def utm_of(shop: Shop) -> Mapping[str, str]:
    """The shop's utm words, `{}` where it wants none. Raises MisconfiguredError."""
    setting = shop.section(SECTION).get("utm")
    if not setting:
        return {}
    words = UTM if setting is True else setting
    if not isinstance(words, Mapping) or not all(_is_word(name, word) for name, word in words.items()):
        raise MisconfiguredError(f"{SECTION}.utm must be true or words such as {dict(UTM)}, not {setting!r}")
    return words


def _is_word(name: object, word: object) -> bool:
    return bool(_UTM_NAME.fullmatch(str(name)) and isinstance(word, str) and _UTM_WORD.fullmatch(word))


def _with_words(url: str, homes: Set[str], said: list[tuple[str, str]]) -> str:
    host = _host(url)
    if not any(host == home or host.endswith(f".{home}") for home in homes):
        return url
    parts = urlsplit(url)
    if any(name.startswith("utm_") for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        return url
    # What stands in the link already is left letter for letter: it may be signed.
    words = urlencode(said)
    return urlunsplit(parts._replace(query=f"{parts.query}&{words}" if parts.query else words))


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:  # no address of anybody's
        return ""


# --- counting them ----------------------------------------------------------------------------------------------------
def tracks(shop: Shop, channel: str) -> bool:
    """Does the shop count clicks on this channel itself? Raises MisconfiguredError."""
    setting = shop.section(SECTION).get("track_links", TRACKED)
    if not isinstance(setting, list | tuple) or not set(setting) <= {"line", "sms"}:
        raise MisconfiguredError(f"{SECTION}.track_links must be a list of line and sms; SES counts clicks in mail")
    return channel in setting


def counted(
    parts: Mapping[str, str], key: SendKey, public_url: str, keys: KeyRing
) -> tuple[Mapping[str, str], tuple[Link, ...]]:
    """The parts with their links led through us, and where each of them leads. Our own pages count themselves."""
    links: dict[str, Link] = {}

    def change(url: str) -> str:
        if url.startswith(f"{public_url}/v1/"):
            return url
        link = links.setdefault(url, Link(code_of(key, url, keys), url, len(links) + 1))
        return f"{public_url}{ROUTE}{key.tenant}.{link.code}"

    made = {part: changed(part, text, change) for part, text in parts.items()}
    return made, tuple(links.values())


def code_of(key: SendKey, url: str, keys: KeyRing, kid: str = "") -> str:
    """What stands for one link of one message: a signature of both, so nobody can make one up."""
    secret = keys.links[kid or keys.signing_kid]
    return keyed_digest(secret, "click", key.tenant, key.customer_id, key.send_id, url)[:CODE_LETTERS]


def is_ours(code: str, key: SendKey, url: str, keys: KeyRing) -> bool:
    """Did one of our keys make this code for this link of this message?"""
    return any(hmac.compare_digest(code, code_of(key, url, keys, kid)) for kid in keys.links)


def parse_token(token: str) -> tuple[TenantId, str] | None:
    """(tenant, code) of `{tenant}.{code}`."""
    tenant, _, code = token.rpartition(".")
    well_formed = re.fullmatch(r"[a-z0-9-]{1,32}", tenant) and re.fullmatch(rf"[a-z2-7]{{{CODE_LETTERS}}}", code)
    return (TenantId(tenant), code) if well_formed else None
