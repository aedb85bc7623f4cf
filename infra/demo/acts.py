"""The acts of the day, on a stage: post, let the schedule sweep, unsubscribe as a mail program does, wait."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import urllib3

from infra.cli.session import Deployment
from infra.demo import verify
from infra.demo.post import Tally, post_all
from infra.demo.settle import settle, wait_until
from infra.demo.stage import Stage
from infra.demo.story import Day, Role
from infra.local.process import Emulator
from shared.core.clock import SystemClock
from shared.core.errors import UnavailableError

SCENARIO = verify.SCENARIO
WAIT_SCALE = 1 / 7200
"""A day of the scenario's waits passes in 12 seconds: long enough to order or unsubscribe before the second mail."""
HURRY = 1 / 86_400
"""A day in a second: when the evening is over nobody has anything left to do."""
_PATIENCE_SECONDS = 150
"""Many times what it takes: the machine may have other things to do."""


def morning(stage: Stage, emulator: Emulator, day: Day, progress: Callable[[], None] = lambda: None) -> Tally:
    """Post everything that happens before the first mail, and let the streams carry it."""
    tally = post_all(stage.endpoint, day.morning, progress)
    settle(emulator, executions=False)
    return tally


def first_mails(stage: Stage, emulator: Emulator, due_at: datetime) -> None:
    """Wait until the carts are due, let the sweep's schedule fire, and wait until everybody's first mail is decided."""
    time.sleep(max(0.0, (due_at - SystemClock().now()).total_seconds()))
    fire_schedule(stage.deployment, SCENARIO)
    wait_until(
        lambda: verify.undecided(stage.deployment, stage.shop.tenant) == 0, "everybody's first mail", _PATIENCE_SECONDS
    )


def evening(stage: Stage, emulator: Emulator, day: Day) -> Tally:
    """Some order after the first mail, some unsubscribe from it: at once, before the second is due."""
    tally = post_all(stage.endpoint, day.evening)
    addresses = {s.buyer.email for s in day.by_role(Role.UNSUBSCRIBES_AFTER_FIRST_MAIL)}
    for mail in verify.outbox(emulator, stage.shop.tenant):
        if verify.recipient(mail) in addresses:
            unsubscribe(mail)
    settle(emulator, executions=False)
    return tally


def all_mails(emulator: Emulator) -> None:
    """Wait until every state machine is done and every event of every mail was heard."""
    settle(emulator, seconds=_PATIENCE_SECONDS)


def unsubscribe(mail: dict[str, Any]) -> None:
    """What a mail program does when its reader presses "unsubscribe" (RFC 8058): one POST, no cookies, no page."""
    headers = {header["name"].lower(): header["value"] for header in mail["headers"]}
    link = re.search(r"<(https?://[^>]+)>", headers["list-unsubscribe"])
    if link is None or headers["list-unsubscribe-post"] != "List-Unsubscribe=One-Click":
        raise UnavailableError("a mail cannot be unsubscribed from with one click")
    form = {"List-Unsubscribe": "One-Click"}
    answer = urllib3.PoolManager().request_encode_body("POST", link[1], fields=form, encode_multipart=False)
    if answer.status != 200:
        raise UnavailableError(f"unsubscribing answered {answer.status}")


def fire_schedule(deployment: Deployment, scenario: str) -> None:
    """Do now what EventBridge Scheduler does every minute: invoke the schedule's target with the schedule's input."""
    scheduler = deployment.client("scheduler")
    for page in scheduler.get_paginator("list_schedules").paginate():
        for summary in page["Schedules"]:
            target = scheduler.get_schedule(Name=summary["Name"], GroupName=summary["GroupName"])["Target"]
            if ":lambda:" in target["Arn"] and scenario in target.get("Input", ""):
                answer = deployment.client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"])
                if "FunctionError" in answer:
                    raise UnavailableError(f"the sweep failed: {json.load(answer['Payload'])}")
                return
    raise UnavailableError(f"no schedule sweeps {scenario!r}")
