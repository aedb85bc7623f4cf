"""CloudWatch custom widgets: one function draws every view of the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from shared.admin.draw import Answer, draw
from shared.admin.sources import Sources, known_shop, parse_titles
from shared.analytics.reports import ReportStore
from shared.core.clock import SystemClock
from shared.core.ids import TenantId
from shared.core.settings import load
from shared.scenarios.store import DynamoEnrolmentStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    reports_table: str
    scenarios_table: str
    scenarios: str
    prefix: str


class _Context(Protocol):
    invoked_function_arn: str


def _sources(settings: Settings, tenant: TenantId) -> Sources:
    return Sources(
        shop=known_shop(settings.prefix, tenant),
        reports=ReportStore(settings.reports_table),
        funnels=DynamoEnrolmentStore(settings.scenarios_table),
        scenarios=parse_titles(settings.scenarios),
        now=SystemClock().now(),
    )


def handler(event: dict[str, Any], context: _Context) -> Answer:
    """Answer CloudWatch: HTML, or Markdown for `describe`."""
    return draw(event, context.invoked_function_arn.split(":")[4], partial(_sources, load(Settings)))
