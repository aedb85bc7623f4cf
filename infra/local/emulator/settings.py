"""What the emulator process is told when it starts, and the environment MiniStack reads from it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUPPORTED_MINISTACK = "1.5.33"
ACCOUNT = "000000000000"
REGION = "ap-northeast-1"
HOST = "127.0.0.1"
#: Only these survive from the caller's shell: a function must not see PYTHONPATH, VIRTUAL_ENV or AWS_PROFILE.
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class EmulatorSettings:
    """Start-up settings of the emulator process."""

    port: int
    state_dir: Path
    function_python: Path
    keep: bool = False
    wait_scale: float = 1.0

    @property
    def endpoint(self) -> str:
        """Where every AWS call of the local cloud goes."""
        return f"http://{HOST}:{self.port}"


def parse_arguments(argv: Sequence[str] | None = None) -> EmulatorSettings:
    """Read the settings from the command line of ``python -m infra.local.emulator``."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--function-python", type=Path, required=True, help="interpreter the functions run with")
    parser.add_argument("--keep", action="store_true", help="persist every service's state in the state directory")
    parser.add_argument("--wait-scale", type=float, default=1.0, help="factor on Step Functions waits")
    given = parser.parse_args(argv)
    return EmulatorSettings(
        port=given.port,
        state_dir=given.state_dir,
        function_python=given.function_python,
        keep=given.keep,
        wait_scale=given.wait_scale,
    )


def ministack_environment(settings: EmulatorSettings) -> dict[str, str]:
    """The whole environment of the emulator process; MiniStack reads these names at import."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        **kept,
        "TZ": "UTC",
        "AUTH": "true",
        "GATEWAY_PORT": str(settings.port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AWS_DEFAULT_REGION": REGION,
        "LAMBDA_EXECUTOR": "local",
        "SFN_WAIT_SCALE": str(settings.wait_scale),
        "PERSIST_STATE": "1" if settings.keep else "0",
        "STATE_DIR": str(settings.state_dir / "services"),
        "S3_PERSIST": "1" if settings.keep else "0",
        "S3_DATA_DIR": str(settings.state_dir / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "LOG_LEVEL": "INFO",
    }


def apply_environment(settings: EmulatorSettings) -> None:
    """Replace this process's environment; must run before the first ``import ministack``."""
    wanted = ministack_environment(settings)
    os.environ.clear()
    os.environ.update(wanted)
    os.umask(0o077)
