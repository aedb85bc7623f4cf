"""The `matakite` command as its user runs it, against the suite's cloud: what it prints, and its exit status."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from infra.local.process import PROJECT_ROOT, LocalPaths


@dataclass(frozen=True)
class Screen:
    """What a command left behind."""

    status: int
    out: str
    err: str


def matakite(paths: LocalPaths, *arguments: str) -> Screen:
    """Run it to its end."""
    environment = {"PATH": "/usr/bin:/bin", "MATAKITE_TARGET": "local", "MATAKITE_STATE_DIR": str(paths.state_dir)}
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", *arguments],
        env=environment | {"COLUMNS": "220", "LANG": "C.UTF-8"},
        cwd=PROJECT_ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return Screen(done.returncode, done.stdout, done.stderr)
