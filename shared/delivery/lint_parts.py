"""What the parts for LINE, SMS, letters, calls and webhooks must be before they may go out (lint.py renders them)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.delivery.channels.call import PART as CALL
from shared.delivery.channels.call import read_task
from shared.delivery.channels.channel import RefusedError
from shared.delivery.channels.handover import TEXT as NOTICE
from shared.delivery.channels.line import MAX_MESSAGES, MESSAGES
from shared.delivery.channels.postal import MAX_LETTERS
from shared.delivery.channels.postal import TEXT as POSTAL
from shared.delivery.channels.sms import MAX_PARTS, plain, segments
from shared.delivery.channels.sms import TEXT as SMS
from shared.delivery.channels.webhook import MAX_BODY
from shared.delivery.channels.webhook import PART as WEBHOOK
from shared.delivery.model import Purpose

MAX_TEXT, MAX_ALT, MAX_URL = 5000, 1500, 2000
MAX_SUBJECT, MAX_NOTICE = 48, 1000
"""Of a note to the staff; what staff.py puts before and after it comes on top."""
MAX_FLEX = 50_000
"""LINE takes 50 KB of a carousel and 30 KB of a bubble."""

_FLEX = {"bubble": 30_000, "carousel": MAX_FLEX}
_OPT_OUT = re.compile(r"https?://|停止|解除|STOP", re.IGNORECASE)

Check = Callable[[str, Purpose], Iterator[str]]


QUOTES = '"\\\n}'
"""What ends a text of JSON."""


def hostile(value: Any, end: str, name: str = "") -> Any:
    """The same variables as somebody would choose them who wants to break out of a text by `end`."""
    if isinstance(value, Mapping):
        return {key: hostile(inner, end, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner, end) for inner in value]
    is_word = isinstance(value, str) and not name.endswith("url") and name not in {"ltv_tier", "status"}
    return f"{value}{end}" if is_word else value


def line(text: str, purpose: Purpose) -> Iterator[str]:
    """1 to 5 message objects, of kinds we know, within LINE's limits."""
    messages = _json(text)
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        yield f"{MESSAGES} must be a JSON list of 1 to {MAX_MESSAGES} message objects: write every variable `| json`"
        return
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            yield f"{MESSAGES}: message {number} is no object"
            continue
        for finding in _message(message):
            yield f"{MESSAGES}: message {number}: {finding}"


def _message(message: Mapping[str, Any]) -> Iterator[str]:
    match message.get("type"):
        case "text":
            if not 1 <= _utf16(message.get("text")) <= MAX_TEXT:
                yield f"text must have 1 to {MAX_TEXT} letters"
        case "image":
            for name in ("originalContentUrl", "previewImageUrl"):
                yield from _https(message, name)
        case "flex":
            yield from _flex(message)
        case other:
            yield f"type {other!r} is not text, image or flex"
    yield from _shows_nothing(message)


def _flex(message: Mapping[str, Any]) -> Iterator[str]:
    if not 1 <= _utf16(message.get("altText")) <= MAX_ALT:
        yield f"altText must have 1 to {MAX_ALT} letters: it is what the notification shows"
    contents = message.get("contents")
    kind = contents.get("type") if isinstance(contents, dict) else None
    if not isinstance(contents, dict) or kind not in _FLEX:
        yield "contents must be a bubble or a carousel"
        return
    if len(json.dumps(contents, ensure_ascii=False).encode()) > _FLEX[str(kind)]:
        yield f"a {kind} has at most {_FLEX[str(kind)]} bytes"
    bubbles = contents.get("contents", []) if kind == "carousel" else [contents]
    if not 1 <= len(bubbles) <= 12:
        yield "a carousel has 1 to 12 bubbles"
    for box in _boxes(contents):
        if box.get("type") == "image":
            yield from _https(box, "url")
        if box.get("type") == "text" and not (box.get("text") or box.get("contents")):
            yield "a text component is empty: LINE refuses the whole message"
        if box.get("type") == "uri" and not str(box.get("uri", "")).startswith(
            ("https://", "http://", "tel:", "line:")
        ):
            yield f"a button leads nowhere: uri={box.get('uri')!r}"


def _boxes(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _boxes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _boxes(inner)


def _https(message: Mapping[str, Any], name: str) -> Iterator[str]:
    url = message.get(name)
    if not isinstance(url, str) or not url.startswith("https://") or len(url) > MAX_URL:
        yield f"{name} must be an https URL of at most {MAX_URL} letters"


def sms(text: str, purpose: Purpose) -> Iterator[str]:
    """Short, and with the way out that the law wants (特定電子メール法 covers SMS)."""
    said = plain(text)
    if not said or segments(said) > MAX_PARTS:
        yield f"{SMS} has {segments(said)} parts, 1 to {MAX_PARTS} are sent"
    if purpose is Purpose.MARKETING and not _OPT_OUT.search(said):
        yield f"{SMS} lacks the way to stop (配信停止): a link, or 「停止は…」"
    yield from missing_words(SMS, said)


def postal(text: str, purpose: Purpose) -> Iterator[str]:
    """What fits the page under the address."""
    if not text.strip() or len(text) > MAX_LETTERS:
        yield f"{POSTAL} has {len(text)} letters, 1 to {MAX_LETTERS} fit the page"
    yield from missing_words(POSTAL, text)


def call(text: str, purpose: Purpose) -> Iterator[str]:
    """A task somebody can work on."""
    try:
        read_task(text)
    except RefusedError as error:
        yield str(error)


def webhook(text: str, purpose: Purpose) -> Iterator[str]:
    """An object, small enough to be taken."""
    if not isinstance(_json(text), dict) or len(text.encode()) > MAX_BODY:
        yield f"{WEBHOOK} must be a JSON object of at most {MAX_BODY} bytes: write every variable `| json`"


def notify(text: str, purpose: Purpose) -> Iterator[str]:
    """What the staff reads: the first line is the mail's subject."""
    first = next(iter(text.strip().splitlines()), "")
    if not 1 <= len(first) <= MAX_SUBJECT:
        yield f"{NOTICE} begins with a line of {len(first)} letters: 1 to {MAX_SUBJECT} are the subject of the mail"
    if len(text) > MAX_NOTICE:
        yield f"{NOTICE} has {len(text)} letters, at most {MAX_NOTICE}"
    yield from missing_words(NOTICE, text)


def _shows_nothing(message: Mapping[str, Any]) -> Iterator[str]:
    for box in _boxes(message):
        for name in ("text", "altText"):
            yield from missing_words(name, str(box.get(name) or ""))


def missing_words(part: str, text: str) -> Iterator[str]:
    """A word that a program writes where it knows nothing."""
    if re.search(r"(?<![A-Za-z])(None|null|undefined)(?![A-Za-z])", text):
        yield f"{part} shows a missing value as a word"


def _utf16(text: object) -> int:
    return len(text.encode("utf-16-be", "surrogatepass")) // 2 if isinstance(text, str) else 0


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


OTHER_PARTS: Mapping[str, Check] = {
    MESSAGES: line,
    SMS: sms,
    POSTAL: postal,
    CALL: call,
    WEBHOOK: webhook,
    NOTICE: notify,
}
"""Part → what is wrong with a rendered one."""
