"""The memory of a process, for benches in any environment."""

from __future__ import annotations

import re
from pathlib import Path


def peak_mb() -> float:
    """The most memory this process has held. (`ru_maxrss` counts the process it was started from too.)"""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError("this system does not tell what a process holds")
    return int(found[1]) / 1024
