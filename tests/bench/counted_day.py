"""A shop's day on a cloud of its own, counted in two parts: what its webhooks cost, and what its mails cost.

python -m tests.bench.counted_day [FILE]    write the counts where `matakite bill --counted` finds them
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.cli.session import Deployment
from infra.demo import acts, story, verify
from infra.demo.settle import settle
from infra.demo.stage import set_up
from infra.local import lifecycle
from infra.local.process import Emulator, LocalPaths, internal
from shared.core.clock import SystemClock
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
        "month": month.play(addresses=40),
        "webhooks": webhooks,
        "mails": mails,
    }


def _start_anew(emulator: Emulator) -> None:
    internal(emulator, "DELETE", "/_matakite/calls")


def _counts(emulator: Emulator) -> dict[str, Any]:
    found: dict[str, Any] = internal(emulator, "GET", "/_matakite/calls")
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        counted = count_day(LocalPaths(Path(folder)))
    Path(sys.argv[1] if len(sys.argv) > 1 else ".build/counted_day.json").write_text(json.dumps(counted, indent=1))
