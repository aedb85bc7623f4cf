"""Start and stop the emulator as a background process: port, pid file, log file, health."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shared.core.errors import MatakiteError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
DEFAULT_PORT = 4580
DEFAULT_PAGE_PORT = 4581
_BOOT_SECONDS = 120.0
_STOP_SECONDS = 60.0


class LocalCloudError(MatakiteError):
    """The local cloud cannot do what was asked; the message says what to do about it."""


def _state_dir() -> Path:
    return Path(os.environ.get("MATAKITE_STATE_DIR") or PROJECT_ROOT / ".matakite" / "local")


@dataclass(frozen=True)
class LocalPaths:
    """Where the local cloud keeps its files: one git-ignored directory (override: MATAKITE_STATE_DIR)."""

    state_dir: Path = field(default_factory=_state_dir)

    @property
    def record(self) -> Path:
        """The running emulator's pid and settings."""
        return self.state_dir / "emulator.json"

    @property
    def page_record(self) -> Path:
        """The local page's process id and port."""
        return self.state_dir / "page.json"

    @property
    def log(self) -> Path:
        """Everything the emulator writes."""
        return self.state_dir / "emulator.log"

    @property
    def assembly(self) -> Path:
        """The cloud assembly that was deployed last."""
        return self.state_dir / "cdk.out"

    @property
    def data(self) -> Path:
        """State of the emulated services."""
        return self.state_dir / "data"


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    pid: int
    port: int
    keep: bool
    wait_scale: float

    @property
    def endpoint(self) -> str:
        """The endpoint URL of every AWS service."""
        return f"http://{HOST}:{self.port}"


def cloud_python() -> Path:
    """The interpreter of the emulator's own environment (``.venv-cloud``; override: MATAKITE_CLOUD_PYTHON)."""
    return _interpreter("MATAKITE_CLOUD_PYTHON", ".venv-cloud")


def runtime_python() -> Path:
    """The interpreter the functions run with (``.venv-runtime``; override: MATAKITE_RUNTIME_PYTHON)."""
    return _interpreter("MATAKITE_RUNTIME_PYTHON", ".venv-runtime")


def _interpreter(variable: str, directory: str) -> Path:
    path = Path(os.environ.get(variable) or PROJECT_ROOT / directory / "bin" / "python")
    if not path.exists():
        raise LocalCloudError(f"no interpreter at {path}: run `make setup`, or set {variable}")
    return path


def free_port(preferred: int | None = None) -> int:
    """The preferred port when it is free, else any free one (``None`` or 0: any)."""
    for candidate in (preferred, 0) if preferred else (0,):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate or 0))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise LocalCloudError("no free port on the loopback interface")


def running(paths: LocalPaths | None = None) -> Emulator | None:
    """The emulator this state directory belongs to, when its process is alive."""
    paths = paths or LocalPaths()
    try:
        emulator = Emulator(**json.loads(paths.record.read_text()))
    except FileNotFoundError:
        return None
    return emulator if _is_ours(emulator) else None


def _is_ours(emulator: Emulator) -> bool:
    """Whether the recorded pid is still an emulator (pids are reused)."""
    try:
        command = Path(f"/proc/{emulator.pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return _healthy(emulator.endpoint)
    return "infra.local.emulator" in command and f"--port {emulator.port} " in command + " "


def _healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=1) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def start(paths: LocalPaths, *, port: int | None = None, keep: bool = False, wait_scale: float = 1.0) -> Emulator:
    """Start the emulator and wait until it answers; without ``keep`` it starts empty."""
    if found := running(paths):
        raise LocalCloudError(f"the local cloud is already running (pid {found.pid}, {found.endpoint})")
    if not keep:
        shutil.rmtree(paths.data, ignore_errors=True)
    paths.data.mkdir(parents=True, exist_ok=True)
    chosen = free_port(_remembered_port(paths, keep=keep) or port or DEFAULT_PORT)
    (paths.data / "port").write_text(str(chosen))
    command = [
        *(str(cloud_python()), "-m", "infra.local.emulator"),
        *("--port", str(chosen), "--state-dir", str(paths.data)),
        *("--function-python", str(runtime_python()), "--wait-scale", str(wait_scale)),
        *(["--keep"] if keep else []),
    ]
    with paths.log.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    emulator = Emulator(pid=process.pid, port=chosen, keep=keep, wait_scale=wait_scale)
    paths.record.write_text(json.dumps(asdict(emulator)))
    _wait_until_healthy(process, emulator, paths)
    process.returncode = 0  # it outlives us on purpose: keeps Popen from warning that nobody waited
    return emulator


def _remembered_port(paths: LocalPaths, *, keep: bool) -> int | None:
    """The port kept state was made with: addresses of the deployed APIs contain it."""
    remembered = paths.data / "port"
    return int(remembered.read_text()) if keep and remembered.exists() else None


def _wait_until_healthy(process: subprocess.Popen[bytes], emulator: Emulator, paths: LocalPaths) -> None:
    deadline = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            paths.record.unlink(missing_ok=True)
            raise LocalCloudError(f"the emulator did not start:\n{tail(paths, 15)}")
        if _healthy(emulator.endpoint):
            return
        time.sleep(0.05)
    stop(paths)
    raise LocalCloudError(f"the emulator did not answer within {_BOOT_SECONDS:.0f} s; see {paths.log}")


@dataclass(frozen=True)
class Page:
    """The running local page (dashboard and outbox)."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.port}"


def start_page(paths: LocalPaths, *, port: int | None = None) -> Page:
    """Serve the local page beside the running emulator; the one already running is kept."""
    if found := running_page(paths):
        return found
    chosen = free_port(port or DEFAULT_PAGE_PORT)
    command = [sys.executable, "-m", "infra.local.page", "--port", str(chosen), "--state-dir", str(paths.state_dir)]
    with paths.log.open("ab") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    process.returncode = 0  # it outlives us on purpose: keeps Popen from warning that nobody waited
    page = Page(process.pid, chosen)
    paths.page_record.write_text(json.dumps(asdict(page)))
    return page


def running_page(paths: LocalPaths) -> Page | None:
    """The local page, when its process is alive."""
    try:
        page = Page(**json.loads(paths.page_record.read_text()))
        command = Path(f"/proc/{page.pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return None
    return page if "infra.local.page" in command else None


def _stop_page(paths: LocalPaths) -> None:
    if page := running_page(paths):
        os.kill(page.pid, signal.SIGTERM)
        _gone(page.pid, 5)
    paths.page_record.unlink(missing_ok=True)


def stop(paths: LocalPaths) -> bool:
    """Stop the emulator; with ``keep`` it writes its state first. False when none was running."""
    _stop_page(paths)
    emulator = running(paths)
    if emulator is None:
        paths.record.unlink(missing_ok=True)
        return False
    os.kill(emulator.pid, signal.SIGTERM)
    if not _gone(emulator.pid, _STOP_SECONDS):
        os.kill(emulator.pid, signal.SIGKILL)
        _gone(emulator.pid, 5)
    paths.record.unlink(missing_ok=True)
    if not emulator.keep:
        shutil.rmtree(paths.data, ignore_errors=True)
    return True


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return True
        except ChildProcessError:
            pass
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def tail(paths: LocalPaths, lines: int = 50) -> str:
    """The last lines of the emulator's log."""
    try:
        return "\n".join(paths.log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def internal(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    """Call an internal page of the emulator (``/_matakite/…`` or ``/_ministack/…``); JSON in, JSON out."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        emulator.endpoint + path,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise LocalCloudError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
    except urllib.error.URLError as error:
        raise LocalCloudError(f"the local cloud does not answer at {emulator.endpoint}: {error.reason}") from error


def set_wait_scale(emulator: Emulator, scale: float) -> None:
    """Change how long Step Functions waits take from now on (0: not at all, 1: as written)."""
    internal(emulator, "POST", "/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": scale})
