"""GET|HEAD /v1/surveys/{token}: the form of a survey (アンケート)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.keys import load_key_ring
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.ingest.surveys.answer import ShowDeps, show_http
from shared.ingest.surveys.book import SurveyBook


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    keys_secret: str
    prefix: str


@cache
def _dependencies() -> ShowDeps:
    settings = load(Settings)
    return ShowDeps(
        keys=lambda: load_key_ring(settings.keys_secret),
        read_shop=lambda tenant: load_shop(settings.prefix, tenant),
        surveys=SurveyBook(client("ssm"), settings.prefix),
    )


def handler(event: dict[str, Any], _context: object, deps: ShowDeps | None = None) -> dict[str, Any]:
    """Answer one API Gateway HTTP API request (payload 2.0)."""
    return show_http(event, deps or _dependencies(), SystemClock().now())
