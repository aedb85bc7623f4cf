"""Turn embedded-metric-format log lines into CloudWatch metrics.

Without it: functions write their metrics as JSON log lines (as Powertools does), and MiniStack keeps them as text, so
dashboards and alarms stay empty. AWS extracts them from the log.
Besides, ``AWS/Lambda`` counts only direct calls, not those from streams, queues, state machines and rules.
Mended by reading every line a function writes; an ``_aws.CloudWatchMetrics`` member becomes data points. And every
invocation is counted, however it came about.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from infra.local.emulator.settings import EmulatorSettings


def metric_data(line: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The data points of one log line: namespace and PutMetricData entry."""
    if '"_aws"' not in line or not line.lstrip().startswith("{"):
        return
    try:
        document = json.loads(line)
    except ValueError:
        return
    meta = document.get("_aws") or {}
    for directive in meta.get("CloudWatchMetrics") or ():
        for metric in directive.get("Metrics") or ():
            given = document.get(metric["Name"])
            values = [float(v) for v in (given if isinstance(given, list) else [given]) if isinstance(v, (int, float))]
            for names in directive.get("Dimensions") or [[]]:
                if values:
                    yield (
                        directive["Namespace"],
                        {
                            "MetricName": metric["Name"],
                            "Unit": metric.get("Unit", "None"),
                            "Timestamp": meta.get("Timestamp", 0) / 1000,
                            "Dimensions": [{"Name": n, "Value": str(document.get(n, ""))} for n in names],
                            "Values": values,
                            "Counts": [1.0] * len(values),
                        },
                    )


def _extracting(emit: Callable[..., None]) -> Callable[..., None]:
    def emit_and_extract(func: dict[str, Any], request_id: str, log_text: str, *rest: Any, **named: Any) -> None:
        emit(func, request_id, log_text, *rest, **named)
        for line in (log_text or "").splitlines():
            for namespace, datum in metric_data(line):
                cloudwatch._store_datum(
                    namespace,
                    datum["MetricName"],
                    {d["Name"]: d["Value"] for d in datum["Dimensions"]},
                    datum["Timestamp"],
                    datum["Unit"],
                    None,
                    datum["Values"],
                    datum["Counts"],
                    None,
                )

    return emit_and_extract


def _counting(execute: Callable[..., dict[str, Any]], record: Callable[..., None]) -> Callable[..., dict[str, Any]]:
    def execute_counted(func: dict[str, Any], config: dict[str, Any], *rest: Any, **named: Any) -> dict[str, Any]:
        started = time.monotonic()
        result = execute(func, config, *rest, **named)
        milliseconds = (time.monotonic() - started) * 1000
        record(
            config.get("FunctionName", ""), duration_ms=milliseconds, error=bool(result.get("error")), throttle=False
        )
        return result

    return execute_counted


def _throttles_only(record: Callable[..., None]) -> Callable[..., None]:
    def record_throttle(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
        if throttle:
            record(function_name, duration_ms, error, throttle)

    return record_throttle


def install(settings: EmulatorSettings) -> None:
    """Read every function's log lines."""
    lambda_svc._emit_lambda_logs = _extracting(lambda_svc._emit_lambda_logs)
    record = lambda_svc._emit_lambda_metrics
    lambda_svc._execute_function_dispatch = _counting(lambda_svc._execute_function_dispatch, record)
    lambda_svc._emit_lambda_metrics = _throttles_only(record)
