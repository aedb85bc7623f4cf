"""The cloud in the test's hand, and the table at the end: fault → what became of the mails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cli.session import Deployment
from infra.local.lifecycle import LocalCloud
from tests.system.faults.conductor import TABLE, Conductor, conducting


@pytest.fixture(scope="module")
def conductor(cloud: LocalCloud, deployment: Deployment) -> Iterator[Conductor]:
    """Schedules stand still and waits pass as the test wants; the shops opened from now on are known to the sweep."""
    with conducting(cloud, deployment) as hand:
        yield hand


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Last of all: what is killed here shows in the logs, metrics and alarms that others look at."""
    items.sort(key=lambda item: Path(__file__).parent in item.path.parents)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """fault → sent / held back / unknown / duplicates."""
    if not TABLE:
        return
    terminalreporter.section("faults on the deployed stacks", sep="-")
    terminalreporter.write_line(f"{'fault':60} {'sent':>6} {'held':>6} {'unknown':>8} {'twice':>6}")
    for line in TABLE:
        terminalreporter.write_line(f"{line.fault:60} {line.sent:6} {line.held:6} {line.unknown:8} {line.duplicates:6}")
