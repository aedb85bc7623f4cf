"""`make chaos SEED=…`: play every suite, print the table, and for each violation the command that plays it again."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from tests.chaos.suite import Result, Suite, run
from tests.chaos.suites import SUITES

_SHOWN = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing was violated."""
    asked = _parser().parse_args(arguments)
    only = {test.upper() for test in asked.only.split(",") if test}
    if unknown := only - {suite.test for suite in SUITES}:
        sys.stderr.write(f"there is no suite {', '.join(sorted(unknown))}\n")
        return 2
    started = time.perf_counter()
    sys.stdout.write(f"seed {asked.seed}\n\n{_HEAD}\n")
    results = [_one(suite, asked) for suite in SUITES if not only or suite.test in only]
    cases, violations = sum(r.cases for r in results), sum(len(r.violations) for r in results)
    sys.stdout.write(f"\n{cases:,} cases, {violations} violations, {time.perf_counter() - started:.0f} s\n")
    return 1 if violations else 0


_HEAD = "| test | what happens | must hold | cases | violations | s |\n|---|---|---|--:|--:|--:|"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", default="1", help="any text; the same seed plays the same cases")
    parser.add_argument("--only", default="", help="suites, e.g. T3,T15")
    parser.add_argument("--case", type=int, help="one case of one suite")
    parser.add_argument("--size", type=float, default=1.0, help="share of the figures, e.g. 0.01 or 10")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1)))
    return parser


def _one(suite: Suite, asked: argparse.Namespace) -> Result:
    cases = range(max(1, round(suite.cases * asked.size))) if asked.case is None else [asked.case]
    result = run(suite, asked.seed, cases, asked.workers if asked.case is None else 1)
    sys.stdout.write(f"{line(result)}\n")
    for violation in result.violations[:_SHOWN]:
        again = f"make chaos SEED={asked.seed} ONLY={suite.test} CASE={violation.case}"
        sys.stdout.write(f"  {violation.what}\n  again: {again}\n")
    sys.stdout.flush()
    return result


def line(result: Result) -> str:
    """One row of the README's table."""
    suite, violations = result.suite, len(result.violations)
    shown = f"**{violations}**" if violations else "0"
    return f"| {suite.test} | {suite.title} | {suite.holds} | {result.cases:,} | {shown} | {result.seconds:.0f} |"


if __name__ == "__main__":
    sys.exit(main())
