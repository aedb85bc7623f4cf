"""The same tests fail the same way everywhere: random examples are drawn anew only with `MATAKITE_FULL=1`."""

from __future__ import annotations

import gc
import os

from hypothesis import settings

from tests.amount import FULL

# Read by numpy and pyarrow when they are imported: two threads of linear algebra on matrices of four rows wait for
# each other longer than they compute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("sample", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("full", deadline=None, print_blob=True)
settings.load_profile("full" if FULL else "sample")


def pytest_collection_finish() -> None:
    """What was imported for the tests stays to the end: the collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """At the end everything is let go as it always was."""
    gc.unfreeze()
