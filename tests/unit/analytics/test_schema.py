"""What the lake declares is what its files hold."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from shared.analytics.parquet import TYPES, decode, encode_rows, to_arrow
from shared.analytics.schema import EVENTS, ORDER_STATES, Kind, month_of


def test_every_kind_has_a_parquet_type() -> None:
    assert set(TYPES) == set(Kind)


def test_instants_are_written_as_utc_whatever_their_zone() -> None:
    tokyo = timezone(timedelta(hours=9))
    row = {"event_id": "1", "occurred_at": datetime(2026, 3, 1, 0, 30, 0, 123_999, tzinfo=tokyo), "refs": ["a", "b"]}
    (found,) = decode(encode_rows(EVENTS, [row])).to_pylist()
    assert found["occurred_at"] == datetime(2026, 2, 28, 15, 30, 0, 123_000)  # noqa: DTZ001 - the lake has no zones
    assert found["refs"] == ["a", "b"]
    assert found["occurred_on"] is None


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        to_arrow(ORDER_STATES, [{"customer": "a"}])


@pytest.mark.parametrize(
    ("on", "month"),
    [
        (date(2026, 3, 31), "2026-03"),
        (date(1980, 1, 1), "1990-01"),
        (date(999, 1, 1), "1990-01"),
        (date(2150, 1, 1), "2099-12"),
    ],
)
def test_days_outside_the_catalogue_are_kept_in_its_nearest_month(on: date, month: str) -> None:
    assert month_of(on) == month


def test_rows_come_sorted() -> None:
    rows = [{"event_id": name, "occurred_at": datetime(2026, 3, 1, tzinfo=UTC)} for name in "cab"]
    assert decode(encode_rows(EVENTS, rows))["event_id"].to_pylist() == ["a", "b", "c"]
