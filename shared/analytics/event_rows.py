"""What the lake's tables of messages, page views and products keep of an event: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from shared.analytics.impersonal import open_path, open_text
from shared.analytics.rows import Row, event_row
from shared.analytics.schema import EVENTS, MESSAGES, PAGE_VIEWS, PRODUCTS, Table
from shared.core.clock import shop_day
from shared.core.ids import Ref, digest
from shared.core.shop import Shop
from shared.ingest.model import Event, LoginFacts, MessageFacts, PageFacts, ProductFacts, TrackedFacts

_MESSAGE = "message_"


def rows_of_event(event: Event, refs: Iterable[Ref], shop: Shop) -> Iterator[tuple[Table, Row]]:
    """Every row an event is in the lake: always one of `events`, and one of the table of its kind."""
    known = tuple(refs)
    yield EVENTS, event_row(event, known, shop)
    match event.facts:
        case MessageFacts():
            yield MESSAGES, _message(event, event.facts, shop)
        case PageFacts() | LoginFacts() | TrackedFacts():
            yield PAGE_VIEWS, _visit(event, event.facts, known, shop)
        case ProductFacts(variant_id=None):  # a notice about one variant has no title: it stays in the events
            yield PRODUCTS, _product(event, event.facts, shop)


def _message(event: Event, facts: MessageFacts, shop: Shop) -> Row:
    return {
        "event_id": event.event_id,
        "send_id": facts.send_id,
        "customer_id": facts.customer_id,
        "scenario": facts.scenario,
        "step": facts.step,
        "arm": facts.arm,
        "channel": facts.channel,
        "event": event.event_type.value.removeprefix(_MESSAGE),
        "reason": facts.reason or None,
        "permanent": facts.permanent,
        "link": digest(facts.link) if facts.link else None,
        "machine": facts.machine,
        **_times(event, shop),
        "received_at": event.received_at,
    }


def _visit(event: Event, facts: PageFacts | LoginFacts | TrackedFacts, refs: tuple[Ref, ...], shop: Shop) -> Row:
    return {
        "event_id": event.event_id,
        "ref": refs[0] if refs else None,
        "refs": list(refs),
        "source": event.source,
        "store": event.store,
        "machine": facts.machine,
        "kind": facts.kind,
        **(_page(facts) if isinstance(facts, PageFacts) else {}),
        **({"name": open_text(facts.name)} if isinstance(facts, TrackedFacts) else {}),
        **_times(event, shop),
        "received_at": event.received_at,
    }


def _page(facts: PageFacts) -> dict[str, Any]:
    return {
        "path": open_path(urlsplit(facts.url).path),
        "page_type": facts.page_type,
        "product_id": open_text(facts.product_id),
        "category": open_text(facts.category),
        "campaign": open_text(facts.campaign),
        "referrer_host": facts.referrer_host,
    }


def _product(event: Event, facts: ProductFacts, shop: Shop) -> Row:
    return {
        "event_id": event.event_id,
        "source": event.source,
        "store": event.store,
        "product_id": facts.product_id,
        "title": facts.title,
        "category": facts.category,
        "price": facts.price,
        "currency": facts.currency,
        "stock": facts.stock,
        "deleted": facts.deleted,
        "url": facts.url,
        "image_url": facts.image_url,
        "version": event.version,
        **_times(event, shop),
        "written_at": event.received_at,
    }


def _times(event: Event, shop: Shop) -> dict[str, Any]:
    return {"occurred_at": event.occurred_at, "occurred_on": shop_day(event.occurred_at, shop.timezone)}
