"""広告費: what a file says, and what the lake then knows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from shared.analytics import catalog
from shared.analytics.costs import Cost, read_costs, write_costs
from shared.analytics.definitions import Definitions
from shared.analytics.lake import MemoryObjects
from shared.analytics.meaning import every_analysis
from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import lake_of

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
SHOP = TenantId("shop")
FILE = '媒体,対象月,広告費\ngoogle,2026-03,"120,000円"\n検索,2026年2月,￥500\ngoogle,2026/1,\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_file_is_read_as_a_shop_writes_it(encoding: str) -> None:
    assert read_costs(FILE.encode(encoding)) == [
        Cost("google", date(2026, 3, 1), 120_000),
        Cost("検索", date(2026, 2, 1), 500),
        Cost("google", date(2026, 1, 1), None),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("media,cost\na,1\n", "missing: month"),
        ("media,month,cost\na,2026-13,1\n", "line 2: '2026-13' is no month"),
        ("media,month,cost\na,2026-03,1\n,2026-03,1\na,2026-03,-5\n", "line 3: no medium; line 4: '-5' is no amount"),
        ("media,month,cost\na,2026-03,1.5\n", "is no amount in whole minor units"),
    ],
)
def test_what_cannot_be_read_is_named_line_by_line(text: str, complaint: str) -> None:
    with pytest.raises(RejectedError, match=complaint):
        read_costs(text.encode())


def test_the_costs_of_two_campaigns_of_one_medium_are_not_lost_but_asked_for_as_a_sum() -> None:
    with pytest.raises(RejectedError, match=r"line 4: google 2026-03 is in line 2 too: .*add them up"):
        read_costs("媒体,対象月,広告費\ngoogle,2026-03,100000\ngoogle,2026-04,1\ngoogle,2026年3月,50000\n".encode())


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(RejectedError, match="UTF-8 or Shift_JIS"):
        read_costs(b"\xff\xfe\x00\x81")


def test_what_is_told_later_counts_and_an_empty_cost_takes_it_back() -> None:
    objects = MemoryObjects()
    write_costs([Cost("a", date(2026, 1, 1), 100), Cost("b", date(2026, 2, 1), 7)], objects, SHOP, "JPY", NOW)
    write_costs(
        [Cost("a", date(2026, 1, 1), 1), Cost("a", date(2026, 1, 1), 150)], objects, SHOP, "JPY", NOW + timedelta(1)
    )
    assert costs(objects) == {("a", "2026-01"): 150, ("b", "2026-02"): 7}
    write_costs([Cost("b", date(2026, 2, 1), None)], objects, SHOP, "JPY", NOW + timedelta(2))
    assert costs(objects) == {("a", "2026-01"): 150}


def costs(objects: MemoryObjects) -> dict[tuple[str, str], int]:
    """What the analysis of CPO makes of the lake."""
    values = catalog.parameters(SHOP, date(2026, 4, 30), Definitions(), "JPY")
    rows = lake_of(objects).rows(catalog.standalone_query("cpo_v1", every_analysis(), values))
    return {(row["media"], row["cost_month"]): row["cost"] for row in rows if row["cost_month"] != "全期間"}
