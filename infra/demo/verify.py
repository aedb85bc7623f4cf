"""What the demo claims, checked against what the deployment recorded: the outbox, the ledger and the funnel."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.cli.session import Deployment
from infra.demo.stage import Stage
from infra.demo.story import Day, Role
from infra.local.process import Emulator, internal
from shared.core.ids import TenantId
from shared.scenarios.enrolment import EnrolmentState

SCENARIO = "cart_abandoned"
"""The one the day is about; the others are staged and only take note of it."""

SENT = "sent"
UNKNOWN = "unknown"

MAILS_ALLOWED: Mapping[Role, range] = {
    Role.ABANDONS: range(3, 4),
    Role.ORDERS_AT_ONCE: range(0, 1),
    Role.ORDERS_AFTER_FIRST_MAIL: range(1, 2),
    Role.UNSUBSCRIBES_AFTER_FIRST_MAIL: range(1, 2),
    Role.OPTED_OUT: range(0, 1),
    Role.NEVER_AGREED: range(0, 1),
    Role.BOUNCES: range(1, 2),
    Role.COMPLAINS: range(1, 2),
    Role.EMPTIES_CART: range(0, 1),
    Role.GIVES_NO_ADDRESS: range(0, 1),
}
"""How many mails each kind of shopper may get: exactly three who only abandon, none who refused or ordered."""


@dataclass(frozen=True, slots=True)
class Send:
    """One row of the ledger, as far as the count goes."""

    send_id: str
    state: str
    reason: str
    step: str
    message_id: str


@dataclass(frozen=True)
class Findings:
    """What was found, and what contradicts the claims (empty: all hold)."""

    due: int
    sent: int
    held: Mapping[str, int]
    unknown: int
    mails: int
    contradictions: tuple[str, ...]


def outbox(emulator: Emulator, tenant: TenantId) -> list[dict[str, Any]]:
    """Every mail of a shop the local SES accepted, in full."""
    found = internal(emulator, "GET", "/_matakite/outbox?limit=100000")
    mails = found["messages"] if isinstance(found, dict) else found
    return [mail for mail in mails if mail["tags"].get("tenant") == tenant]


def recipient(mail: Mapping[str, Any]) -> str:
    """The address a mail went to."""
    return str(mail["to"][0])


def ledger(deployment: Deployment, tenant: TenantId) -> Iterator[Send]:
    """Every row of the scenario in a shop's send ledger."""
    pages = (
        deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=deployment.outputs["DeliveriesTable"], ConsistentRead=True)
    )
    for page in pages:
        for item in page["Items"]:
            text = {name: value.get("S", "") for name, value in item.items()}
            ours = text["pk"].startswith(f"{tenant}#") and text.get("scenario") == SCENARIO
            if ours and text["sk"].startswith("send#"):
                yield Send(
                    text["sk"].removeprefix("send#"),
                    text["state"],
                    text["reason"],
                    text["step"],
                    text.get("message_id", ""),
                )


def undecided(deployment: Deployment, tenant: TenantId) -> int:
    """How many of a shop wait to enter the scenario, or for its first step."""
    pages = (
        deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=deployment.outputs["ScenariosTable"],
            FilterExpression=(
                "begins_with(pk, :shop) AND sk = :enrolment AND (#state = :armed"
                " OR (#state = :entered AND (attribute_not_exists(#step) OR #step = :none)))"
            ),
            ExpressionAttributeNames={"#state": "state", "#step": "step"},
            ExpressionAttributeValues={
                ":shop": {"S": f"{tenant}#{SCENARIO}#"},
                ":enrolment": {"S": "enrolment"},
                ":armed": {"S": EnrolmentState.ARMED.value},
                ":entered": {"S": EnrolmentState.ENTERED.value},
                ":none": {"S": ""},
            },
            ConsistentRead=True,
        )
    )
    return sum(page["Count"] for page in pages)


def examine(stage: Stage, emulator: Emulator, day: Day, surprises: list[str], due: int) -> Findings:
    """Hold the outbox against the cast, the ledger against the outbox, and both against the funnel's `due`."""
    tenant = stage.shop.tenant
    mails, sends = outbox(emulator, tenant), list(ledger(stage.deployment, tenant))
    states = Counter(send.state for send in sends)
    held = Counter(send.reason or send.state for send in sends if send.state not in (SENT, UNKNOWN))
    contradictions = [
        *surprises,
        *_wrong_mails(day, mails),
        *_mailed_twice(mails),
        *_unrecorded(mails, sends),
    ]
    considered = states[SENT] + states[UNKNOWN] + held.total()
    if considered != due:
        contradictions.append(f"the funnel counted {due} people due, the ledger decided about {considered}")
    return Findings(due, states[SENT], dict(held.most_common()), states[UNKNOWN], len(mails), tuple(contradictions))


def _wrong_mails(day: Day, mails: list[dict[str, Any]]) -> Iterator[str]:
    got = Counter(recipient(mail) for mail in mails)
    for shopper in day.shoppers:
        count = got.pop(shopper.buyer.email or "", 0)
        if count not in MAILS_ALLOWED[shopper.role]:
            yield f"a shopper who {shopper.role.replace('_', ' ')} got {count} mails"
    for count in got.values():
        yield f"somebody who is not in the play got {count} mails"


def _mailed_twice(mails: list[dict[str, Any]]) -> Iterator[str]:
    by_send: dict[str, int] = defaultdict(int)
    for mail in mails:
        by_send[mail["tags"]["send_id"]] += 1
    for send_id, count in by_send.items():
        if count > 1:
            yield f"send {send_id} left {count} times"


def _unrecorded(mails: list[dict[str, Any]], sends: list[Send]) -> Iterator[str]:
    recorded = {send.message_id for send in sends if send.state == SENT}
    left = {str(mail["message_id"]) for mail in mails}
    if missing := left - recorded:
        yield f"{len(missing)} mails left without a record"
    if phantom := recorded - left:
        yield f"{len(phantom)} sends are recorded that never left"
