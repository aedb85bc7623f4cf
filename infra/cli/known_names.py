"""Names in a scenario that only its shop knows: saved segments (セグメント) and the campaigns of coupons (クーポン)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.cli.session import connect
from infra.cli.which_shop import which_shop
from shared.analytics.segments.store import SegmentStore
from shared.core.mistakes import Mistake, line_of, nearest
from shared.delivery.coupons.store import DynamoCoupons
from shared.scenarios.language.steps import Couponing, walk
from shared.scenarios.model import Scenario


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What a shop has."""

    segments: frozenset[str]
    campaigns: frozenset[str]


def known_names(shop: str | None) -> KnownNames:
    """Of the shop named, or of the only one."""
    deployment = connect()
    tenant, dynamodb = which_shop(deployment, shop).tenant, deployment.client("dynamodb")
    segments = SegmentStore(deployment.outputs["ReportsTable"], dynamodb).all(tenant)
    books = DynamoCoupons(deployment.outputs["DeliveriesTable"], dynamodb).books(tenant)
    return KnownNames(frozenset(each.name for each in segments), frozenset(each.campaign for each in books))


def unknown_names(scenario: Scenario, file: Path, known: KnownNames) -> Iterator[Mistake]:
    """Nobody would ever enter by a segment that is not saved, and a coupon without codes stops the batch."""
    campaigns = {step.coupon for step in walk(scenario.steps) if isinstance(step, Couponing)}
    for kind, asked, there, make in (
        ("segment", scenario.segments, known.segments, "`matakite segment save`"),
        ("coupon", campaigns, known.campaigns, "`matakite mail coupon load` or `make`"),
    ):
        for name in sorted(asked - there):
            hint = nearest(name, there) or f"Make it first: {make}"
            yield Mistake(
                file.name, line_of(name, file), f"{kind} {name}", f"the shop has no {kind} of this name", hint
            )
