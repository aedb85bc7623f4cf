"""Following a link of ours (クリック): where it leads is looked up, so it leads nowhere but where the message said.

GET and HEAD lead on (302) and change nothing but what is known of the message. A program that follows links is led on
as well and told apart: HEAD, a browser that loads ahead, an agent that is none, or quicker than anybody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from shared.core.errors import UnavailableError
from shared.core.keys import KeyRing
from shared.core.pages import HEADERS, Page
from shared.core.telemetry import logger
from shared.delivery.links.link import is_ours, parse_token
from shared.delivery.links.store import Followed, LinkStore
from shared.delivery.model import LedgerRow
from shared.delivery.render import TemplateStore
from shared.delivery.store import LedgerStore
from shared.ingest.sources.page import click_envelope
from shared.ingest.sources.ses import MACHINE_SECONDS
from shared.ingest.store import EventStore
from shared.ingest.tracking.machines import is_machine_agent, is_prefetch

CLICKED = "clicked"
_TITLES = {"invalid": "リンクを確認できませんでした", "busy": "ページを開けませんでした"}


@dataclass(frozen=True, slots=True)
class ClickDeps:
    """What following a link needs."""

    keys: Callable[[], KeyRing]
    links: LinkStore
    ledger: LedgerStore
    events: EventStore
    pages: TemplateStore = field(default_factory=TemplateStore)


def answer_http(event: Mapping[str, Any], deps: ClickDeps, now: datetime) -> dict[str, Any]:
    """One request of an API Gateway HTTP API (payload 2.0)."""
    method = event["requestContext"]["http"]["method"]
    headers = {str(name).lower(): str(value) for name, value in event.get("headers", {}).items()}
    page = follow(str(event.get("pathParameters", {}).get("token", "")), method, headers, deps, now)
    return page.answer(head=method == "HEAD")


def follow(token: str, method: str, headers: Mapping[str, str], deps: ClickDeps, now: datetime) -> Page:
    """Where this link leads. A click that cannot be noted is led on all the same."""
    try:
        found = _found(token, deps)
    except UnavailableError:
        return _page(503, "busy", deps)
    if found is None:
        return _page(404, "invalid", deps)
    try:
        _note(found, method, headers, deps, now)
    except UnavailableError:
        logger("delivery").warning("a click could not be noted", extra={"send_id": found.key.send_id})
    return Page(302, "", {**HEADERS, "location": found.link.url})


def _found(token: str, deps: ClickDeps) -> Followed | None:
    said = parse_token(token)
    found = deps.links.find(*said) if said else None
    if found is None or not is_ours(found.link.code, found.key, found.link.url, deps.keys()):
        return None
    return found if urlsplit(found.link.url).scheme in {"https", "http"} else None


def _note(found: Followed, method: str, headers: Mapping[str, str], deps: ClickDeps, now: datetime) -> None:
    row = deps.ledger.row(found.key)
    machine = method == "HEAD" or is_prefetch(headers) or _no_reader(headers) or _at_once(row, now)
    said = {
        "customer_id": found.key.customer_id,
        "send_id": found.key.send_id,
        "channel": found.channel,
        "message_id": row.message_id if row else "",
        "scenario": found.scenario,
        "step": found.step,
        "link": f"{_origin(found.link.url)}#{found.link.number}",
        "machine": machine,
    }
    deps.events.put_once(click_envelope(found.key.tenant, said, found.link.code, now))
    if not machine:
        deps.ledger.react(found.key, CLICKED, now)


def _no_reader(headers: Mapping[str, str]) -> bool:
    agent = headers.get("user-agent", "")
    return not agent or is_machine_agent(agent)


def _at_once(row: LedgerRow | None, now: datetime) -> bool:
    """Before anybody can have read it: what looks into a message on its way follows every link in it."""
    left_at = (row.marked_at or row.sent_at) if row else None
    return left_at is None or now - left_at < timedelta(seconds=MACHINE_SECONDS)


def _origin(url: str) -> str:
    """`https://shop.example.jp`: the rest may be a secret of the buyer."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"


def _page(status: int, state: str, deps: ClickDeps) -> Page:
    return deps.pages.page(status, "link", {"state": state, "title": _TITLES[state]})
