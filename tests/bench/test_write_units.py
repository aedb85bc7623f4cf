"""What a month of webhooks writes and calls, counted row by row at the vendors' sizes (no cloud needed)."""

from __future__ import annotations

import sys

import pytest

from tests.bench.month import play

LIMIT = 3.0
"""Write units of a webhook all in: event, state and due index."""

CALLS = 2.0
"""AWS calls of a webhook beside the archive, where the stream brings a hundred at a time: 1 put and its share of the
fold's reads and writes."""


@pytest.mark.parametrize("batch", [1, 10, 100])
def test_a_months_webhooks_cost_three_write_units_each_at_most(batch: int, capsys: pytest.CaptureFixture[str]) -> None:
    cost = play(addresses=40, batch=batch)
    total = cost["event"] + cost["state"] + cost["due index"]
    calls = 1 + cost["fold reads"] + cost["fold writes"]
    with capsys.disabled():
        sys.stdout.write(
            f"\na month of {cost['deliveries']:.0f} webhooks ({cost['per address']:.0f} per address), {batch} at a "
            f"time: {total:.2f} write units each (event {cost['event']:.2f}, state {cost['state']:.2f}, "
            f"due index {cost['due index']:.2f}); {calls:.2f} calls: 1 put, fold {cost['fold reads']:.2f} reads and "
            f"{cost['fold writes']:.2f} writes\n"
        )
    assert total <= LIMIT
    assert calls <= CALLS or batch < 100
