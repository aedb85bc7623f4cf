"""A shop's day on a cloud of its own, counted in two parts: what its webhooks cost, and what its mails cost.

python -m tests.bench.counted_day [FILE]    write the counts where `matakite bill --counted` finds them
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from infra.cli.session import Deployment
from infra.demo import acts, story, verify
from infra.demo.settle import settle
from infra.demo.stage import set_up
from infra.local import lifecycle
from infra.local.process import Emulator, LocalPaths, internal
from shared.core.clock import SystemClock
from shared.ingest.oversize import MemoryOversize
from shared.ingest.store import encode_item
from shared.measurement.cost.bill import CROWD, SCENARIOS, Assumptions
from shared.scenarios.model import Scenario
from shared.scenarios.read import read_presets
from tests.bench import month

SHOPPERS = 120


def count_day(paths: LocalPaths, shoppers: int = SHOPPERS) -> dict[str, Any]:
    """`{"webhooks": counts, "mails": counts, …}` of a day in which nobody orders after the first mail."""
    cloud = lifecycle.up(paths=paths, wait_scale=acts.WAIT_SCALE)
    try:
        stage = set_up(Deployment(cloud.session, cloud.emulator.endpoint))
        day = story.play(SystemClock().now(), shoppers=shoppers, lead=timedelta(seconds=30))
        _start_anew(cloud.emulator)
        tally = acts.morning(stage, cloud.emulator, day)
        webhooks = _counts(cloud.emulator)
        _start_anew(cloud.emulator)
        acts.first_mails(stage, cloud.emulator, max(one.touched_at for one in day.shoppers) + story.TOUCHED_BEFORE_DUE)
        acts.all_mails(cloud.emulator)
        settle(cloud.emulator)
        mails = _counts(cloud.emulator)
        decisions = len(list(verify.ledger(stage.deployment, stage.shop.tenant)))
    finally:
        lifecycle.down(paths)
    return {
        "counted_on": SystemClock().now().date().isoformat(),
        "accepted_webhooks": tally.answers["accepted"],
        "decisions": decisions,
        "month": counted_month(),
        "crowd": counted_crowd(),
        "webhooks": webhooks,
        "mails": mails,
    }


def counted_month(addresses: int = 40) -> dict[str, float]:
    """A month's webhooks, collected for as long as the events stream collects them (infra/customers.py).

    Without what a warm worker remembers: where several share a large shop's stream that is less.
    """
    window = timedelta(seconds=Assumptions().fold_window_seconds)
    oversize = MemoryOversize()
    envelopes = (
        month._envelope(topic, body, at, number)
        for number, (_, topic, body, at) in enumerate(month.month(addresses // 4))
    )
    sizes = [month.size(encode_item(envelope, oversize, attempt="0" * 16)) for envelope in envelopes]
    return month.play(addresses, month.MOST_AT_ONCE, window, _ten(), warm=timedelta(0)) | {
        "event kilobytes": fmean(sizes) / 1000
    }


def counted_crowd(addresses: int = 40) -> dict[str, float]:
    """The same month where a call of the fold holds the acts of many people, as it does from some hundred thousand."""
    return month.play(addresses, CROWD, scenarios=_ten(), order=month.crowd(addresses))


def _ten() -> list[Scenario]:
    return [each for each in read_presets() if each.id in SCENARIOS]


def _start_anew(emulator: Emulator) -> None:
    internal(emulator, "DELETE", "/_matakite/calls")


def _counts(emulator: Emulator) -> dict[str, Any]:
    found: dict[str, Any] = internal(emulator, "GET", "/_matakite/calls")
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        counted = count_day(LocalPaths(Path(folder)))
    Path(sys.argv[1] if len(sys.argv) > 1 else ".build/counted_day.json").write_text(json.dumps(counted, indent=1))
