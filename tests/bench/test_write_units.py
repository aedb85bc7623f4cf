"""What a month of webhooks writes and calls, counted row by row at the vendors' sizes (no cloud needed).

Counted are the webhook (1 put), the fold and the trigger: reads and writes of the tables. Not counted: the archive, and
the connection and the shop's settings, which a worker reads once in five minutes.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from tests.bench.month import play

WINDOW = timedelta(seconds=3)
"""What the fold's event source waits for (`infra/customers.py`)."""

LIMIT = 3.0
"""Write units of a webhook all in: event, state and due index."""

CALLS = 2.0
"""AWS calls of a webhook all in, where the stream brings ten at a time: 1 put and its share of what the fold and the
trigger read and write.
"""

CALLS_ALONE = 3.0
"""The same where acts come one at a time: a cart or checkout touched again is 1 put and 1 write, for the worker
remembers whose it is. Somebody not met for five minutes is 1 read of whom the event names and 1 of what is known of
them, and what is new of them 1 to 3 writes that wait for each other (`plan.turns`).
"""


@pytest.mark.parametrize(
    ("batch", "window"),
    [(1, None), (100, WINDOW), (10, None), (100, None)],
    ids=["one_by_one", "a_small_shop", "ten", "a_hundred"],
)
def test_a_months_webhooks_cost_three_write_units_each_at_most(
    batch: int, window: timedelta | None, capsys: pytest.CaptureFixture[str]
) -> None:
    cost = play(addresses=40, batch=batch, window=window)
    total = cost["event"] + cost["state"] + cost["due index"]
    fold = 1 + cost["fold reads"] + cost["fold writes"]
    trigger = cost["trigger reads"] + cost["trigger writes"]
    together = f"what {window.seconds} s bring" if window else f"{batch}"
    with capsys.disabled():
        sys.stdout.write(
            f"\na month of {cost['deliveries']:.0f} webhooks ({cost['per address']:.0f} per address), {together} at a "
            f"time: {total:.2f} write units each (event {cost['event']:.2f}, state {cost['state']:.2f}, "
            f"due index {cost['due index']:.2f}); {fold:.2f} calls: 1 put, fold {cost['fold reads']:.2f} reads and "
            f"{cost['fold writes']:.2f} writes; {trigger:.2f} more of the trigger\n"
        )
    # Without the window a shop whose events come one by one would pay for each row anew: shown, and not what runs.
    assert total <= LIMIT or (batch, window) == (1, None)
    assert fold + trigger <= (CALLS_ALONE if window else CALLS) or batch < 10
