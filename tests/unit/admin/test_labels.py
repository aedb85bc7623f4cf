"""Every word an admin can meet has a name in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from shared.admin import labels, outcomes
from shared.admin.views import VIEWS
from shared.admin.widgets import rfm_matrix, scenario_funnel, status_breakdown
from shared.analytics.catalog import names, query_text
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import meaning
from shared.customers.model import ConsentStatus, LtvTier, Status
from shared.delivery.model import Reason, SendState
from shared.scenarios.enrolment import EnrolmentState
from shared.scenarios.language.entries import Trigger


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (Reason, labels.REASONS),
        (SendState, labels.SEND_STATES),
        (Status, labels.STATUSES),
        (Status, status_breakdown.meanings(Definitions())),
        (Status, status_breakdown.COLOURS),
        (LtvTier, labels.LTV_TIERS),
        (ConsentStatus, labels.CONSENTS),
        (Reason, scenario_funnel.REASON_COLOURS),
        (EnrolmentState, outcomes.STATES),
        (Trigger, outcomes.TRIGGERS),
    ],
)
def test_every_value_has_a_label(words: type[StrEnum], named: Mapping[Any, Any]) -> None:
    assert set(named) == set(words)


@pytest.mark.parametrize(
    "named", [labels.REASONS, labels.SEND_STATES, labels.STATUSES, labels.LTV_TIERS, labels.CONSENTS, labels.RFM_RANKS]
)
def test_labels_are_distinct_and_complete_in_each_language(named: Mapping[Any, labels.Label]) -> None:
    for language in labels.LANGUAGES:
        said = [label.of(language) for label in named.values()]
        assert all(said)
        assert len(set(said)) == len(said)


def test_japanese_is_the_default() -> None:
    assert labels.Label("日本語", "English").of("fr") == "日本語"


def test_the_matrix_gives_a_cell_the_rank_that_the_query_gives_its_people() -> None:
    """The ranks are decided in `rfm_v1`; the widget must not tell another story."""
    tree = sqlglot.parse_one(query_text("rfm_v1"), read="athena")
    assert isinstance(tree, exp.Select)
    rank = next(each for each in tree.selects if each.alias == "rank").sql(dialect="duckdb")
    cells = "(SELECT unnest(range(1, 7)) AS r) CROSS JOIN (SELECT unnest(range(1, 7)) AS f)"
    with duckdb.connect() as database:
        found = database.execute(f"SELECT r, f, {rank} FROM {cells}").fetchall()  # noqa: S608 - our own query
    assert len(found) == 36
    assert {(r, f): name for r, f, name in found} == {(r, f): rfm_matrix.rank_of(r, f) for r, f, _ in found}
    assert {name for *_, name in found} == set(labels.RFM_RANKS) == set(rfm_matrix.RANK_COLOURS)
    assert set(rfm_matrix.meanings(Definitions())) == set(labels.RFM_RANKS)


def test_an_analysis_that_names_its_widget_names_one_there_is() -> None:
    assert {meaning(name).widget for name in names()} - {None} <= set(VIEWS)
