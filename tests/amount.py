"""How much a random test tries: a sample on every run, and all that was asked for with `MATAKITE_FULL=1`."""

from __future__ import annotations

import os

FULL = os.environ.get("MATAKITE_FULL") == "1"


def amount(full: int, *, sample: int) -> int:
    """`full` with `MATAKITE_FULL=1 make test-rules`, otherwise a sample that takes no more than a second or two."""
    return full if FULL else sample
