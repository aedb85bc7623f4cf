"""What a chaos suite is: numbered cases, each played from the seed and its own number alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

Case = Callable[[int, random.Random], None]
"""Plays case n; raises whatever it finds wrong."""
_BLOCK = 50


@dataclass(frozen=True)
class Suite:
    """One row of the table (reliability.md §1.4)."""

    test: str
    title: str
    cases: int
    play: Case
    holds: str
    """What must hold, in the words of the invariants."""
    ready: Callable[[], object] = lambda: None
    """Done once, before the workers part."""


@dataclass(frozen=True)
class Violation:
    """A case in which something did not hold."""

    case: int
    what: str


@dataclass(frozen=True)
class Result:
    """A suite that was played."""

    suite: Suite
    cases: int
    violations: tuple[Violation, ...]
    seconds: float


def run(suite: Suite, seed: str, cases: Iterable[int], workers: int) -> Result:
    """Play these cases of a suite; every one that fails is told, none stops the others."""
    started = time.perf_counter()
    suite.ready()
    numbers = list(cases)
    blocks = [numbers[start : start + _BLOCK] for start in range(0, len(numbers), _BLOCK)]
    play = partial(_play, suite.test, seed)
    if workers == 1:
        found = [play(block) for block in blocks]
    else:
        with get_context("fork").Pool(workers) as pool:
            found = pool.map(play, blocks, chunksize=1)
    violations = tuple(violation for block in found for violation in block)
    return Result(suite, len(numbers), violations, time.perf_counter() - started)


def _play(test: str, seed: str, cases: list[int]) -> list[Violation]:
    from tests.chaos.suites import SUITES

    suite = next(suite for suite in SUITES if suite.test == test)
    violations = []
    for case in cases:
        try:
            suite.play(case, random.Random(f"{seed}/{test}/{case}"))
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is wrong, and the next case is played
            violations.append(Violation(case, f"{type(error).__name__}: {error}"))
    return violations
