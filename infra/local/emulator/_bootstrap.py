"""The Lambda runtime bootstrap; runs inside each function's own process, with that function's interpreter.

Reads one JSON line per invocation from standard input and answers one JSON line on the standard output it was
born with; whatever the handler prints goes to standard error and ends with a marker line naming the request.
Standard library only: a function sees nothing but its bundle and the runtime's boto3.
"""

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

LOG_END = "\x00matakite-end-of-log "


class Context:
    """The context object AWS passes to Python handlers."""

    identity = None
    client_context = None

    def __init__(self, request_id: str, arn: str, deadline: float) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = arn
        self.aws_request_id = request_id
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """How long the invocation may still run."""
        return max(0, int((self._deadline - time.time()) * 1000))


def _json_default(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _failure(error: Exception, request_id: str) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return {
        "status": "error",
        "error": {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "requestId": request_id,
            "stackTrace": traceback.format_list(frames),
        },
        "trace": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }


def _load(handler: str) -> Callable[[Any, Context], Any]:
    module_name, _, function_name = handler.rpartition(".")
    loaded: Callable[[Any, Context], Any] = getattr(
        importlib.import_module(module_name.replace("/", ".")), function_name
    )
    return loaded


def _invoke(handler: Callable[[Any, Context], Any], message: dict[str, Any]) -> dict[str, Any]:
    request_id = message["request_id"]
    os.environ.pop("_X_AMZN_TRACE_ID", None)
    if message.get("trace_id"):
        os.environ["_X_AMZN_TRACE_ID"] = message["trace_id"]
    context = Context(request_id, message["arn"], time.time() + message["timeout_seconds"])
    try:
        result = handler(message["event"], context)
    except Exception as error:  # noqa: BLE001 - whatever the handler raises is its answer
        return _failure(error, request_id)
    try:
        return {"status": "ok", "result": json.loads(json.dumps(result, default=_json_default))}
    except (TypeError, ValueError) as error:
        answer = _failure(error, request_id)
        answer["error"]["errorType"] = "Runtime.MarshalError"
        return answer


def main() -> None:
    """Load the handler once, then answer invocations until the emulator closes the pipe."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    try:
        handler = _load(os.environ["_HANDLER"])
    except Exception as error:  # noqa: BLE001 - whatever the import raises is its answer
        answer = _failure(error, "")
        if isinstance(error, ImportError):
            answer["error"]["errorType"] = "Runtime.ImportModuleError"
        answers.write(json.dumps(answer) + "\n")
        return
    answers.write('{"status": "ready"}\n')
    for line in sys.stdin:
        message = json.loads(line)
        answer = _invoke(handler, message)
        sys.stderr.write(f"\n{LOG_END}{message['request_id']}\n")
        sys.stderr.flush()
        answers.write(json.dumps(answer) + "\n")


main()
