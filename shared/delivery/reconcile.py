"""What becomes of sends in doubt (UNKNOWN): SES's own events settle most within seconds (feedback.py).

After 15 minutes without one, a marketing mail stays UNKNOWN for good: it is counted and shown, never sent again.
A transactional mail (an order confirmation) is sent a second time, once in its life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.errors import MisconfiguredError, RejectedError, UnavailableError
from shared.core.ids import TenantId
from shared.core.telemetry import logger
from shared.delivery.model import IN_FLIGHT, LedgerRow, Purpose, SendState
from shared.delivery.send import SendDeps, deliver

PATIENCE = timedelta(minutes=15)
"""How long SES's events may take."""

RECENT = timedelta(days=1)
"""How long a doubt that nobody can resolve is reported; the row says it for ever, the alarm must end."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Sends that came into doubt lately and stay so, and those sent a second time."""

    unresolved: int = 0
    resent: int = 0

    def __add__(self, other: Reconciled) -> Reconciled:
        return Reconciled(self.unresolved + other.unresolved, self.resent + other.resent)


@dataclass(frozen=True)
class ReconcileDeps:
    """What a run over all shops needs."""

    sending: SendDeps
    tenants: Callable[[], Iterable[TenantId]]


def reconcile_all(deps: ReconcileDeps, now: datetime) -> Reconciled:
    """One look at every shop of the deployment."""
    try:
        return sum((reconcile(tenant, deps.sending, now) for tenant in deps.tenants()), Reconciled())
    finally:
        deps.sending.put_back()


def reconcile(tenant: TenantId, deps: SendDeps, now: datetime) -> Reconciled:
    """Look once at every send of a shop that has been in doubt for longer than PATIENCE. Safe to die anywhere in it:
    a row stays in view until it is final.
    """
    rows = deps.ledger.unresolved(tenant, now - PATIENCE)
    return sum((_look_at(row, deps, now) for row in rows), Reconciled())


def _look_at(row: LedgerRow, deps: SendDeps, now: datetime) -> Reconciled:
    if not _may_resend(row, deps, now):
        return Reconciled(unresolved=row.state is SendState.UNKNOWN and _recent(row, now))
    try:
        person = deps.read_person(row.tenant, row.customer_id)
        assert row.request is not None  # noqa: S101 - `_may_resend` said so
        outcome = deliver(row.request, person, deps, now)
    except UnavailableError:
        return Reconciled(unresolved=1)
    except (MisconfiguredError, RejectedError) as error:
        # One shop's broken settings are no reason to leave the others' mails unsent.
        said = {"tenant": row.tenant, "send_id": row.send_id, "error": str(error)}
        logger("delivery").error("a send in doubt could not be repeated", extra=said)
        return Reconciled(unresolved=_recent(row, now))
    return Reconciled(resent=outcome.state is SendState.SENT, unresolved=outcome.state is SendState.UNKNOWN)


def _recent(row: LedgerRow, now: datetime) -> bool:
    return row.unresolved_since is not None and row.unresolved_since > now - RECENT


def _may_resend(row: LedgerRow, deps: SendDeps, now: datetime) -> bool:
    """Transactional, on a channel there is here, and either opened again now or by a run that died before it could
    send. What was handed to the shop is none of it: its tray is the step's.
    """
    if row.purpose is not Purpose.TRANSACTIONAL or row.request is None or row.channel not in deps.channels:
        return False
    if row.state in IN_FLIGHT:
        return row.resent
    return row.state is SendState.UNKNOWN and deps.ledger.reopen(row.key, now)
