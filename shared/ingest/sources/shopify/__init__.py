"""Shopify webhooks: https://shopify.dev/docs/api/webhooks (bodies of API version 2026-04; older ones read too).

The topic says what happened, the body says what *is*. Its pitfalls are handled here and nowhere else: ids beyond
2^53, money as text in up to three currencies, guests, and consent that arrives only on its own topics. Decided here:

- Only contracts of the app itself are told (`subscription_contracts/*`: no lines, no price, no date). An order of a
  foreign subscription app (定期購入アプリ) is known by the beginning of its `source_name` or by the tags such apps
  set; its lines are then marked as 定期, its contract stays unknown.
- A parcel's progress (`fulfillments/*`, `fulfillment_events/create`) and single payments are steps of the order; the
  order's own body comes on `orders/*`. An edited order comes again as `orders/updated`, with totals.
- A product says no currency: its price is read with the decimals it is written with. `variants/*` is about one variant.
- The day a saved card expires is kept as an attribute, because it announces a failed payment; its number is not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, delivered
from shared.ingest.body import Body
from shared.ingest.derive import unknown
from shared.ingest.model import Envelope, Event
from shared.ingest.signing import hmac_base64, is_any, live_secrets
from shared.ingest.sources.shopify.compliance import COMPLIANCE, check_shop
from shared.ingest.sources.shopify.fields import GID, NAME
from shared.ingest.sources.shopify.topics import MAY_NAME_NOTHING, TOPICS

__all__ = ["ABOUT", "ADAPTER", "COMPLIANCE", "NAME", "TOPICS", "signature"]

_EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_TOPIC = re.compile(r"[a-z0-9_./]{1,100}", re.ASCII)
_CLASSIC_TOPIC = re.compile(r"[/.]")


class Shopify:
    """Adapter of Shopify's HTTPS webhooks."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """base64(HMAC-SHA256(secret, raw body)) by a live secret, from the shop this connection belongs to.

        One app secret signs for every shop, so a signature alone does not say which shop a body is from.
        """
        signatures = (signature(secret, request.body) for secret in live_secrets(connection, now))
        genuine = is_any(_header(request, "hmac-sha256"), signatures)
        domain = _header(request, "shop-domain").strip().lower()
        return genuine and hmac.compare_digest(domain.encode("utf-8", "replace"), connection.store.lower().encode())

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The delivery in a verified request; none for a test notification or the 2026 Events preview."""
        body = read.parse_object(request.body)
        if _is_events_preview(request) or _header(request, "test").strip().lower() == "true":
            return ()
        topic = _header(request, "topic").strip().lower()
        if not _TOPIC.fullmatch(topic):
            raise RejectedError("header X-Shopify-Topic is missing or malformed")
        event_id = _event_id(request, connection, topic)
        return (
            delivered(
                request,
                connection,
                now,
                about=_thing(topic, body, connection.store),
                event_id=event_id,
                topic=topic,
                occurred_at=read.happened_at(
                    now, _header(request, "triggered-at"), body.get("updated_at"), body.get("created_at")
                ),
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the envelope says. A topic without a reading is one UNKNOWN event."""
        topic = TOPICS.get(envelope.topic)
        body = read.parse_object(envelope.raw)
        return topic.read(envelope, body) if topic else (unknown(envelope),)


ADAPTER = Shopify()

ABOUT = About(
    title="Shopify",
    arrives="webhook (HTTPS), API 2026-04 and older bodies",
    orders="yes: create, update, paid, fulfilled, arrived, cancel, delete, refund; products and stock",
    customers="yes: tags, segments, merges and erasure requests too",
    consent="yes: e-mail and SMS, from their own topics",
    carts="yes: carts and checkouts, with a link back",
    signature="base64 HMAC-SHA256 of the raw body; the shop's domain is compared",
    dedupe="`X-Shopify-Webhook-Id`, the same on every retry",
    limits="8 retries in 4 h, then Shopify drops the webhook; contracts (定期) only of the app itself, without lines, "
    "price and next date; of a foreign 定期購入 app only its orders are known, by their mark; the 2026 Events preview "
    "is answered and not kept",
    webhook=True,
)


def signature(secret: str, body: bytes) -> bytes:
    """The text Shopify sends in X-Shopify-Hmac-SHA256."""
    return hmac_base64(secret, body)


def _header(request: Request, name: str) -> str:
    """A header of either style: `x-shopify-…`, or `shopify-…` of the Events preview."""
    return request.headers.get(f"x-shopify-{name}") or request.headers.get(f"shopify-{name}") or ""


def _is_events_preview(request: Request) -> bool:
    """Its topics are one word (`Order`) beside an action; `orders/create` without `x-` is a webhook like any other."""
    if "x-shopify-topic" in request.headers or "shopify-topic" not in request.headers:
        return False
    return "shopify-action" in request.headers or not _CLASSIC_TOPIC.search(request.headers["shopify-topic"])


def _event_id(request: Request, connection: Connection, topic: str) -> EventId:
    """The delivery's own id, the same on every retry; a digest where a proxy lost it."""
    given = _header(request, "webhook-id").strip()
    if _EVENT_ID.fullmatch(given):
        return EventId(given)
    body_hash = hashlib.sha256(request.body).hexdigest()
    return EventId(digest(NAME, connection.connection_id, topic, body_hash, _header(request, "triggered-at")))


def _thing(topic: str, body: Body, store: str) -> tuple[str, str | None]:
    known = TOPICS.get(topic)
    if topic in COMPLIANCE:
        check_shop(body, store)
    kind, key = known.subject(body) if known else (topic.partition("/")[0], _any_id(body))
    if known and key is None and topic not in MAY_NAME_NOTHING:
        raise RejectedError(f"the body of {topic} has no id of its {kind}")
    return kind, key


def _any_id(body: Body) -> str | None:
    try:
        return read.identifier(body, gid=GID)
    except RejectedError:
        return None
