"""Run each function as Lambda does: its own interpreter, a clean environment, the real error type, a kept process.

Without it: functions run with the emulator's interpreter (a dependency missing from a bundle goes unnoticed) and
inherit its environment; every failure is reported as ``Runtime.HandlerError``, so a Step Functions ``Catch`` by error
name never matches; a handler that raises loses its process (each poison record would cost a cold start); a silent
handler waits 50 ms for log lines; and each process unpacks the bundle again.
Mended by a worker class of our own. At most :data:`MAX_CONCURRENCY` processes per function run at once (this
machine has few cores); further invocations wait, where AWS would scale out.
``GET /_matakite/functions`` lists the invocations that run now: function, process id, event.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.lambda_runtime import Worker
from ministack.services import lambda_svc

from infra.local.emulator.gateway import InternalRequest, route
from infra.local.emulator.settings import ACCOUNT, EmulatorSettings

logger = logging.getLogger("matakite.functions")

MAX_CONCURRENCY = 4
_BOOTSTRAP = Path(__file__).with_name("_bootstrap.py")
_LOG_END = "\x00matakite-end-of-log "
_LOG_WAIT_SECONDS = 1.0
_unpack_lock = threading.Lock()


def _unpacked(code_zip: bytes, config: dict[str, Any], cache: Path) -> Path:
    """The directory holding this bundle, unpacked once for all processes that run it."""
    name = str(config.get("CodeSha256") or "")
    digest = hashlib.sha256(name.encode() if name else code_zip).hexdigest()[:24]
    target = cache / digest
    with _unpack_lock:
        if not target.exists():
            cache.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=cache, prefix="unpacking-"))
            archive = partial / "bundle.zip"
            archive.write_bytes(code_zip)
            with zipfile.ZipFile(archive) as bundle:
                bundle.extractall(partial / "code")
            (partial / "code").rename(target)
            shutil.rmtree(partial)
    return target


def worker_environment(config: dict[str, Any], task_root: Path, endpoint: str) -> dict[str, str]:
    """The variables AWS gives a Python function, plus its own settings and role credentials."""
    name = str(config.get("FunctionName", ""))
    region = str(config["FunctionArn"]).split(":")[3]
    own = dict((config.get("Environment") or {}).get("Variables", {}).items())
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}"
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        **own,
        "AWS_ENDPOINT_URL": own.get("AWS_ENDPOINT_URL", endpoint),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', 'python3.13')}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": str(config.get("Version", "$LATEST")),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": group,
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[$LATEST]{os.urandom(16).hex()}",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_ACCOUNT_ID": ACCOUNT,
        "LAMBDA_TASK_ROOT": str(task_root),
        "LAMBDA_RUNTIME_DIR": str(task_root),
        "_HANDLER": str(config.get("Handler", "")),
        **lambda_runtime.execution_credentials(config),
    }


class FunctionWorker(Worker):  # type: ignore[misc]
    """One execution environment of a Python function."""

    settings: EmulatorSettings
    _proc: subprocess.Popen[str] | None
    _stderr_queue: queue.Queue[str]
    running: dict[str, Any] | None = None
    """The invocation under way, as it was handed to the process."""

    def _spawn(self) -> None:
        task_root = _unpacked(self.code_zip, self.config, self.settings.state_dir / "code")
        self._proc = subprocess.Popen(
            [str(self.settings.function_python), "-s", "-P", "-X", "utf8", str(_BOOTSTRAP)],
            cwd=task_root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            bufsize=1,
            env=worker_environment(self.config, task_root, self.settings.endpoint),
        )
        self._stderr_queue = queue.Queue()
        self._stderr_thread = threading.Thread(target=self._read_stderr, daemon=True, name=f"log-{self.func_name}")
        self._stderr_thread.start()
        answer = self._read_answer()
        if answer.get("status") != "ready":
            self._stop()
            raise FunctionInitError(answer, self._drain_stderr())
        self._start_time = time.time()

    def _read_answer(self) -> dict[str, Any]:
        process = self._proc
        line = process.stdout.readline() if process and process.stdout else ""
        if not line:
            return {"status": "died"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _stop(self) -> None:
        process, self._proc = self._proc, None
        if process is not None:
            process.kill()
            process.wait()

    def _log_until_end(self, request_id: str) -> str:
        """The lines this invocation wrote, up to the marker the bootstrap ends them with."""
        lines: list[str] = []
        deadline = time.monotonic() + _LOG_WAIT_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._stderr_queue.get(timeout=left)
            except queue.Empty:
                break
            if line == _LOG_END + request_id:
                break
            lines.append(line)
        return "\n".join(line for line in lines if line)

    def invoke(self, event: Any, request_id: str, **given: Any) -> dict[str, Any]:
        """Run one invocation; a failure of the handler keeps the process, a crash or timeout ends it."""
        with self._lock:
            if self._proc is None or self._proc.poll() is not None:
                self._spawn()
                self._cold = False
            timeout = float(self.config.get("Timeout", 3))
            message = {
                "event": event,
                "request_id": request_id,
                "arn": given.get("invoked_function_arn") or self.config.get("FunctionArn", ""),
                "timeout_seconds": timeout,
                "trace_id": given.get("trace_id"),
            }
            answers: list[dict[str, Any]] = []
            exchange = threading.Thread(target=self._exchange, args=(message, answers), daemon=True)
            self.running = message
            exchange.start()
            exchange.join(timeout)
            self.running = None
            if exchange.is_alive():
                self._stop()
                text = f"{request_id} Task timed out after {timeout:.2f} seconds"
                failure = {"errorType": "Sandbox.Timedout", "errorMessage": text}
                return {"status": "error", "error": failure, "log": f"{self._drain_stderr()}\n{text}"}
            answer = answers[0] if answers else {"status": "died"}
            if answer["status"] == "died":
                code = self._proc.wait() if self._proc is not None else 0
                self._stop()
                text = f"RequestId: {request_id} Error: Runtime exited with error: exit status {code}"
                failure = {"errorType": "Runtime.ExitError", "errorMessage": text}
                return {"status": "error", "error": failure, "log": f"{self._drain_stderr()}\n{text}"}
            return {**answer, "log": self._log_until_end(request_id)}

    def _exchange(self, message: dict[str, Any], answers: list[dict[str, Any]]) -> None:
        process = self._proc
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(OSError, ValueError):
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
            answers.append(self._read_answer())


class FunctionInitError(RuntimeError):
    """The bundle could not be loaded (a missing module, a syntax error, a crash at import)."""

    def __init__(self, answer: dict[str, Any], log: str) -> None:
        self.failure: dict[str, Any] = answer.get("error") or {
            "errorType": "Runtime.ExitError",
            "errorMessage": "Runtime exited during initialisation",
        }
        self.log = "\n".join(filter(None, [log, str(answer.get("trace", ""))]))
        super().__init__(str(self.failure.get("errorMessage")))


_slots: dict[str, threading.BoundedSemaphore] = {}
_slots_lock = threading.Lock()


def _slot(function_arn: str) -> threading.BoundedSemaphore:
    with _slots_lock:
        return _slots.setdefault(function_arn, threading.BoundedSemaphore(MAX_CONCURRENCY))


def _execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    """Run one invocation in a warm process; replaces MiniStack's ``_execute_function_warm``."""
    config = func.get("config") or func
    name, version = config.get("FunctionName", "unknown"), config.get("Version", "$LATEST")
    lambda_svc._ensure_reaper_thread()
    with _slot(str(config.get("FunctionArn", name))):
        worker, _ = lambda_runtime.acquire_worker(name, config, func.get("code_zip") or b"", qualifier=version)
        try:
            answer = worker.invoke(
                event,
                request_id,
                trace_id=lambda_svc._xray_trace_id_for_invocation(config) or _untraced(),
                invoked_function_arn=config.get("FunctionArn", ""),
            )
        except FunctionInitError as error:
            return {"body": error.failure, "error": True, "function_error": "Unhandled", "log": error.log}
        finally:
            lambda_runtime.release_worker(worker)
    if answer["status"] == "ok":
        return {"body": answer.get("result"), "log": answer["log"]}
    log = "\n".join(filter(None, [answer["log"], str(answer.get("trace", ""))]))
    return {"body": answer["error"], "error": True, "function_error": "Unhandled", "log": log}


def _untraced() -> str:
    """Lambda names the trace of every invocation, also of a function that is not traced: it is not sampled then."""
    return f"Root=1-{int(time.time()):08x}-{os.urandom(12).hex()};Parent={os.urandom(8).hex()};Sampled=0"


def _workers() -> list[FunctionWorker]:
    return [w for pool in list(lambda_runtime._workers.values()) for w in list(pool) if isinstance(w, FunctionWorker)]


def kill_caller(headers: dict[str, str], role: str) -> None:
    """Kill the process that made a call, named by the trace id its SDK sends; untraced, any busy one of its role."""
    trace = headers.get("x-amzn-trace-id", "")
    for worker in _workers():
        running, process = worker.running, worker._proc
        if running is None or process is None:
            continue
        its_role = str(worker.config.get("Role", "")).rsplit("/", 1)[-1]
        if running["trace_id"] == trace if trace else its_role == role:
            process.kill()


def _running_now(request: InternalRequest) -> list[dict[str, Any]]:
    return [
        {"function": worker.func_name, "pid": worker._proc.pid, "event": running["event"]}
        for worker in _workers()
        if (running := worker.running) is not None and worker._proc is not None
    ]


def install(settings: EmulatorSettings) -> None:
    """Use our worker for every Python function."""
    FunctionWorker.settings = settings
    shutil.rmtree(settings.state_dir / "code", ignore_errors=True)
    default_class = lambda_runtime._worker_class_for

    def worker_class(config: dict[str, Any]) -> type[Worker]:
        if str(config.get("Runtime", "")).startswith("python"):
            return FunctionWorker
        chosen: type[Worker] = default_class(config)
        return chosen

    default_execute = lambda_svc._execute_function_warm

    def execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config = func.get("config") or func
        if str(config.get("Runtime", "")).startswith("python"):
            return _execute(func, event, request_id)
        result: dict[str, Any] = default_execute(func, event, request_id)
        return result

    route("GET", "functions", _running_now)
    lambda_runtime._worker_class_for = worker_class
    lambda_svc._execute_function_warm = execute
