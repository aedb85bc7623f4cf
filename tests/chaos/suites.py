"""The suites of `make chaos`, at the figures of reliability.md §1.4."""

from __future__ import annotations

import random
from functools import partial

from tests.chaos import cohorts, deploys, hot, intake, order, poison, saying_no, scanners, sending
from tests.chaos.suite import Suite


def lost_replies(case: int, rng: random.Random) -> None:
    """T5: a thousand for each of reserve, record, opt-out and webhook."""
    kinds = (
        partial(sending.lost_ledger_reply, "reserve"),
        partial(sending.lost_ledger_reply, "record"),
        saying_no.lost_opt_out_reply,
        intake.lost_webhook_reply,
    )
    kinds[case % len(kinds)](case // len(kinds), rng)


SUITES = (
    Suite("T2", "a cart's story: 120 orders × 3 platforms", 360, order.any_order, "I5, bought carts never mailed"),
    Suite("T3", "crash matrix: 9 points × 6 faults × 3 channels", 16_200, sending.crash, "I1 I2, LINE never in doubt"),
    Suite("T4", "2–8 workers interleaved at every call", 10_000, sending.interleave, "I1 I2 I3 I6"),
    Suite("T5", "replies lost: reserve, record, opt-out, webhook", 4_000, lost_replies, "0 lost, 0 twice"),
    Suite("T6", "50 % of writes throttled 60 s, SES 600 s, LINE 300 s", 500, cohorts.storm, "I1 I2"),
    Suite("T7", "SES, LINE away 30 min – 14 h, tables 5 min, sweep 3 days", 200, cohorts.outage, "I1 I2 I6"),
    Suite("T11", "workers' clocks wrong by up to 24 h", 2_000, sending.clocks, "I1 I2 I3 I6"),
    Suite(
        "T12",
        "1 % poison in a queue and a stream",
        100,
        poison.poisoned,
        "dead in 5 tries, p99 ≤ 2 ×, stall ≤ 60 s",
        ready=poison.fed,
    ),
    Suite(
        "T13",
        "a crowd at once; keys of 1,000 WCU, 3,000 RCU",
        40,
        hot.crowded,
        "≤ 1 % throttled, ≤ 100 writes/s",
        ready=poison.fed,
    ),
    Suite("T14", "ticks × 5, batches twice, maps redriven", 500, cohorts.ticks, "I1 I2"),
    Suite("T15", "opt-outs from 4 sources against senders", 10_000, saying_no.opt_out_race, "I3, acknowledged in 1 s"),
    Suite("T16", "scanners on 6 kinds of links, then 5 POSTs", 6_000, scanners.scanned, "no change on GET; POST once"),
    Suite("T20", "50 inside: edited or deleted, paused, taken out", 20, deploys.deploy, "I2, old definition pinned"),
)
