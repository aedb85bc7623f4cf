"""The npm packages of the tests, installed once from the lock into `.build/sdk`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.node import node_path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLACE = ROOT / ".build" / "sdk"
PYTHON = ROOT / ".venv-sdk" / "bin" / "python"
INSTALL_SECONDS = 90


def npm_packages() -> Path:
    """The `node_modules` folder. Skips the test, visibly, where npm reaches no registry."""
    lock = (HERE / "package-lock.json").read_bytes()
    stamp, wanted = PLACE / ".made-from", hashlib.sha256(lock).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        PLACE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, PLACE / name)
        _install()
        stamp.write_text(wanted)
    return PLACE / "node_modules"


def _install() -> None:
    npm = node_path().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node_path()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=PLACE, capture_output=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not answer in time: the JavaScript SDKs are not tested here")
    if done.returncode:
        pytest.skip("npm cannot install the packages of tests/sdk: the JavaScript SDKs are not tested here")


def python_sdk() -> Path:
    """The interpreter that has `segment-analytics-python`."""
    if not PYTHON.exists():
        pytest.skip("no .venv-sdk (`make setup` makes it): the Python SDK is not tested here")
    return PYTHON
