"""Cold import of the webhook function beside a bare boto3 handler, in turn, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from infra.local.process import runtime_python
from infra.packaging.bundle import Group, Platform, bundle

ROUNDS = 7
TIMER = "import time; start = time.perf_counter(); {imports}; print(time.perf_counter() - start)"
OURS = "import functions.ingest.receive_webhook as f; import boto3; boto3.client('dynamodb')"
BARE = "import json, hmac, hashlib, base64; import boto3; boto3.client('dynamodb')"


def seconds(imports: str, code: Path) -> float:
    """One cold import in a clean interpreter that sees the bundle and the Lambda runtime only."""
    program = f"import sys; sys.path.insert(0, {str(code)!r}); " + TIMER.format(imports=imports)
    environment = {"AWS_DEFAULT_REGION": "ap-northeast-1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(runtime_python()), "-c", program]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)


def test_webhook_cold_import_beside_a_bare_boto3_handler(capsys: pytest.CaptureFixture[str]) -> None:
    code = bundle(Group.LIGHT, Platform.HOST).path
    pairs = [(seconds(OURS, code), seconds(BARE, code)) for _ in range(ROUNDS)]
    ours, bare = (median(side) for side in zip(*pairs, strict=True))
    ratio = median(a / b for a, b in pairs)
    with capsys.disabled():
        sys.stdout.write(
            f"\ncold import, median of {ROUNDS} pairs: receive_webhook {ours * 1000:.0f} ms, "
            f"bare boto3 handler {bare * 1000:.0f} ms, ratio {ratio:.2f}\n"
        )
    assert ratio < 3, "the webhook function has become slow to start"
