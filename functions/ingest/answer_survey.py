"""POST /v1/surveys/{token} and /v1/surveys/{survey}/answers: answers to a survey (アンケート回答)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.keys import load_key_ring
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.ingest.connections import SsmConnections
from shared.ingest.oversize import NoOversize
from shared.ingest.store import DynamoEventStore
from shared.ingest.surveys.answer import AnswerDeps, answer_http
from shared.ingest.surveys.book import SurveyBook


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    events_table: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> AnswerDeps:
    settings = load(Settings)
    return AnswerDeps(
        keys=lambda: load_key_ring(settings.keys_secret),
        read_shop=lambda tenant: load_shop(settings.prefix, tenant),
        surveys=SurveyBook(client("ssm"), settings.prefix),
        events=DynamoEventStore(client("dynamodb"), settings.events_table, NoOversize()),
        connections=SsmConnections(client("ssm"), settings.prefix),
    )


def handler(event: dict[str, Any], _context: object, deps: AnswerDeps | None = None) -> dict[str, Any]:
    """Answer one API Gateway HTTP API request (payload 2.0)."""
    return answer_http(event, deps or _dependencies(), SystemClock().now())
