"""The list for Excel: right letters, no formulas."""

from __future__ import annotations

import csv
import io

import pytest

from infra.cli.segment import _contacts, _opened
from shared.core.ids import CustomerId
from shared.core.spreadsheet import BOM, csv_lines, safe_cell
from shared.customers.store import MemoryCustomerStore
from tests.unit.analytics.segments.test_hostile import hostile
from tests.unit.analytics.world import SHOP, World, an_order, customer_of


@pytest.mark.parametrize("sign", "=+-@＝＋－＠\t\r\n\x00")
def test_what_a_spreadsheet_would_run_is_a_text(sign: str) -> None:
    assert safe_cell(f"{sign}1+1") == f"'{sign}1+1"
    assert safe_cell(f" \u3000\u200b{sign}1+1") == f"' \u3000\u200b{sign}1+1"


@pytest.mark.parametrize("value", ["山田", "a=b", "'", "", "  ", 1, -1, None, 0.5])
def test_what_is_harmless_stays_as_it_is(value: object) -> None:
    assert safe_cell(value) == value


def test_hostile_cells_come_back_as_they_were_with_at_most_a_quote_before_them() -> None:
    cells = hostile(1_000)
    text = "".join(csv_lines(["a", "b"], ([cell, "x"] for cell in cells)))
    assert text.startswith(BOM)
    rows = list(csv.reader(io.StringIO(text.removeprefix(BOM), newline="")))[1:]
    assert [len(row) for row in rows] == [2] * len(cells)
    for row, cell in zip(rows, cells, strict=True):
        assert row[0] in (cell, f"'{cell}")
        assert row[0].lstrip(" \u3000\u200b\ufeff\u00a0")[:1] not in set("=+-@＝＋－＠\t\r\n\x00")


def test_contacts_are_read_from_the_live_state_for_each_id() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-01-01"), an_order("b", "2", "2026-01-01", email="=b@example.com"))
    store: MemoryCustomerStore = world.customers
    ids = [customer_of(world, "a"), customer_of(world, "b"), CustomerId("gone")]
    rows = list(_contacts(SHOP, store, iter(ids)))
    assert rows[0] == [ids[0], "山田", "", "a@example.com"]
    assert rows[2] == ["gone", "", "", ""]
    assert "'=b@example.com" in "".join(csv_lines(["id"], rows))


def test_a_file_with_addresses_is_for_its_owner_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    with _opened(path) as file:
        file.write("x\r\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"x\r\n"
