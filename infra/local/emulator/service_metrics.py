"""Publish the metrics AWS services publish about themselves, and judge alarms by them as CloudWatch does.

Without it: MiniStack has no metrics for queues, HTTP APIs, function addresses, state machines and stream age, so
dashboards and alarms on them stay empty; and it judges an alarm by every data point of a metric whatever its dimensions
(one full dead-letter queue would raise the alarms of all), and never when there are no data points
(``TreatMissingData``).
Mended: queue depths every few seconds, requests and failed executions as they happen, alarms judged by their own
dimensions, missing data treated as the alarm says.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.services import apigateway, cloudwatch, lambda_svc, sqs, stepfunctions

from infra.local.emulator.settings import EmulatorSettings

logger = logging.getLogger("matakite.metrics")
_EVERY_SECONDS = 2.0

Alarm = dict[str, Any]


# --- metrics ----------------------------------------------------------------------------------------------------------


def _queue_depths() -> None:
    now = time.time()
    for _key, queue in list(sqs._queues._data.items()):
        name = queue["attributes"]["QueueArn"].rsplit(":", 1)[-1]
        messages = list(queue["messages"])
        visible = sum(1 for m in messages if m.get("visible_at", 0) <= now)
        oldest = max((now - m["sent_at"] for m in messages), default=0.0)
        dimensions = {"QueueName": name}
        for metric, value, unit in (
            ("ApproximateNumberOfMessagesVisible", visible, "Count"),
            ("ApproximateNumberOfMessagesNotVisible", len(messages) - visible, "Count"),
            ("ApproximateAgeOfOldestMessage", oldest, "Seconds"),
        ):
            cloudwatch.record_metric("AWS/SQS", metric, value, unit, dimensions)


def _api_requests(invoke: Callable[..., Any]) -> Callable[..., Any]:
    async def invoke_counted(integration: dict[str, Any], api_id: str, *rest: Any, **named: Any) -> Any:
        started = time.monotonic()
        answer = await invoke(integration, api_id, *rest, **named)
        milliseconds = (time.monotonic() - started) * 1000
        status, dimensions = answer[0], {"ApiId": api_id}
        cloudwatch.record_metric("AWS/ApiGateway", "Count", 1, "Count", dimensions)
        cloudwatch.record_metric("AWS/ApiGateway", "4xx", int(400 <= status < 500), "Count", dimensions)
        cloudwatch.record_metric("AWS/ApiGateway", "5xx", int(status >= 500), "Count", dimensions)
        cloudwatch.record_metric("AWS/ApiGateway", "Latency", milliseconds, "Milliseconds", dimensions)
        return answer

    return invoke_counted


def _url_requests(handle: Callable[..., Any]) -> Callable[..., Any]:
    async def handle_counted(*given: Any, resolved: tuple[Any, ...] | None = None, **named: Any) -> Any:
        answer = await handle(*given, resolved=resolved, **named)
        if resolved is not None:
            status, dimensions = answer[0], {"FunctionName": str(resolved[2])}
            cloudwatch.record_metric("AWS/Lambda", "UrlRequestCount", 1, "Count", dimensions)
            cloudwatch.record_metric("AWS/Lambda", "Url4xxCount", int(400 <= status < 500), "Count", dimensions)
            cloudwatch.record_metric("AWS/Lambda", "Url5xxCount", int(status >= 500), "Count", dimensions)
        return answer

    return handle_counted


def _execution_ends(emit: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    names = {"SUCCEEDED": "ExecutionsSucceeded", "FAILED": "ExecutionsFailed", "RUNNING": "ExecutionsStarted"}

    def emit_counted(execution: dict[str, Any]) -> None:
        emit(execution)
        if name := names.get(str(execution.get("status"))):
            dimensions = {"StateMachineArn": str(execution.get("stateMachineArn", ""))}
            cloudwatch.record_metric("AWS/States", name, 1, "Count", dimensions)

    return emit_counted


def _stream_age(execute: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def execute_measured(func: dict[str, Any], event: Any) -> dict[str, Any]:
        records = event.get("Records") if isinstance(event, dict) else None
        if records and isinstance(records[-1], dict) and "dynamodb" in records[-1]:
            created = float(records[-1]["dynamodb"].get("ApproximateCreationDateTime") or time.time())
            name = str((func.get("config") or func).get("FunctionName", ""))
            age = max(0.0, time.time() - created) * 1000
            cloudwatch.record_metric("AWS/Lambda", "IteratorAge", age, "Milliseconds", {"FunctionName": name})
        return execute(func, event)

    return execute_measured


# --- alarms -----------------------------------------------------------------------------------------------------------


def judged(alarm: Alarm, points: list[dict[str, Any]], now: float) -> str | None:
    """The state the alarm is in by its own data points; None leaves it as it is."""
    window = float(alarm.get("Period") or 60) * int(alarm.get("EvaluationPeriods") or 1)
    recent = [point for point in points if point["Timestamp"] >= now - window]
    if not recent:
        missing = {"notBreaching": "OK", "breaching": "ALARM", "ignore": None}
        return missing.get(str(alarm.get("TreatMissingData") or "missing"), "INSUFFICIENT_DATA")
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    value = cloudwatch._stat_value(cloudwatch._calc_stats(recent), statistic, recent)
    threshold = float(alarm.get("Threshold") or 0)
    breaching = {
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "GreaterThanThreshold": value > threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }.get(str(alarm.get("ComparisonOperator")))
    return None if breaching is None else "ALARM" if breaching else "OK"


def _points_of(alarm: Alarm) -> list[dict[str, Any]]:
    given = alarm.get("Dimensions") or []
    wanted = given if isinstance(given, dict) else {d["Name"]: d["Value"] for d in given}
    key = cloudwatch._dims_key(wanted)
    found: list[dict[str, Any]] = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], key)) or []
    return found


def _evaluate(alarm: Alarm) -> None:
    if not alarm.get("Namespace") or not alarm.get("MetricName"):
        return  # an alarm on an expression
    old, new = alarm["StateValue"], judged(alarm, _points_of(alarm), time.time())
    if new is None or new == old:
        return
    reason = f"{alarm['MetricName']}: {old} -> {new}"
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _watch() -> None:
    while True:
        time.sleep(_EVERY_SECONDS)
        try:
            _queue_depths()
            cloudwatch._evaluate_all_alarms()
        except (KeyError, TypeError, ValueError, RuntimeError):  # state changes under us; the next round sees it whole
            logger.warning("metrics round skipped", exc_info=True)


def install(settings: EmulatorSettings) -> None:
    """Publish and judge from now on."""
    cloudwatch._evaluate_alarm = _evaluate
    apigateway._invoke_lambda_proxy = _api_requests(apigateway._invoke_lambda_proxy)
    lambda_svc.handle_function_url_request = _url_requests(lambda_svc.handle_function_url_request)
    stepfunctions._emit_execution_status_event = _execution_ends(stepfunctions._emit_execution_status_event)
    lambda_svc._execute_function = _stream_age(lambda_svc._execute_function)
    threading.Thread(target=_watch, daemon=True, name="service-metrics").start()
