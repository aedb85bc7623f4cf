"""Sizes of files, functions and bundles: shown, not enforced (except Lambda's own limit)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

from infra.packaging.bundle import LIMIT_BYTES, Group, Platform, bundle, largest_packages

ROOT = Path(__file__).parents[2]


def function_lengths(folder: str) -> Iterator[tuple[int, str]]:
    """Lines of every function from `def` to its end, with its place."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{file.relative_to(ROOT)}:{node.name}"


def test_sizes_of_files_and_functions_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [""]
    for folder in ("shared", "functions", "infra"):
        files = [len(file.read_text(encoding="utf-8").splitlines()) for file in (ROOT / folder).rglob("*.py")]
        functions = sorted(function_lengths(folder))
        lengths = [length for length, _ in functions]
        lines.append(
            f"{folder:9} {len(files):4} files, lines median {median(files):.0f} max {max(files)}; "
            f"{len(lengths):5} functions, lines median {median(lengths):.0f} p90 {quantiles(lengths, n=10)[-1]:.0f} "
            f"max {functions[-1][0]} ({functions[-1][1]})"
        )
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")


@pytest.mark.parametrize("group", list(Group))
def test_arm64_bundles_fit_into_lambda(group: Group, capsys: pytest.CaptureFixture[str]) -> None:
    built = bundle(group, Platform.LAMBDA)
    biggest = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in largest_packages(built.path, 4))
    with capsys.disabled():
        sys.stdout.write(f"\nbundle {group}: {built.unpacked_bytes / 1e6:.0f} MB unpacked (limit 262): {biggest}\n")
    assert built.unpacked_bytes < LIMIT_BYTES
