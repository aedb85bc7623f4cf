"""What widgets read from: small rows that other domains aggregated before. No Athena, and nothing about a person."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Protocol

from shared.analytics.reports import Reports
from shared.core.errors import MisconfiguredError, NotFoundError
from shared.core.ids import ScenarioId, TenantId
from shared.core.shop import Shop, load_shop
from shared.scenarios.enrolment import FunnelRow
from shared.scenarios.model import Scenario


@dataclass(frozen=True, slots=True)
class Size:
    """Where a widget stands on the dashboard: in units of its 24-column grid, in the order of `place`."""

    width: int
    height: int
    place: int


@dataclass(frozen=True, slots=True)
class Titles:
    """What a scenario and its sends are called: no Lambda reads scenario files, so the template tells it."""

    scenario: str
    title: str
    steps: Mapping[str, str]
    """Send step → its note, in the order of the file."""


class FunnelRows(Protocol):
    """Reads what the batches of a scenario met."""

    def funnel(self, tenant: TenantId, scenario: ScenarioId, first: date, last: date) -> Iterator[FunnelRow]:
        """The recorded batches of these shop days."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything a view may read, for one shop, at one moment."""

    shop: Shop
    reports: Reports
    funnels: FunnelRows
    scenarios: tuple[Titles, ...]
    now: datetime


def known_shop(prefix: str, tenant: TenantId) -> Shop:
    """The shop's settings. Raises NotFoundError with what to do, because the sentence is shown in the widget."""
    from aws_lambda_powertools.utilities.parameters import GetParameterError

    try:
        return load_shop(prefix, tenant)
    except GetParameterError:
        raise NotFoundError(
            f"ショップ「{tenant}」の設定が見つかりません。上の「ショップ」に matakite shop set の ID を入れてください。"
            f" / The settings of shop {tenant!r} cannot be read: type the id that matakite shop set gave it."
        ) from None


def titles_of(scenarios: Iterable[Scenario]) -> tuple[Titles, ...]:
    """The titles of scenario files."""
    return tuple(Titles(each.id, each.title, {send.send: send.note for send in each.sends()}) for each in scenarios)


def render_titles(titles: Iterable[Titles]) -> str:
    """As text for an environment variable, of which a function has 4 KB in all: packed, about 90 bytes a scenario."""
    text = json.dumps([asdict(each) for each in titles], ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def parse_titles(text: str) -> tuple[Titles, ...]:
    """What `render_titles` wrote. Raises MisconfiguredError."""
    try:
        return tuple(Titles(**document) for document in json.loads(zlib.decompress(base64.b64decode(text))))
    except (ValueError, TypeError, zlib.error) as error:
        raise MisconfiguredError(f"SCENARIOS is not what the template writes: {error}") from None
