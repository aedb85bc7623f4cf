"""Web and app tracking (WEBアクセス・ログイン): calls of the Segment SDKs as our events.

| call | event |
|---|---|
| page, screen | page viewed |
| track `Signed In`, `Login`, `ログイン`, … | logged in |
| any other track | tracked, with its plain properties |
| identify | customer updated |
| alias | customer updated: two names of one visitor; from the shop's server also customers merged |
| group, anything else | kept, unread |

`Product Viewed`, `Cart Viewed`, `Checkout Started` and `Order Completed` stay tracked events: the page call beside
them is the page view, and carts and orders come from the cart itself, with versions and refunds. Were they read here
too, every order would count twice. Their cart and checkout ids tie the visitor to the cart's buyer.

User ids are customer numbers of the site, or of the cart the connection names (`users_of`); one that is a mail
address or phone number is read as such.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.core.clock import from_iso
from shared.core.errors import RejectedError
from shared.core.ids import EventId
from shared.ingest import body as read
from shared.ingest import derive
from shared.ingest.adapter import About, NotPosted
from shared.ingest.model import (
    Envelope,
    Event,
    EventType,
    Facts,
    LoginFacts,
    MergeFacts,
    PageFacts,
    Person,
    ProfileFacts,
    TrackedFacts,
    UnknownFacts,
)
from shared.ingest.tracking import calls as wire
from shared.ingest.tracking import traits
from shared.ingest.tracking.calls import Call, inner
from shared.ingest.tracking.pages import campaign_of, host_of
from shared.ingest.tracking.privacy import (
    looks_like_email,
    looks_like_phone,
    looks_personal,
    plain_properties,
    storable,
)

LOGINS = frozenset(
    {"signed in", "sign in", "signedin", "signin", "logged in", "log in", "loggedin", "login", "user signed in",
     "user logged in", "login completed", "customer logged in", "ログイン", "ログインした", "ログインしました",
     "ログイン完了", "ログイン成功"}
)  # fmt: skip

MAX_ID = 200
_GAP = re.compile(r"[\s_-]+")


class Track(NotPosted):
    """Adapter of calls to the tracking API, which knows its keys itself; a write key must not open a webhook."""

    name = wire.NAME

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the calls of a request say, one event each (`alias` from a server: two)."""
        kept = _Kept(envelope)
        return tuple(event for position in range(len(kept.calls)) for event in kept.events(position))


ADAPTER = Track()

ABOUT = About(
    title="Website, app (Segment SDKs)",
    arrives="HTTP tracking API: /v1/track, identify, page, screen, alias, batch",
    orders="no: they come from the cart; `Order Completed` is kept as a tracked event",
    customers="yes: identify and alias; from a browser only what no cart says",
    consent="no: double opt-in is its own page",
    carts="no: their ids tie a visitor to the cart's buyer",
    signature="write key; the secret key for the shop's own server",
    dedupe="messageId",
    limits="32 KB a call, 500 KB a batch; user ids are the cart's only where the connection says so",
)


class _Kept:
    """An envelope's calls and what the request knew about them."""

    def __init__(self, envelope: Envelope) -> None:
        document = _document(envelope.raw)
        self.envelope = envelope
        self.calls: Sequence[Call] = read.items(document, "calls")
        self.ids = _texts(document, "ids", len(self.calls))
        self.times = _texts(document, "at", len(self.calls))
        self.pages = document.get("pages") or []
        self.named = document.get("named")
        self.agent = str(document.get("agent") or "")
        self.prefetch = document.get("prefetch") is True
        self.trusted = document.get("trusted") is True
        source, _, store = str(document.get("users_of") or "").partition("/")
        self.users = (source, store) if source and store else (envelope.source, envelope.store)

    def events(self, position: int) -> Sequence[Event]:
        """What one call says."""
        call = self.calls[position]
        match call.get("type"):
            case "page" | "screen":
                return (self._event(position, EventType.PAGE_VIEWED, self._page(position)),)
            case "track":
                return (self._tracked(position),)
            case "identify":
                if not self._may_name(position):
                    return (self._event(position, EventType.CUSTOMER_UPDATED, ProfileFacts()),)
                attributes = traits.attributes_of({**inner(inner(call, "context"), "traits"), **inner(call, "traits")})
                return (self._event(position, EventType.CUSTOMER_UPDATED, ProfileFacts(attributes=attributes)),)
            case "alias":
                return self._alias(position)
            case _:
                return (self._unknown(position),)

    def _event(self, position: int, event_type: EventType, facts: Facts, person: Person | None = None) -> Event:
        who = person or self._person(position)
        if not (who.source_customer_id or who.anonymous_ids or who.email or who.phone):
            # Nobody's: neither userId nor anonymousId.
            return self._unknown(position)
        return self._made(position, event_type, facts, who)

    def _made(self, position: int, event_type: EventType, facts: Facts, person: Person) -> Event:
        at = from_iso(self.times[position])
        source, store = self.users
        made = derive.event(self.envelope, event_type, facts, person, version=at)
        return replace(made, event_id=EventId(self.ids[position]), occurred_at=at, source=source, store=store)

    def _unknown(self, position: int) -> Event:
        return self._made(position, EventType.UNKNOWN, UnknownFacts(), Person())

    def _machine(self, call: Call) -> bool:
        return wire.is_machine(call, "" if self.trusted else self.agent, prefetch=self.prefetch)

    def _tracked(self, position: int) -> Event:
        call = self.calls[position]
        name = call.get("event")
        if not isinstance(name, str) or not name.strip():
            return self._unknown(position)
        if is_login(name):
            return self._event(position, EventType.LOGGED_IN, LoginFacts(machine=self._machine(call)))
        shown = storable(name).strip()[:100]
        facts = TrackedFacts(
            name="-" if looks_personal(shown) else shown,
            properties=plain_properties(inner(call, "properties")),
            machine=self._machine(call),
        )
        return self._event(position, EventType.TRACKED, facts)

    def _page(self, position: int) -> PageFacts:
        call = self.calls[position]
        said, context = inner(call, "properties"), inner(call, "context")
        page = inner(context, "page")
        title = _text(said, "title") or _text(page, "title") or _text(call, "name")
        referrer = _text(said, "referrer") or _text(page, "referrer") or ""
        return PageFacts(
            url=wire.page_url(call, self.envelope.store) or _screen_url(call, self.envelope.store),
            title=None if looks_personal(title or "") else title,
            page_type=_word(said, "page_type", "pageType") or self._kind(position),
            product_id=_word(said, "product_id", "productId"),
            category=_word(said, "category") or _word(call, "category"),
            referrer_host=host_of(referrer),
            campaign=campaign_of(context, _text(said, "search") or _text(page, "search") or ""),
            machine=self._machine(call),
        )

    def _kind(self, position: int) -> str | None:
        kind = self.pages[position] if isinstance(self.pages, list) and position < len(self.pages) else None
        return kind if isinstance(kind, str) else None

    def _alias(self, position: int) -> Sequence[Event]:
        call = self.calls[position]
        previous, user = _id(call, "previousId"), _id(call, "userId")
        if not previous or not user or looks_personal(previous):
            return (self._unknown(position),)
        person = self._person(position)
        both = replace(person, anonymous_ids=tuple(sorted({*person.anonymous_ids, f"visitor/{previous}"})))
        met = self._event(position, EventType.CUSTOMER_UPDATED, ProfileFacts(), both)
        if not self.trusted or looks_personal(user) or previous == user:
            return (met,)
        merge = MergeFacts(kept_customer_id=user, deleted_customer_id=previous)
        merged = self._made(position, EventType.CUSTOMERS_MERGED, merge, Person(source_customer_id=user))
        return met, replace(merged, event_id=EventId(f"{merged.event_id}:merge"))

    def _person(self, position: int) -> Person:
        """Whose call it is. Contact data only from `identify`; SDKs repeat old traits in the context of every call."""
        call = self.calls[position]
        if not self._may_name(position):
            return Person(anonymous_ids=self._anonymous(call), claimed=True)
        said: Mapping[str, Any] = {}
        if call.get("type") == "identify":
            said = {**inner(inner(call, "context"), "traits"), **inner(call, "traits")}
        person = traits.person_of(said)
        user = _id(call, "userId")
        if user and looks_like_email(user):
            person, user = replace(person, email=person.email or read.email({"email": user})), None
        elif user and looks_like_phone(user):
            person, user = replace(person, phone=person.phone or user), None
        return replace(person, source_customer_id=user, anonymous_ids=self._anonymous(call), claimed=not self.trusted)

    def _may_name(self, position: int) -> bool:
        """May this call say who its visitor is? Not a browser's without the proof that its connection wants."""
        return not isinstance(self.named, list) or (position < len(self.named) and self.named[position] is True)

    def _anonymous(self, call: Call) -> tuple[str, ...]:
        visitor = _id(call, "anonymousId")
        keys = {f"visitor/{visitor}"} if visitor else set()
        if self.users != (self.envelope.source, self.envelope.store) and call.get("type") == "track":
            said = inner(call, "properties")
            keys |= {f"cart/{cart}" for cart in (_id(said, "cart_id"),) if cart}
            keys |= {f"checkout/{checkout}" for checkout in (_id(said, "checkout_id"),) if checkout}
            # Order numbers can be guessed: only the shop's own server may say whose one is.
            keys |= {f"order/{order}" for order in (_id(said, "order_id"),) if order and self.trusted}
        return tuple(sorted(keys))


def is_login(name: str) -> bool:
    """Is this track call a login, as sites name it?"""
    return _GAP.sub(" ", unicodedata.normalize("NFKC", name[:100]).casefold()).strip() in LOGINS


def _document(raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise RejectedError("the kept calls cannot be read") from None
    if not isinstance(document, dict):
        raise RejectedError("the kept calls cannot be read")
    return document


def _texts(document: Mapping[str, Any], name: str, count: int) -> Sequence[str]:
    found = document.get(name)
    if not isinstance(found, list) or len(found) != count or not all(isinstance(text, str) for text in found):
        raise RejectedError(f"the kept calls have no {name!r}")
    return found


def _id(body: Mapping[str, Any], name: str) -> str | None:
    """An id as text; sites send numbers too."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return storable(str(value)[: MAX_ID * 2]).strip()[:MAX_ID] or None


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return (storable(value[:4000]).strip()[:500] or None) if isinstance(value, str) else None


def _word(body: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = body.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            text = storable(str(value)[:400]).strip()[:100]
            if text and not looks_personal(text):
                return text
    return None


def _screen_url(call: Call, store: str) -> str:
    """An app has screens, not addresses: `app://store/Home`."""
    name = _word(call, "name") or _word(inner(call, "properties"), "name") or "-"
    return f"app://{store}/{name}"
