"""`matakite delivery`: is mail going out, how fast may it, and is a shop stopped?"""

from __future__ import annotations

import getpass
from datetime import date, timedelta
from typing import Annotated

import typer
from rich.console import Console

from infra.cli.session import Deployment, connect
from infra.cli.shop import sender_state
from infra.cli.which_shop import OfShop, which_shop
from shared.core.clock import SystemClock
from shared.core.errors import RejectedError
from shared.delivery.account import read_quota
from shared.delivery.pace.store import DynamoPaceStore
from shared.delivery.pacing import Quota
from shared.delivery.policy import contact_policy
from shared.delivery.reputation import Reputation, judge

app = typer.Typer(name="delivery", help="Sending / 配信の状態", no_args_is_help=True, add_completion=False)
_console = Console(soft_wrap=True, highlight=False)


@app.command()
def status(shop: OfShop = None) -> None:
    """The account's quota, the sender, the shop's bounces and complaints, its warm-up, and whether it is stopped."""
    deployment = connect()
    found = which_shop(deployment, shop)
    today = SystemClock().now().date()
    _console.print(describe_quota(read_quota(deployment.client("sesv2"))))
    _console.print(sender_state(deployment, found))
    _console.print(describe(_store(deployment).reputation(found.tenant), today))
    if warm_up := contact_policy(found).warm_up:
        _console.print(
            f"warm-up since {warm_up.begins_on}: today at most {warm_up.cap(today) or 'any number of'} mails"
        )


@app.command()
def resume(
    reason: Annotated[str, typer.Option(help="What was found and mended; kept with the name of who resumes.")],
    shop: OfShop = None,
) -> None:
    """Let a stopped shop send again; its figures are counted anew from here."""
    deployment = connect()
    found = which_shop(deployment, shop)
    by = f"{getpass.getuser()}: {reason}"
    if not _store(deployment).resume(found.tenant, by, SystemClock().now()):
        raise RejectedError(f"shop {found.tenant!r} is not stopped; `matakite delivery status` shows what is")
    _console.print(f"{found.tenant}: sending goes on within ten seconds; batches that wait come back by themselves")


def describe_quota(quota: Quota) -> str:
    """One line on the account."""
    day = "any number" if quota.per_day < 0 else f"{quota.per_day:,.0f}"
    paused = "" if quota.enabled else " — PAUSED by SES"
    return f"SES: {quota.per_second:g} a second, {quota.used_today:,.0f} of {day} in 24 hours{paused}"


def describe(reputation: Reputation, today: date) -> str:
    """One line on the shop."""
    judgement = judge(reputation.days, today)
    if reputation.stopped_at is not None:
        return f"STOPPED since {reputation.stopped_at:%Y-%m-%d %H:%M} UTC: {reputation.why}"
    month = sum(day.sent for on, day in reputation.days.items() if on > today - timedelta(days=30))
    return f"{judgement.verdict}: {judgement.why or f'{month} mails in 30 days: too few to judge'}"


def _store(deployment: Deployment) -> DynamoPaceStore:
    return DynamoPaceStore(deployment.outputs["DeliveriesTable"], deployment.client("dynamodb"))
