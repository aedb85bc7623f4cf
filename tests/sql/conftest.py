"""Collects `tests/sql/<analysis>/<case>/`: `inputs.yaml` (tables and settings) and `expect.yaml` (rows), no Python.

`leave_out: {column: value}` in the inputs leaves found rows with that value out: the many empty cells of a grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.analytics.catalog import ALWAYS, bound_query, over_base_tables, parameters
from shared.analytics.definitions import parse_definitions
from shared.analytics.meaning import every_analysis, meaning
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import TENANT, DuckLake, differences


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """An `expect.yaml` is a test."""
    if file_path.name == "expect.yaml":
        return CaseFile.from_parent(parent, path=file_path)
    return None


class CaseFile(pytest.File):
    """One case folder."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its one test, named after the folder."""
        yield Case.from_parent(self, name=self.path.parent.name)


class Case(pytest.Item):
    """An analysis run on the rows of `inputs.yaml` must give the rows of `expect.yaml`."""

    def runtest(self) -> None:
        """Fill, ask, compare."""
        inputs = _load(self.path.with_name("inputs.yaml"))
        lake = DuckLake()
        for table, rows in inputs["tables"].items():
            lake.fill(table, rows or [], dt=inputs["as_of"])
        analysis = self.path.parent.parent.name
        # What the case gives no rows of is worked out from what it does give.
        others = [each for each in every_analysis() if each.name not in inputs["tables"]]
        values = _parameters(inputs)
        query = over_base_tables(bound_query(analysis, values), meaning(analysis).reads, others, values)
        rows = lake.rows(query)
        unwanted = inputs.get("leave_out", {}).items()
        wanted = [row for row in rows if not any(row[column] == value for column, value in unwanted)]
        found = differences(wanted, _load(self.path))
        assert not found, "\n".join([f"{analysis} differs:", *found])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """The rows that differ, without a traceback."""
        if excinfo.errisinstance(AssertionError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where a reader finds the case."""
        return self.path, 0, f"{self.path.parent.parent.name}: {self.name}"


def _load(path: Path) -> Any:
    return yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)


def _parameters(inputs: dict[str, Any]) -> dict[str, Any]:
    return parameters(
        TenantId(TENANT),
        inputs["as_of"],
        parse_definitions(inputs.get("settings", {})),
        inputs.get("currency", "JPY"),
        previous_on=inputs.get("previous_on"),
        written_on=inputs.get("written_on"),
        known_before=inputs.get("known_before", ALWAYS),
    )
