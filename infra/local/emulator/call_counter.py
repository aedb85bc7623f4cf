"""Count what AWS would charge for: API calls by principal, DynamoDB units, function time, state transitions.

Without it: there is no bill here, so a design that costs too much is not noticed.
``GET /_matakite/calls`` answers ``calls`` ({principal, service, action, count}), ``dynamodb`` ({principal, table,
read_units, write_units}), ``functions`` ({function, invocations, errors, milliseconds, gigabyte_seconds}) and
``state_machines`` ({state_machine, executions, transitions}); ``DELETE`` starts anew.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc, stepfunctions

from infra.local.emulator.gateway import InternalRequest, route
from infra.local.emulator.interception import ApiCall, Proceed, Response, around_calls, with_body
from infra.local.emulator.settings import EmulatorSettings

_READS = {"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}
_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "BatchExecuteStatement"}
_CAPACITY = re.compile(rb'"TableName":\s*"([^"]+)",\s*"CapacityUnits":\s*([0-9.]+)')

_TABLE = re.compile(rb'"TableName":\s*"([^"]+)"')

_lock = threading.Lock()
_calls: Counter[tuple[str, str, str]] = Counter()
_units: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
_functions: dict[str, Counter[str]] = defaultdict(Counter)
_machines: dict[str, Counter[str]] = defaultdict(Counter)
_gigabyte_seconds: defaultdict[str, float] = defaultdict(float)


async def _count(call: ApiCall, proceed: Proceed) -> Response | None:
    with _lock:
        _calls[call.principal, call.service, call.action] += 1
    if call.service != "dynamodb" or call.action not in _READS | _WRITES:
        return await proceed(call)
    answer = await proceed(_asking_for_units(call))
    if answer is not None and isinstance(answer[2], bytes):
        if answer[0] == 200:
            _count_units(call, answer[2])
        elif b"ConditionalCheckFailed" in answer[2]:
            _count_refused(call)
    return answer


def _count_refused(call: ApiCall) -> None:
    """A write that its condition refuses costs a write. Of a transaction the same, at least."""
    if table := _TABLE.search(call.body):
        with _lock:
            _units[call.principal, table[1].decode()]["write_units"] += 2


def _asking_for_units(call: ApiCall) -> ApiCall:
    body = call.body.rstrip()
    if b'"ReturnConsumedCapacity"' in body or not body.endswith(b"}"):
        return call
    return with_body(call, body[:-1] + b', "ReturnConsumedCapacity": "TOTAL"}')


def _count_units(call: ApiCall, answer: bytes) -> None:
    start = answer.rfind(b'"ConsumedCapacity"')
    if start < 0:
        return
    kind = "read_units" if call.action in _READS else "write_units"
    with _lock:
        for table, units in _CAPACITY.findall(answer, start):
            _units[call.principal, table.decode()][kind] += int(
                float(units) * 2
            )  # halves: an eventually consistent read costs 0.5


def _timed(execute: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def execute_timed(func: dict[str, Any], config: dict[str, Any], *rest: Any, **named: Any) -> dict[str, Any]:
        started = time.monotonic()
        result = execute(func, config, *rest, **named)
        milliseconds = max(1, round((time.monotonic() - started) * 1000))
        name = str(config.get("FunctionName", "unknown"))
        with _lock:
            counted = _functions[name]
            counted["invocations"] += 1
            counted["errors"] += bool(result.get("error"))
            counted["milliseconds"] += milliseconds
            _gigabyte_seconds[name] += milliseconds / 1000 * int(config.get("MemorySize", 128)) / 1024
        return result

    return execute_timed


def _transitions(add_event: Callable[..., Any]) -> Callable[..., Any]:
    def add_counted(execution: dict[str, Any], event_type: str, details: Any = None) -> Any:
        machine = str(execution.get("stateMachineArn", "")).rsplit(":", 1)[-1]
        if event_type.endswith("StateEntered"):
            with _lock:
                _machines[machine]["transitions"] += 1
        return add_event(execution, event_type, details)

    return add_counted


def _executions(start: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def start_counted(data: dict[str, Any]) -> Any:
        answer = start(data)
        if answer[0] < 400:
            with _lock:
                _machines[str(data.get("stateMachineArn", "")).rsplit(":", 1)[-1]]["executions"] += 1
        return answer

    return start_counted


def _report(request: InternalRequest) -> dict[str, Any]:
    with _lock:
        return {
            "calls": [
                {"principal": principal, "service": service, "action": action, "count": count}
                for (principal, service, action), count in sorted(_calls.items())
            ],
            "dynamodb": [
                {
                    "principal": principal,
                    "table": table,
                    "read_units": units["read_units"] / 2,
                    "write_units": units["write_units"] / 2,
                }
                for (principal, table), units in sorted(_units.items())
            ],
            "functions": [
                {"function": name, **counted, "gigabyte_seconds": round(_gigabyte_seconds[name], 4)}
                for name, counted in sorted(_functions.items())
            ],
            "state_machines": [{"state_machine": name, **counted} for name, counted in sorted(_machines.items())],
        }


def _reset(request: InternalRequest) -> dict[str, Any]:
    with _lock:
        for counted in (_calls, _units, _functions, _machines, _gigabyte_seconds):
            counted.clear()
    return {}


def install(settings: EmulatorSettings) -> None:
    """Count from now on."""
    around_calls(_count)
    lambda_svc._execute_function_dispatch = _timed(lambda_svc._execute_function_dispatch)
    stepfunctions._add_event = _transitions(stepfunctions._add_event)
    stepfunctions._start_execution = _executions(stepfunctions._start_execution)
    route("GET", "calls", _report)
    route("DELETE", "calls", _reset)
