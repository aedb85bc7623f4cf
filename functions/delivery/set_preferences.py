"""GET|HEAD|POST /v1/preferences/{token}: what a person wants to hear, and how often. Only POST acts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.delivery.live_pages import live_pages
from shared.delivery.preference_centre import answer_http
from shared.delivery.unsubscribe import UnsubscribeDeps


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    customers_table: str
    events_table: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> UnsubscribeDeps:
    return live_pages(**asdict(load(Settings)))


def handler(event: dict[str, Any], _context: object, deps: UnsubscribeDeps | None = None) -> dict[str, Any]:
    """Answer one API Gateway HTTP API request (payload 2.0)."""
    return answer_http(event, deps or _dependencies(), SystemClock().now())
