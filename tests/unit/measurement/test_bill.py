"""The bill against one computed by hand, the LINE cliff to the message, and a budget that stops a send."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli.bill import app, read_rates
from shared.core.errors import RejectedError
from shared.delivery.staff import A_DAY
from shared.measurement.cost import prices as table
from shared.measurement.cost.bill import (
    BARS,
    SCENARIOS,
    Assumptions,
    Rates,
    bill,
    price_counts,
    waiting_at_queues,
)
from shared.measurement.cost.counts import Counts, read_counts
from shared.measurement.cost.machines import transitions, transitions_per_step
from shared.measurement.cost.preview import Quota, line_fee, mails_end, over_budget, preview, ways_of
from shared.measurement.cost.prices import read_prices
from shared.scenarios.compile import compile_scenario
from shared.scenarios.read import read_presets

PRICES = read_prices()
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
COUNTED: dict[str, Any] = json.loads(Path(table.__file__).with_name("counted.json").read_text("utf-8"))
DOCUMENT = {
    "calls": [
        {"principal": "Matakite-ScenariosStepRole12-AB", "service": "ses", "action": "SendEmail", "count": 1_000_000},
        {"principal": "Matakite-ScenariosStepRole12-AB", "service": "s3", "action": "PutObject", "count": 10_000},
        {"principal": "Matakite-ScenariosStepRole12-AB", "service": "s3", "action": "GetObject", "count": 20_000},
    ],
    "dynamodb": [
        {"principal": "Matakite-ScenariosStepRole12-AB", "table": "T", "write_units": 5_000_000, "read_units": 2e6}
    ],
    "functions": [{"function": "Matakite-ScenariosStep3-CD", "invocations": 100_000, "gigabyte_seconds": 50_000.0}],
    "state_machines": [{"state_machine": "m", "executions": 1_000, "transitions": 9_000}],
}


def test_counted_calls_cost_what_a_hand_computes() -> None:
    by_hand = (
        1_000_000 * 0.0001  # SES
        + 5 * 0.715  # write units
        + 2 * 0.1425  # read units
        + 10_000 * 0.0047 / 1000  # PUT
        + 20_000 * 0.00037 / 1000  # GET
        + 0.1 * 0.20  # requests
        + 50_000 * 0.0000133334  # GB-s
        + 10 * 0.025  # transitions, starts included
    )
    lines = price_counts(read_counts(DOCUMENT), PRICES)
    assert sum(line.usd for line in lines) == pytest.approx(by_hand, rel=0.001)


def _synthetic() -> Rates:
    """Two webhooks of 3 write units and 4 reads; one mail of 6 units, one SES record of 1 unit; nobody held back."""
    webhook = Counts(
        calls=Counter({("ReceiveWebhook", "dynamodb", "PutItem"): 2, ("UpdateState", "dynamodb", "Query"): 8}),
        written=Counter({"ReceiveWebhook": 2, "UpdateState": 4}),
    )
    mail = Counts(
        calls=Counter({("Step", "ses", "SendEmail"): 1, ("ReceiveFeedback", "dynamodb", "PutItem"): 1}),
        written=Counter({"Step": 6, "ReceiveFeedback": 1}),
        read=Counter({"Step": 2}),
        executions=1,
        transitions=5,
    )
    return Rates(webhook, 2, mail, 1, 1)


def test_a_months_bill_reconciles_with_one_made_by_hand() -> None:
    assumed = Assumptions(
        scenarios=((1440, 1440),) * 10, steps=3, kept_days=30, address_kilobytes=0, through_api=1, events_per_mail=None
    )
    found = {line.name: line.usd for line in bill(100_000, _synthetic(), PRICES, assumed).lines}
    webhooks, mails = 6_000_000, 800_000
    # Ten scenarios, swept daily: 300 executions of (5 + 1) transitions; 800,000 / 3 people in batches of 50.
    batches = 800_000 / 3 / 50
    mapped = (batches - 300) * 3
    by_hand = {
        "SES 送信料": 80.0,
        "Webhook 受信（URL・HTTP API）": 6 * 1.29,
        "Webhook の書き込み（DynamoDB）": webhooks * (3 * 0.715 + 4 * 0.1425) / 1e6,
        # 6 million over four shards and windows of 3 s: 1.74 to a call of the fold.
        "Webhook の関数（Lambda）": (12 + 6 / (6e6 / 2_592_000 / 4 * 3)) * 0.20
        + webhooks * 0.0000133334 * (0.007 * 1.0 + 0.019 * 1.0 + 0.003 * 0.5),
        "送信台帳・登録（DynamoDB）": mails * (6 * 0.715 + 2 * 0.1425) / 1e6,
        "シナリオの進行（Step Functions・掃引）": (300 * 6 + mapped) * 0.000025
        + mapped * 1.06e-6 + 300 * (1.25e-6 + 0.2e-6 + 0.01 * 0.0000133334 + 0.1425e-6)
        + batches * 4 * (4.7e-6 + 0.37e-6),
        # Ten notes a day to two addresses, each six rows and an object; 0.109 s.
        "社内通知（SES・DynamoDB・S3）": 300 * (2 * 0.0001 + 6 * 0.715e-6 + 4.7e-6 + 0.109 * 0.0000133334),
        "保存と復旧（DynamoDB・PITR）": (6.0 + 0.8 * 0.6) * 0.285,
        "ログ（CloudWatch Logs）": (webhooks * (0.25 + 0.05 * 0.35) + batches * 3 * 0.35) / 1e6 * 0.76,
        "トレース（X-Ray）": (300 + batches * 3) * 5e-6,
        "監視と鍵（固定）": 6 * 0.30 + 26 * 0.10 + 3 + 0.40,
    }  # fmt: skip
    for name, usd in by_hand.items():
        assert found[name] == pytest.approx(usd, rel=0.01), name


def test_the_staff_is_mailed_no_more_than_its_day_allows_and_the_rest_waits_in_the_tray() -> None:
    (line,) = [line for line in bill(1_000_000, _synthetic(), PRICES).lines if line.name.startswith("社内通知")]
    assert (line.usage["ses_mail"], line.usage["object_put"]) == (2 * 30 * A_DAY, 3000)
    assert A_DAY < 100


def test_a_mail_that_was_counted_takes_six_write_units_at_most() -> None:
    """In a day of 120 shoppers, of whom few share a lease of the sending rate; of cohorts the bench asserts it."""
    found = bill(100_000, read_rates(COUNTED), PRICES)
    assert 5 < found.write_units_per_mail <= 6
    assert found.write_units_per_webhook <= 3


@pytest.mark.parametrize("addresses", sorted(BARS))
def test_the_counted_bill_meets_its_bar_at_list_prices(addresses: int) -> None:
    assert bill(addresses, read_rates(COUNTED), PRICES).ratio <= BARS[addresses]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_assumed_sweeps_and_cohorts_are_those_of_the_scenarios_that_come_with_it(name: str) -> None:
    (scenario,) = (each for each in read_presets() if each.id == name)
    swept, together = SCENARIOS[name]
    assert int(scenario.sweep_every.total_seconds() // 60) == swept
    daily = scenario.entry.event.value in {"date", "broadcast", "status_changed"}
    assert together == (1440 if daily else swept)


def test_transitions_are_those_of_the_compiled_machine() -> None:
    """Three mails with two waits: call, choice and wait of each, the third without its wait, and the end."""
    (steps,) = (each for each in read_presets() if each.id == "first_order_steps")
    assert transitions(compile_scenario(steps, "step")) == 9
    (cart,) = (each for each in read_presets() if each.id == "cart_abandoned")
    states = compile_scenario(cart, "step")["States"]
    assert transitions(compile_scenario(cart, "step")) > len([n for n in states if "batch" not in n]) - 4
    assert 2.5 < transitions_per_step([steps, cart]) < 6


def test_twice_the_addresses_never_cost_more_than_twice() -> None:
    rates = read_rates(COUNTED)
    for addresses in (1_000, 10_000, 100_000, 1_000_000):
        once, twice = bill(addresses, rates, PRICES).usd, bill(2 * addresses, rates, PRICES).usd
        assert once < twice <= 2 * once


def test_sweeping_every_minute_costs_more_than_every_quarter_of_an_hour() -> None:
    rates = read_rates(COUNTED)
    often = replace(Assumptions(), scenarios=((1, 1),) * 10)
    assert bill(100_000, rates, PRICES, often).usd > bill(100_000, rates, PRICES).usd + 10


def test_waiting_at_empty_queues_is_told_beside_the_bill() -> None:
    assert waiting_at_queues(PRICES) == pytest.approx(7 * 648_000 * 0.4e-6)
    shown = CliRunner().invoke(app, ["--addresses", "10000"])
    assert f"${7 * 648_000 * 0.4e-6:.2f}" in shown.output


def test_what_is_free_is_never_more_than_what_is_used() -> None:
    rates = read_rates(COUNTED)
    with_free, listed = bill(10_000, rates, PRICES, free_tier=True), bill(10_000, rates, PRICES)
    free = with_free.lines[-1]
    used = {unit: sum(line.usage.get(unit, 0.0) for line in listed.lines) for unit in free.usage}
    assert all(0 < -quantity <= used[unit] for unit, quantity in free.usage.items())
    assert with_free.usd == pytest.approx(listed.usd + free.usd)
    assert bill(1_000_000, rates, PRICES, free_tier=True).lines[-1].usage["alarm"] == -10


@pytest.mark.parametrize("spoil", ["calls", "dynamodb", "functions", "state_machines"])
def test_what_are_no_counters_is_refused(spoil: str) -> None:
    with pytest.raises(RejectedError, match="counters"):
        read_counts({name: rows for name, rows in DOCUMENT.items() if name != spoil})


def test_a_unit_without_a_price_is_an_error_and_never_free() -> None:
    with pytest.raises(RejectedError, match="quantum"):
        PRICES.of({"ses_mail": 1, "quantum": 1})


@pytest.mark.parametrize(
    ("messages", "yen"),
    [(0, 0), (200, 0), (201, 5000), (5000, 5000), (5001, 15000), (30_000, 15_000), (30_001, 15_003)],
)
def test_lines_cliff_is_met_to_the_message(messages: int, yen: int) -> None:
    assert line_fee(messages, PRICES.line_plans)[0] == yen


def test_a_preview_charges_line_only_what_it_adds_and_names_the_next_cliff() -> None:
    (charge,) = preview([{"line": 1}], 100, PRICES, NOW, line_sent=150).charges
    assert charge.yen == 5000
    assert "あと 4,751 通で月額 15,000円" in charge.said
    assert preview([{"line": 1}], 100, PRICES, NOW, line_sent=300).yen == 0


def test_the_dearest_way_counts_and_a_budget_stops_it() -> None:
    seen = preview([{"email": 3}, {"email": 1, "sms": 1}], 1000, PRICES, NOW)
    assert seen.yen == pytest.approx(1000 * (0.0001 + 0.0745) * 150)
    assert over_budget(seen, seen.yen) is None
    said = over_budget(seen, 10_000)
    assert said is not None
    assert "予算 10,000円を 1,190円 超えます" in said


def test_mails_leave_at_ses_rate_and_within_its_day() -> None:
    assert mails_end(140, Quota(14, 50_000), NOW) == NOW + timedelta(seconds=10)
    assert mails_end(120_000, Quota(14, 50_000, used_today=10_000), NOW) == NOW + timedelta(days=2, seconds=30_000 / 14)
    with pytest.raises(RejectedError):
        mails_end(1, Quota(14, 0), NOW)


@dataclass
class _Send:
    send: str
    channel: object


@dataclass
class _Exit:
    exit: str


@dataclass
class _Branch:
    arms: list[list[object]]

    def paths(self) -> list[tuple[str, list[object]]]:
        return [(str(n), arm) for n, arm in enumerate(self.arms)]


def test_every_way_through_a_scenario_is_seen() -> None:
    steps = [_Send("a", "email"), _Branch([[_Send("b", ("line", "email"))], []]), _Exit("done"), _Send("c", "sms")]
    assert sorted(tuple(sorted(way.items())) for way in ways_of(steps)) == [
        (("email", 1),),
        (("email", 1), ("line", 1)),
        (("email", 2),),
    ]


def test_what_a_scenario_tells_the_staff_is_a_mail_in_its_cost() -> None:
    told = [way for each in read_presets() if each.id == "vip_thanks" for way in ways_of(each.steps)]
    assert all(way["notify"] == 1 and way["export"] == 1 for way in told)
    (mail, note) = (preview([{channel: 1}], 1000, PRICES, NOW).yen for channel in ("email", "notify"))
    assert mail == note > 0


def test_the_command_prints_a_table_and_the_same_as_json() -> None:
    shown = CliRunner().invoke(app, ["--addresses", "100000"])
    assert shown.exit_code == 0, shown.output
    assert "SES だけの場合の" in shown.output
    (document,) = json.loads(CliRunner().invoke(app, ["--addresses", "100000", "--json"]).output)
    assert document["usd"] == pytest.approx(sum(line["usd"] for line in document["lines"]), abs=0.01)
    assert document["caveat"]


def test_the_preview_of_a_scenario_stops_at_its_budget() -> None:
    fine = CliRunner().invoke(app, ["scenario", "cart_abandoned", "--people", "1000", "--budget", "6000"])
    assert fine.exit_code == 0, fine.output
    over = CliRunner().invoke(app, ["scenario", "cart_abandoned", "--people", "1000000", "--budget", "1000"])
    assert isinstance(over.exception, RejectedError)
    assert "送信しません" in str(over.exception)
