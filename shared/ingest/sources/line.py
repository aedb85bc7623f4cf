"""LINE webhooks: https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects

Who follows, blocks, writes to and links themselves with the shop's LINE official account. Decided here:

- One request carries events of several people: each is an envelope of its own, put once by its `webhookEventId`, which
  a redelivery repeats. Captured bodies from before 2022 have none: the event's own digest names it then.
- `destination` is the bot's user id and must be the connection's store: the signature covers it. Captured bodies from
  before 2019 have none: the channel's own secret signed them.
- `follow` is the consent to messages on LINE and `unfollow` (blocked) its end; both say when. A person who writes just
  配信停止 or STOP is taken at their word.
- What people write is not kept: the words may name anybody, and LINE wants them gone on `unsend`. Of a message only
  its kind stays.
- `accountLink` brings back the nonce that our page gave a known customer: the visitor of that nonce and the LINE user
  are one person from then on. A failed link names nobody.
- Types we do not know pass unread: LINE adds some every year.
- What our own linking page says (`LINK`) has a colon in its name, which no type of LINE's may have: nobody posts it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.core.errors import RejectedError
from shared.core.ids import EventId, TenantId, digest
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, told_us
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import ConsentFacts, Envelope, Event, EventType, Person, TrackedFacts
from shared.ingest.signing import hmac_base64, is_any, live_secrets

NAME = "line"
MAX_EVENTS = 100
"""LINE names no limit; a body with more is no webhook of LINE."""

_LONGEST_STOP = 40
"""Letters of a message that may be a stop word: a longer one says something else."""
STOP_WORDS = frozenset({"配信停止", "停止", "解除", "stop", "unsubscribe"})

_USER = re.compile(r"[Uu][0-9a-f]{32}", re.ASCII)
_EVENT_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
_NONCE = re.compile(r"[\x21-\x7e]{10,255}", re.ASCII)
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII)
_KEPT = ("type", "mode", "timestamp", "source", "webhookEventId", "follow", "link")
"""Of an event: everything but what a person wrote and tokens to answer with."""


class Line:
    """Adapter of LINE's webhooks."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """base64(HMAC-SHA256(channel secret, raw body)) by a live secret."""
        given = request.headers.get("x-line-signature", "")
        return is_any(given, (hmac_base64(secret, request.body) for secret in live_secrets(connection, now)))

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """One envelope for each event; none for the Verify button, whose list is empty."""
        body = read.parse_object(request.body)
        if str(body.get("destination", connection.store)).lower() != connection.store.lower():
            raise RejectedError("field 'destination' must be the bot user id of this connection")
        events = body.get("events")
        if not isinstance(events, list) or len(events) > MAX_EVENTS:
            raise RejectedError(f"field 'events' must be a list of at most {MAX_EVENTS}")
        return tuple(_envelope(each, connection, now) for each in events)

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the envelope says. A type without a reading is one UNKNOWN event."""
        reading = TYPES.get(envelope.topic)
        return reading(envelope, read.parse_object(envelope.raw)) if reading else (unknown(envelope),)


ADAPTER = Line()

ABOUT = About(
    title="LINE",
    arrives="webhook",
    orders="no: LINE has none",
    customers="the LINE user id; joined with a customer by account link",
    consent="yes: following and blocking, and 配信停止 as a message",
    carts="no: LINE has none",
    signature="base64 HMAC-SHA256 of the raw body; `destination` is compared",
    dedupe="`webhookEventId`, the same on every redelivery",
    limits="what people write is not kept; ids are of one provider, so accounts of two providers see two people",
    webhook=True,
)


# --- the request ------------------------------------------------------------------------------------------------------
def _envelope(each: object, connection: Connection, now: datetime) -> Envelope:
    if not isinstance(each, dict):
        raise RejectedError("field 'events' must hold objects")
    kind = each.get("type")
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise RejectedError("an event needs its 'type'")
    kept = _without_words(each)
    raw = json.dumps(kept, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")
    known = each.get("webhookEventId")
    event_id = known if isinstance(known, str) and _EVENT_ID.fullmatch(known) else digest(NAME, raw.hex())
    return Envelope(
        tenant=connection.tenant,
        subject=f"{NAME}/{connection.store}/user/{digest(_user(each) or event_id)}",
        event_id=EventId(event_id),
        source=NAME,
        connection=connection.connection_id,
        store=connection.store,
        topic=kind,
        occurred_at=min(_at(each) or now, now),
        received_at=now,
        raw=raw,
    )


def _without_words(each: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: each[name] for name in _KEPT if name in each}
    message = each.get("message")
    if isinstance(message, dict):
        kept["message"] = {"type": str(message.get("type"))[:40], "stop": _says_stop(message)}
    return kept


def _says_stop(message: Mapping[str, Any]) -> bool:
    said = message.get("text")
    if message.get("type") != "text" or not isinstance(said, str) or len(said) > _LONGEST_STOP:
        return False
    return unicodedata.normalize("NFKC", said).strip().strip("。.!").lower() in STOP_WORDS


def _user(each: Mapping[str, Any]) -> str | None:
    source = each.get("source")
    found = source.get("userId") if isinstance(source, dict) and source.get("type") == "user" else None
    return found if isinstance(found, str) and _USER.fullmatch(found) else None


def _at(each: Mapping[str, Any]) -> datetime | None:
    milliseconds = each.get("timestamp")
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int) or not 0 < milliseconds < 10**13:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


# --- what it says -----------------------------------------------------------------------------------------------------
def _follow(envelope: Envelope, body: Body) -> Sequence[Event]:
    again = read.inner(body, "follow") or {}
    return _consent(envelope, body, granted=True, method="unblocked" if again.get("isUnblocked") is True else "follow")


def _unfollow(envelope: Envelope, body: Body) -> Sequence[Event]:
    return _consent(envelope, body, granted=False, method="unfollow")


def _message(envelope: Envelope, body: Body) -> Sequence[Event]:
    message = read.inner(body, "message") or {}
    if message.get("stop") is True:
        return _consent(envelope, body, granted=False, method="keyword")
    return _tracked(envelope, body, "line_message")


def _postback(envelope: Envelope, body: Body) -> Sequence[Event]:
    return _tracked(envelope, body, "line_postback")


def _account_link(envelope: Envelope, body: Body) -> Sequence[Event]:
    user, link = _user(body), read.inner(body, "link") or {}
    nonce = link.get("nonce")
    if user is None or link.get("result") != "ok" or not isinstance(nonce, str) or not _NONCE.fullmatch(nonce):
        return (unknown(envelope),)
    person = Person(line_user_id=user, anonymous_ids=(link_key(nonce),))
    # No customer record: one without an address would say that the customer has none any more.
    return (event(envelope, EventType.TRACKED, TrackedFacts(name="line_linked"), person),)


LINK = "page:link"


def link_envelope(tenant: TenantId, bot: str, email: str, nonce: str, at: datetime) -> Envelope:
    """What is kept when a customer we know sets out to link themselves: their address, and the nonce LINE returns."""
    said, about = {"type": LINK, "email": email, "nonce": nonce}, ("link", digest(nonce))
    event_id = digest(NAME, LINK, tenant, nonce)
    return told_us(tenant, NAME, bot.lower(), LINK, said, at, about=about, event_id=event_id, by="page")


def _link(envelope: Envelope, body: Body) -> Sequence[Event]:
    nonce = read.required(read.text(body, "nonce"), "nonce")
    person = Person(email=read.required(read.email(body), "email"), anonymous_ids=(link_key(nonce),))
    return (event(envelope, EventType.TRACKED, TrackedFacts(name="line_link_asked"), person),)


def link_key(nonce: str) -> str:
    """The visitor key of an account link: our page gives it to the customer it knows, LINE brings it back."""
    return f"line-link/{nonce}"


def _consent(envelope: Envelope, body: Body, *, granted: bool, method: str) -> Sequence[Event]:
    user = _user(body)
    if user is None:
        return (unknown(envelope),)
    facts = ConsentFacts(channel="line", granted=granted, method=f"line:{method}")
    return (event(envelope, EventType.CONSENT_CHANGED, facts, Person(line_user_id=user)),)


def _tracked(envelope: Envelope, body: Body, name: str) -> Sequence[Event]:
    user = _user(body)
    if user is None:
        return (unknown(envelope),)
    kind = (read.inner(body, "message") or {}).get("type")
    properties = {"kind": kind} if isinstance(kind, str) else {}
    return (
        event(envelope, EventType.TRACKED, TrackedFacts(name=name, properties=properties), Person(line_user_id=user)),
    )


TYPES: Mapping[str, Callable[[Envelope, Body], Sequence[Event]]] = {
    "follow": _follow,
    "unfollow": _unfollow,
    "message": _message,
    "postback": _postback,
    "accountLink": _account_link,
    LINK: _link,
}
"""Event types with a reading."""
