"""Every 15 minutes: sends in doubt are counted; a transactional one is sent a second time, once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.shop import list_shop_ids
from shared.core.telemetry import logger, tell
from shared.customers.store import CustomerStore
from shared.delivery.live import live_send_deps
from shared.delivery.reconcile import ReconcileDeps, reconcile_all


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    deliveries_table: str
    customers_table: str
    keys_secret: str
    configuration_set: str
    prefix: str


@cache
def _dependencies() -> ReconcileDeps:
    settings = load(Settings)
    sending = live_send_deps(
        settings.deliveries_table,
        CustomerStore(settings.customers_table),
        settings.keys_secret,
        settings.configuration_set,
        settings.prefix,
    )
    return ReconcileDeps(sending, tenants=lambda: list_shop_ids(settings.prefix))


def handler(_event: dict[str, Any], _context: object, deps: ReconcileDeps | None = None) -> dict[str, int]:
    """One look at every shop."""
    found = reconcile_all(deps or _dependencies(), SystemClock().now())
    tell("delivery", "SendsInDoubt", found.unresolved)
    logger("delivery").info("reconciled", extra={"unresolved": found.unresolved, "resent": found.resent})
    return {"unresolved": found.unresolved, "resent": found.resent}
