"""Fill the gaps in Step Functions that a cohort of a million people needs.

Without it: a Distributed Map ignores ``ItemBatcher`` (each person would be an execution of their own) and
``ResultWriter`` (the results would have to fit in the state), reads its items without asking the role, and starts any
number of children at once; a change of the wait scale does not reach waits that have begun; and StartExecution with
the name and input of a running execution is refused, where AWS answers with that execution.
Mended: batches and results as on AWS (JSON results file, manifest, ``ResultWriterDetails``), permissions asked, at most
:data:`MAX_CHILDREN` children at once, waits that follow the scale as it changes.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ministack.services import s3, stepfunctions

from infra.local.emulator.service_roles import _state_machine, require_execution_role
from infra.local.emulator.settings import EmulatorSettings

MAX_CHILDREN = 8
_SLICE_SECONDS = 0.1

State = dict[str, Any]


# --- Distributed Map --------------------------------------------------------------------------------------------------


def batches_of(items: list[Any], batcher: dict[str, Any], batch_input: Any) -> list[dict[str, Any]]:
    """Group the items as ``ItemBatcher`` asks: by count, by size of the JSON, or both."""
    most = int(batcher.get("MaxItemsPerBatch") or 0)
    most_bytes = int(batcher.get("MaxInputBytesPerBatch") or 0)
    groups: list[list[Any]] = []
    size = 0
    for item in items:
        length = len(json.dumps(item, separators=(",", ":"))) + 1 if most_bytes else 0
        full = not groups or (most and len(groups[-1]) >= most) or (most_bytes and size + length > most_bytes)
        if full:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += length
    extra = {"BatchInput": batch_input} if batch_input is not None else {}
    return [{**extra, "Items": group} for group in groups]


def _require_reader(reader: dict[str, Any], effective: Any, ctx: Any) -> None:
    given = stepfunctions._resolve_params_obj(reader.get("Parameters") or reader.get("Arguments") or {}, effective, ctx)
    bucket = given.get("Bucket", "")
    if str(reader.get("Resource", "")).endswith("listObjectsV2"):
        require_execution_role("States.ItemReaderFailed", "s3:ListBucket", f"arn:aws:s3:::{bucket}")
    else:
        require_execution_role("States.ItemReaderFailed", "s3:GetObject", f"arn:aws:s3:::{bucket}/{given.get('Key')}")


def _items(state: State, effective: Any, ctx: Any) -> list[Any]:
    if state.get("ItemReader"):
        _require_reader(state["ItemReader"], effective, ctx)
        found = stepfunctions._read_map_items(state["ItemReader"], effective, ctx)
    else:
        found = stepfunctions._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, ctx)
    items = found if isinstance(found, list) else [found]
    selector = state.get("ItemSelector") or state.get("Parameters")
    if not selector:
        return items
    return [
        stepfunctions._resolve_params_obj(selector, effective, {**ctx, "Map": {"Item": {"Index": n, "Value": item}}})
        for n, item in enumerate(items)
    ]


def _written(state: State, results: list[Any], effective: Any, ctx: Any) -> dict[str, Any]:
    """Write the children's outputs to S3 and answer where."""
    writer = state["ResultWriter"]
    given = stepfunctions._resolve_params_obj(writer.get("Parameters") or writer.get("Arguments") or {}, effective, ctx)
    bucket, run = str(given["Bucket"]), str(uuid.uuid4())
    prefix = f"{str(given.get('Prefix', '')).strip('/')}/{run}".lstrip("/")
    require_execution_role("States.ResultWriterFailed", "s3:PutObject", f"arn:aws:s3:::{bucket}/{prefix}/manifest.json")
    outputs = [{"Output": json.dumps(result, ensure_ascii=False), "Status": "SUCCEEDED"} for result in results]
    data = json.dumps(outputs, ensure_ascii=False).encode()
    files = [{"Key": f"{prefix}/SUCCEEDED_0.json", "Size": len(data)}]
    manifest = {
        "DestinationBucket": bucket,
        "MapRunArn": f"{_state_machine.get()[0].replace(':stateMachine:', ':mapRun:')}/{run}",
        "ResultFiles": {"FAILED": [], "PENDING": [], "SUCCEEDED": files if outputs else []},
    }
    for key, body in ((f"{prefix}/SUCCEEDED_0.json", data), (f"{prefix}/manifest.json", json.dumps(manifest).encode())):
        status, _headers, answer = s3._put_object(bucket, key, body, {"content-length": str(len(body))})[:3]
        if status >= 300:
            raise stepfunctions._ExecutionError("States.ResultWriterFailed", str(answer))
    return {
        "MapRunArn": manifest["MapRunArn"],
        "ResultWriterDetails": {"Bucket": bucket, "Key": f"{prefix}/manifest.json"},
    }


def _distributed(run: Callable[..., tuple[Any, str | None]]) -> Callable[..., tuple[Any, str | None]]:
    def run_batched(
        state: State, raw_input: Any, effective: Any, iterator: Any, execution: dict[str, Any], ctx: Any
    ) -> tuple[Any, str | None]:
        machine = _state_machine.get()[0]
        require_execution_role("StepFunctions.AccessDeniedException", "states:StartExecution", machine)
        items = _items(state, effective, ctx)
        if batcher := state.get("ItemBatcher"):
            extra = batcher.get("BatchInput")
            batch_input = stepfunctions._resolve_params_obj(extra, effective, ctx) if extra is not None else None
            items = batches_of(items, batcher, batch_input)
        plain = {k: v for k, v in state.items() if k not in _HANDLED_HERE}
        plain |= {
            "ItemsPath": "$",
            "MaxConcurrency": min(int(state.get("MaxConcurrency") or MAX_CHILDREN), MAX_CHILDREN),
        }
        results, following = run(plain, items, items, iterator, execution, ctx) if items else ([], _next(state))
        result = _written(state, results, effective, ctx) if state.get("ResultWriter") else results
        result = stepfunctions._apply_result_selector(state, result)
        output = stepfunctions._apply_result_path(state, raw_input, result)
        return stepfunctions._apply_output_path(state, output, ctx), following

    return run_batched


#: Parts of the Map state that are dealt with here and kept from MiniStack's own run.
_HANDLED_HERE = frozenset(
    {
        "ItemReader",
        "ItemSelector",
        "Parameters",
        "ItemBatcher",
        "ResultWriter",
        "ResultSelector",
        "ResultPath",
        "OutputPath",
    }
)


def _next(state: State) -> str | None:
    following: str | None = stepfunctions._next_or_end(state)
    return following


# --- waits and starts -------------------------------------------------------------------------------------------------


def _sleep_scaled(seconds: float) -> None:
    """Wait so many seconds of state machine time, at whatever scale holds while waiting."""
    left = float(seconds)
    while left > 0:
        scale = float(stepfunctions._SFN_WAIT_SCALE)
        if scale <= 0:
            return
        pause = min(_SLICE_SECONDS, left * scale)
        time.sleep(pause)
        left -= pause / scale


def _sleep_until(moment: str) -> None:
    target = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    _sleep_scaled((target - datetime.now(UTC)).total_seconds())


def _idempotent(start: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def start_once(data: dict[str, Any]) -> Any:
        answer = start(data)
        if answer[0] != 400 or json.loads(answer[2]).get("__type") != "ExecutionAlreadyExists":
            return answer
        base = stepfunctions._resolve_state_machine_arn(str(data["stateMachineArn"]))
        arn = f"{base.replace(':stateMachine:', ':execution:')}:{data['name']}"
        running = stepfunctions._executions.get(arn) or {}
        same = running.get("status") == "RUNNING" and running.get("input") == data.get("input", "{}")
        if not same:
            return answer
        return stepfunctions.json_response({"executionArn": arn, "startDate": running["startDate"]})

    return start_once


def install(settings: EmulatorSettings) -> None:
    """Put ours in place of MiniStack's."""
    stepfunctions._run_distributed_map = _distributed(stepfunctions._run_distributed_map)
    stepfunctions._scaled_sleep = _sleep_scaled
    stepfunctions._sleep_until = _sleep_until
    stepfunctions._start_execution = _idempotent(stepfunctions._start_execution)
