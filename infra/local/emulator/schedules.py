"""Run EventBridge Scheduler's schedules as AWS does, and let a person fire or pause them.

Without it: MiniStack drops ``ScheduleExpressionTimezone``, start and end from templates
(a nightly run at 02:00 in Tokyo would start at 02:00 UTC),
looks every ten seconds, does not ask whether the schedule's role may reach the target, leaves
``<aws.scheduler.…>`` placeholders in the input, and drops an event that cannot be delivered.
Mended with a clock of our own. ``GET /_matakite/schedules`` lists them; ``POST /_matakite/schedules/fire``
(``{"name": …, "scheduled_time"?: ISO}``) fires one now; ``POST /_matakite/schedules/pause`` (``{"paused": true}``)
stops the clock, so that a demonstration can fire what it wants when it wants.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ministack.core.arn import parse_arn
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import eventbridge, scheduler, stepfunctions
from ministack.services.cloudformation import provisioners

from infra.local.emulator.authorisation import NotAuthorisedError, require_role, require_trust
from infra.local.emulator.gateway import BadInternalRequestError, InternalRequest, route
from infra.local.emulator.settings import EmulatorSettings

logger = logging.getLogger("matakite.schedules")
_TICK_SECONDS = 1.0

Schedule = dict[str, Any]


@dataclass
class _Clock:
    paused: bool = False


_clock = _Clock()


def next_fire(schedule: Schedule, after: datetime) -> datetime | None:
    """The first moment after ``after`` at which the schedule fires, in UTC; None when it never does again."""
    expression = str(schedule.get("ScheduleExpression", ""))
    zone = ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
    if expression.startswith("at("):
        moment = datetime.fromisoformat(expression[3:-1].strip()).replace(tzinfo=zone).astimezone(UTC)
        return moment if moment > after else None
    seconds = eventbridge._parse_rate_seconds(expression)
    if seconds is not None:
        return datetime.fromtimestamp(after.timestamp() + seconds, UTC)
    fields = eventbridge._parse_cron_fields(expression)
    if fields is None:
        raise ValueError(f"cannot read the schedule expression {expression!r}")
    found = eventbridge._cron_next_fire(fields, after.astimezone(zone))
    return found.astimezone(UTC) if found else None


def _within(schedule: Schedule, moment: datetime) -> bool:
    start, end = scheduler._to_epoch(schedule.get("StartDate")), scheduler._to_epoch(schedule.get("EndDate"))
    return (start is None or moment.timestamp() >= start) and (end is None or moment.timestamp() <= end)


def filled_input(schedule: Schedule, scheduled_at: datetime, execution_id: str) -> str:
    """The target's input with AWS's placeholders filled, or the default event when the schedule gives none."""
    stamp = scheduled_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    given = (schedule.get("Target") or {}).get("Input")
    if given is None:
        return json.dumps(
            {
                "version": "0",
                "id": execution_id,
                "detail-type": "Scheduled Event",
                "source": "aws.scheduler",
                "account": parse_arn(schedule["Arn"]).account_id,
                "time": stamp,
                "region": parse_arn(schedule["Arn"]).region,
                "resources": [schedule["Arn"]],
                "detail": "{}",
            }
        )
    values = {
        "schedule-arn": schedule["Arn"],
        "scheduled-time": stamp,
        "execution-id": execution_id,
        "attempt-number": "1",
    }
    text = str(given)
    for name, value in values.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def fire(schedule: Schedule, scheduled_at: datetime) -> None:
    """Deliver to the target with the schedule's role; what cannot be delivered goes to its dead-letter queue."""
    target = schedule.get("Target") or {}
    payload = filled_input(schedule, scheduled_at, str(uuid.uuid4()))
    try:
        _deliver(target, payload)
    except NotAuthorisedError as error:
        logger.warning("schedule %s: %s", schedule.get("Name"), error)
        _dead_letter(target, payload, str(error))


def _deliver(target: dict[str, Any], payload: str) -> None:
    arn, role = str(target.get("Arn", "")), str(target.get("RoleArn", ""))
    require_trust(role, "scheduler.amazonaws.com")
    service = parse_arn(arn).service
    if service == "lambda":
        require_role(role, "lambda:InvokeFunction", arn)
        eventbridge._dispatch_to_lambda(arn, payload)
    elif service == "states":
        require_role(role, "states:StartExecution", arn)
        status, _, body = stepfunctions._start_execution({"stateMachineArn": arn, "input": payload})
        if status >= 400:
            logger.error("schedule target %s: %s", arn, body)
    elif service == "sqs":
        require_role(role, "sqs:SendMessage", arn)
        eventbridge._dispatch_to_sqs(parse_arn(arn), payload, target.get("SqsParameters") or {})
    else:
        logger.error("schedule target %s: the local cloud delivers to Lambda, Step Functions and SQS only", arn)


def _dead_letter(target: dict[str, Any], payload: str, reason: str) -> None:
    queue = str((target.get("DeadLetterConfig") or {}).get("Arn", ""))
    if not queue:
        return
    try:
        require_role(str(target.get("RoleArn", "")), "sqs:SendMessage", queue)
    except NotAuthorisedError as error:
        logger.warning("dead letter lost: %s", error)
        return
    eventbridge._dispatch_to_sqs(parse_arn(queue), payload, {})
    logger.info("dead-lettered: %s", reason)


def _tick(due: dict[Any, datetime | None]) -> None:
    """Fire what has come due since the last look."""
    now = datetime.now(UTC)
    for key, schedule in list(scheduler._schedules._data.items()):
        set_request_account_id(key[0])
        set_request_region(key[1])
        identity = (key, schedule.get("ScheduleExpression"), schedule.get("ScheduleExpressionTimezone"))
        if identity not in due:
            due[identity] = next_fire(schedule, datetime.fromtimestamp(now.timestamp() - _TICK_SECONDS, UTC))
            continue
        moment = due[identity]
        if moment is None or now < moment:
            continue
        due[identity] = next_fire(schedule, moment)
        if schedule.get("State", "ENABLED") == "ENABLED" and _within(schedule, moment) and not _clock.paused:
            fire(schedule, moment)
            if due[identity] is None and schedule.get("ActionAfterCompletion") == "DELETE":
                scheduler._schedules._data.pop(key, None)


def _run_clock() -> None:
    due: dict[Any, datetime | None] = {}
    while True:
        time.sleep(_TICK_SECONDS)
        try:
            _tick(due)
        except (ValueError, KeyError):
            logger.exception("a schedule cannot be read")


def _start_clock() -> None:
    threading.Thread(target=_run_clock, daemon=True, name="schedules").start()


def _list(request: InternalRequest) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            "name": schedule["Name"],
            "group": schedule["GroupName"],
            "expression": schedule["ScheduleExpression"],
            "timezone": schedule.get("ScheduleExpressionTimezone"),
            "state": schedule.get("State"),
            "target": (schedule.get("Target") or {}).get("Arn"),
            "next_at": next_fire(schedule, now),
        }
        for schedule in list(scheduler._schedules._data.values())
    ]


def _fire_now(request: InternalRequest) -> dict[str, Any]:
    given = request.json()
    found = [
        schedule
        for schedule in list(scheduler._schedules._data.values())
        if schedule["Name"] == given.get("name") and schedule["GroupName"] == given.get("group", schedule["GroupName"])
    ]
    if len(found) != 1:
        raise LookupError(f"{len(found)} schedules are named {given.get('name')!r}")
    try:
        moment = datetime.fromisoformat(given["scheduled_time"]) if "scheduled_time" in given else datetime.now(UTC)
    except ValueError as error:
        raise BadInternalRequestError(f"scheduled_time: {error}") from error
    threading.Thread(target=fire, args=(found[0], moment.astimezone(UTC)), daemon=True).start()
    return {"fired": found[0]["Arn"]}


def _pause(request: InternalRequest) -> dict[str, Any]:
    _clock.paused = bool(request.json().get("paused", True))
    return {"paused": _clock.paused}


_DROPPED = ("ScheduleExpressionTimezone", "StartDate", "EndDate", "ActionAfterCompletion")


def _complete(provision: Callable[..., Any], position: int) -> Callable[..., Any]:
    """CloudFormation's schedule keeps the properties MiniStack drops; ``position``: where its properties are given."""

    def provision_complete(*given: Any, **named: Any) -> Any:
        answer = provision(*given, **named)
        name, properties = answer[0], given[position]
        schedule = scheduler._schedules.get(f"{properties.get('GroupName', 'default')}/{name}")
        if schedule is not None:
            schedule.update({key: properties[key] for key in _DROPPED if key in properties})
        return answer

    return provision_complete


def install(settings: EmulatorSettings) -> None:
    """Start our clock in place of MiniStack's."""
    resource = provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"]
    resource["create"] = _complete(resource["create"], 1)
    resource["update"] = _complete(resource["update"], 2)
    scheduler.start_scheduler = _start_clock
    route("GET", "schedules", _list)
    route("POST", "schedules/fire", _fire_now)
    route("POST", "schedules/pause", _pause)
