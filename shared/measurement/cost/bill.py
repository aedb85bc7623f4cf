"""The bill of a month (月額): what was counted, at the volume of so many addresses, priced line by line.

What grows with webhooks and mails is taken from the counters; how full batches are, how long a call takes and what is
kept how long are assumptions (`Assumptions`), each printed beside the line it enters. Durations are not taken from the
counting machine: they are its own, so functions are charged for the calls they were counted to make.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.errors import RejectedError
from shared.delivery.staff import A_DAY
from shared.measurement.cost.counts import Counts
from shared.measurement.cost.prices import Prices
from shared.scenarios.store import SHARDS

MONTH_SECONDS = 30 * 86_400
MILLISECONDS = {"dynamodb": 4.0, "s3": 25.0, "ses": 60.0, "ssm": 8.0, "secretsmanager": 8.0, "sqs": 8.0, "states": 20.0}
"""How long one call takes within a region."""
MEMORY_GB = {
    "ReceiveWebhook": 1.0,
    "UpdateState": 1.0,
    "Trigger": 0.5,
    "Step": 1.0,
    "Sweep": 0.5,
    "ReceiveFeedback": 0.5,
}
ARCHIVE_GB = 1.7275
MINUTES, QUARTER, HOUR, DAY = 10, 15, 60, 1440
SCENARIOS: Mapping[str, tuple[int, int]] = {
    "cart_abandoned": (MINUTES, MINUTES),
    "browse_abandoned": (QUARTER, QUARTER),
    "first_order_steps": (HOUR, HOUR),
    "f2_conversion": (HOUR, HOUR),
    "dormant_winback": (HOUR, DAY),
    "vip_offer": (HOUR, DAY),
    "birthday": (HOUR, DAY),
    "next_delivery": (HOUR, DAY),
    "welcome": (HOUR, DAY),
    "newsletter": (HOUR, DAY),
}
"""The ten scenarios a shop runs (reliability.md §4.2), of those that come with the product: minutes between two sweeps,
and between two cohorts. Who a date or the nightly run makes due is due with everybody else of that day.
"""
_OF_A_MAIL, _OF_WHO_IS_HELD_BACK = 5, 2
"""Write units of the ledger, the contact row and the enrolment."""
AT_ONCE = {"Step": 8, "Sweep": 8}
"""Calls a function has under way side by side."""
CROWD, AS_LONG_AS = 15, 4
"""Events in one call of the fold, of as many people, from which up to 25 rows are written in one call to the table
(customers/rows.py), and how many single writes such a call is assumed to take as long as.
"""


@dataclass(frozen=True)
class Assumptions:
    """What the counters cannot know."""

    mails_per_address: float = 8
    webhooks_per_address: float = 60
    steps: int = 4
    scenarios: tuple[tuple[int, int], ...] = tuple(SCENARIOS.values())
    """Minutes between the sweeps of each, and between its cohorts."""
    batch_size: int = 50
    """Mails of one call of the step (shared/scenarios/sweep.py)."""
    shards: int = 4
    """Of a stream of an on-demand table."""
    archive_window_seconds: float = 300
    fold_window_seconds: float = 3
    """How long the events stream is collected for a call (infra/customers.py)."""
    through_api: float = 0.0
    """Share of the webhooks that come through API Gateway, not to the function's own address (infra/ingest.py)."""
    notes_per_address: float = 30 / 10_000
    """Notes to the staff (社内通知): one a day for every 10,000 addresses. What is more than A_DAY is not mailed."""
    staff: int = 2
    """Addresses that a note goes to; SES charges each."""
    events_per_mail: float | None = 2.3
    """Records of SES per mail, opens and clicks included (reliability.md §4.2); None: as counted."""
    kept_days: float = 30
    """Raw webhooks and records of SES in the events table."""
    kilobytes_per_event: float = 1.0
    """Of a webhook's row, where it was not counted."""
    kilobytes_per_record: float = 0.6
    """Of the row of one of SES's records, trimmed (shared/ingest/sources/ses.py): 0.46 to 0.63 as counted."""
    lake_kilobytes: float = 0.1
    """Of a webhook, as Parquet: a row of events is 35 bytes as counted, one of orders and lines some hundred."""
    address_kilobytes: float = 12
    """State of a person: profile, orders, carts, consents, enrolments and ledger of a year."""
    request_log_kilobytes: float = 0.25
    metrics_log_kilobytes: float = 0.35
    """A line of the API's access log, and one of metrics: a step counts its mails, a webhook only what is out of the
    ordinary. START, END and REPORT are off (infra/functions.py).
    """
    out_of_the_ordinary: float = 0.05
    """Webhooks that are repeated or refused."""
    trace_reservoir: float = 1.0
    """Traces per second that Lambda takes of a traced function, and its share of the rest. What is called for every
    webhook or record is not traced (infra/functions.py).
    """
    trace_share: float = 0.05
    metrics: int = 6
    """Names that are told in every hour; a name costs for the hours in which it is told (CloudWatch's price list)."""
    alarms: int = 26
    """As the template has them (tests/infra/test_bill_assumptions.py)."""
    analyses: int = 60
    cpu_milliseconds: float = 3
    """Of our own code, per webhook or mail and function."""


@dataclass(frozen=True)
class Rates:
    """What one webhook and one mail cost, counted."""

    webhook: Counts
    webhooks: int
    mail: Counts
    mails: int
    decisions: int
    month: Mapping[str, float] | None = None
    """Of a webhook over a month's mix: units written as `event`, `state` and `due index`, `read units`, calls of the
    fold and the trigger, and `event kilobytes`.
    """
    crowd: Mapping[str, float] | None = None
    """The same where a call of the fold holds the events of many people (`CROWD` or more)."""
    transitions_per_step: float | None = None
    """Of a scenario's machine for one batch, from its definition; None: as counted."""


@dataclass(frozen=True)
class Line:
    """One line: what it is, in units that have a price, and what was assumed."""

    name: str
    usage: Mapping[str, float]
    assumption: str
    usd: float


@dataclass(frozen=True)
class Bill:
    """A month of so many addresses."""

    addresses: int
    lines: tuple[Line, ...]
    floor: float
    """What SES alone takes."""
    write_units_per_mail: float
    write_units_per_webhook: float

    @property
    def usd(self) -> float:
        """All of it."""
        return sum(line.usd for line in self.lines)

    @property
    def ratio(self) -> float:
        """× the SES floor."""
        return self.usd / self.floor


QUEUES = 7
"""Queues that a function waits at; Lambda asks each with five long polls of 20 s, whether anything is in it or not."""


def waiting_at_queues(prices: Prices) -> float:
    """USD a month for asking empty queues: told beside the bill, because reliability.md's figures leave it out of all
    designs, and a million requests of it are free in every account.
    """
    return prices.of({"queue_request": QUEUES * 5 * MONTH_SECONDS / 20})


BARS = {10_000: 3.0, 100_000: 1.6, 1_000_000: 1.4}
"""Addresses → the bill may be so many times the SES floor."""


def bill(
    addresses: int, rates: Rates, prices: Prices, assumed: Assumptions | None = None, *, free_tier: bool = False
) -> Bill:
    """The bill of a month, at list prices or less what AWS always gives for nothing.

    Raises RejectedError when nothing was counted to scale from.
    """
    if addresses < 1 or rates.webhooks < 1 or rates.mails < 1:
        raise RejectedError("a bill needs at least one address, one counted webhook and one counted mail")
    month = _Month(addresses, rates, assumed or Assumptions())
    lines = tuple(Line(name, usage, said, prices.of(usage)) for name, usage, said in month.lines())
    if free_tier:
        lines = (*lines, _free(lines, prices))
    floor = prices.of({"ses_mail": month.mails})
    return Bill(addresses, lines, floor, month.write_units_per_mail, month.write_units_per_webhook)


def _free(lines: tuple[Line, ...], prices: Prices) -> Line:
    """常時無料枠: of every unit what the account has for nothing, if nothing else of the account uses it."""
    used: Counter[str] = Counter()
    for line in lines:
        used.update(line.usage)
    free = {unit: min(used[unit], quantity) for unit, quantity in prices.free.items() if unit in used}
    usage = {unit: -quantity for unit, quantity in free.items()}
    return Line("常時無料枠", usage, "他に使っていないアカウントの場合（未確認）", prices.of(usage))


def price_counts(counts: Counts, prices: Prices) -> tuple[Line, ...]:
    """What was counted, as it is: no scaling, no assumption but the price."""
    return tuple(
        Line(unit, {unit: quantity}, "数えたまま", prices.of({unit: quantity}))
        for unit, quantity in counts.usage().items()
    )


class _Month:
    def __init__(self, addresses: int, rates: Rates, assumed: Assumptions) -> None:
        self.addresses, self.rates, self.assumed = addresses, rates, assumed
        self.webhooks = addresses * assumed.webhooks_per_address
        self.mails = addresses * assumed.mails_per_address
        self.decisions = self.mails * rates.decisions / rates.mails
        counted_events = rates.mail.called("ReceiveFeedback", "dynamodb", "PutItem") / rates.mails
        self.events_per_mail = assumed.events_per_mail or counted_events
        self.events = self.mails * self.events_per_mail

    def lines(self) -> list[tuple[str, dict[str, float], str]]:
        """Every line, before it is priced."""
        return [
            self._ses(), self._api(), self._webhook_units(), self._webhook_functions(), self._mail_units(),
            self._step_function(), self._orchestration(), self._feedback(), self._staff(), self._archive(),
            self._stored(), self._logs(), self._traces(), self._nightly(), self._standing(),
        ]  # fmt: skip

    # --- what was counted ---

    @property
    def crowded(self) -> bool:
        """Whether a call of the fold holds the events of many people at this volume, and so was counted."""
        together = self.webhooks / MONTH_SECONDS / self.assumed.shards * self.assumed.fold_window_seconds
        return together >= CROWD and self.rates.crowd is not None

    @property
    def mix(self) -> Mapping[str, float] | None:
        """What a webhook of the month's mix was counted to take at this volume."""
        return self.rates.crowd if self.crowded else self.rates.month

    @property
    def write_units_per_webhook(self) -> float:
        """Event, state and due index."""
        if self.mix:
            return sum(self.mix[part] for part in ("event", "state", "due index"))
        written = self.rates.webhook.written
        return sum(written[who] for who in ("ReceiveWebhook", "UpdateState", "Trigger")) / self.rates.webhooks

    @property
    def write_units_per_mail(self) -> float:
        """Of a mail that left: ledger 3, contact 1, enrolment 1, and its share of claims and counts.

        Who was held back takes 2 and the same share; making somebody due is counted with the webhook that did it.
        """
        written, mails, decisions = self.rates.mail.written["Step"], self.rates.mails, self.rates.decisions
        shared = written - _OF_A_MAIL * mails - _OF_WHO_IS_HELD_BACK * (decisions - mails)
        return _OF_A_MAIL + shared / decisions

    def _ses(self) -> tuple[str, dict[str, float], str]:
        return "SES 送信料", {"ses_mail": self.mails}, f"1件{self.assumed.mails_per_address:g}通/月、à la carte"

    def _api(self) -> tuple[str, dict[str, float], str]:
        through = f"関数の URL は無料、API 経由は {self.assumed.through_api:.0%}"
        said = f"1件{self.assumed.webhooks_per_address:g}回/月、{through}"
        return "Webhook 受信（URL・HTTP API）", {"api_request": self.webhooks * self.assumed.through_api}, said

    def _webhook_units(self) -> tuple[str, dict[str, float], str]:
        written = self.write_units_per_webhook
        read = (
            self.mix["read units"]
            if self.mix
            else self.rates.webhook.called("UpdateState", "dynamodb", "BatchGetItem", "Query") / self.rates.webhooks
        )
        usage = {"write_unit": self.webhooks * written, "read_unit": self.webhooks * read}
        return "Webhook の書き込み（DynamoDB）", usage, f"1回 {written:.2f} 書込・{read:.2f} 読取単位（実測）"

    def _webhook_functions(self) -> tuple[str, dict[str, float], str]:
        rate = self.webhooks / MONTH_SECONDS / self.assumed.shards
        folded = self.webhooks / max(1.0, rate * self.assumed.fold_window_seconds)
        followed = self.webhooks / max(1.0, rate)
        each = self._gigabyte_seconds(self.rates.webhook, "ReceiveWebhook", self.rates.webhooks)
        each += sum(self._following(name, calls) for name, calls in (("UpdateState", "fold"), ("Trigger", "trigger")))
        usage = {"lambda_request": self.webhooks + folded + followed, "lambda_gb_second": each * self.webhooks}
        return "Webhook の関数（Lambda）", usage, "呼び出し1回 DynamoDB 4ms・S3 25ms、自前の計算 3ms"

    def _following(self, name: str, calls: str) -> float:
        """GB-s of what the streams hand a function, per webhook. The fold writes a crowd's rows 25 at a time."""
        if not self.mix:
            return self._gigabyte_seconds(self.rates.webhook, name, self.rates.webhooks)
        as_long_as = AS_LONG_AS if self.crowded and calls == "fold" else 1
        asked = self.mix[f"{calls} reads"] + self.mix[f"{calls} writes"] * as_long_as
        return (asked * MILLISECONDS["dynamodb"] + self.assumed.cpu_milliseconds) / 1000 * MEMORY_GB[name]

    def _gigabyte_seconds(self, counts: Counts, name: str, per: int, cpu: float | None = None) -> float:
        """Of one webhook or mail, by the calls the function was counted to make for it."""
        waited = sum(MILLISECONDS.get(s, 10.0) * n for (w, s, _), n in counts.calls.items() if w == name)
        own = self.assumed.cpu_milliseconds if cpu is None else cpu
        return (waited / per / AT_ONCE.get(name, 1) + own) / 1000 * MEMORY_GB[name]

    def _mail_units(self) -> tuple[str, dict[str, float], str]:
        share = self.mails / self.rates.mails
        usage = {
            "write_unit": self.rates.mail.written["Step"] * share,
            "read_unit": (self.rates.mail.read["Step"] + self.rates.mail.called("Step", "dynamodb", "BatchGetItem"))
            * share,
        }
        held = self.rates.decisions / self.rates.mails
        said = f"1通 {self.write_units_per_mail:.2f} 書込単位（実測）、送らない判断も {held:.2f} 倍まで含む"
        return "送信台帳・登録（DynamoDB）", usage, said

    def _step_function(self) -> tuple[str, dict[str, float], str]:
        batches = self._cohorts()[1] * self.assumed.steps
        each = self._gigabyte_seconds(self.rates.mail, "Step", self.rates.mails, cpu=6.0)
        usage = {"lambda_request": batches, "lambda_gb_second": each * self.mails + batches * 0.03}
        return "配信の関数（Lambda）", usage, "1人あたりの呼び出し（実測）を8並列、描画 6ms"

    def _cohorts(self) -> tuple[float, float]:
        """Executions and batches in a month: arrivals are spread evenly over the scenarios and the day."""
        assumed = self.assumed
        people = self.decisions / assumed.steps / len(assumed.scenarios)
        executions = batches = 0.0
        for _, minutes in assumed.scenarios:
            ticks = MONTH_SECONDS / 60 / minutes
            arriving = people / ticks
            started = ticks * -math.expm1(-arriving)
            executions += started
            batches += max(started, people / assumed.batch_size)
        return executions, batches

    def _orchestration(self) -> tuple[str, dict[str, float], str]:
        executions, batches = self._cohorts()
        # The start is one, too.
        each = 1 + self._transitions_per_step() * self.assumed.steps
        mapped = max(0.0, batches - executions) * self.assumed.steps
        ticks = self._ticks()
        usage = {
            "transition": executions * each + mapped,
            "express_request": mapped,
            "schedule": ticks,
            "lambda_request": ticks,
            "lambda_gb_second": ticks * (0.02 + SHARDS * MILLISECONDS["dynamodb"] / 1000) * MEMORY_GB["Sweep"],
            "read_unit": ticks * SHARDS / 2,
            "object_put": batches * (1 + self.assumed.steps),
            "object_get": batches * (1 + self.assumed.steps),
        }
        said = f"{executions:,.0f} 実行×{each:.0f} 遷移、シナリオ {len(self.assumed.scenarios)} 本"
        return "シナリオの進行（Step Functions・掃引）", usage, said

    def _ticks(self) -> float:
        return sum(MONTH_SECONDS / 60 / minutes for minutes, _ in self.assumed.scenarios)

    def _transitions_per_step(self) -> float:
        if self.rates.transitions_per_step is not None:
            return self.rates.transitions_per_step
        return self.rates.mail.transitions / max(1, self.rates.mail.executions) / 3

    def _feedback(self) -> tuple[str, dict[str, float], str]:
        counted = self.rates.mail.called("ReceiveFeedback", "dynamodb", "PutItem")
        written = self.rates.mail.written["ReceiveFeedback"] / max(1, counted)
        usage = {
            "write_unit": self.events * written,
            "read_unit": self.events,
            "queue_request": self.events * (1 + 2 / 10),
            "lambda_request": self.events / 5,
            "lambda_gb_second": self.events * 0.011 * MEMORY_GB["ReceiveFeedback"],
        }
        said = f"1通 {self.events_per_mail:.2f} 件、1件 {written:.2f} 書込単位（実測）"
        return "到達・苦情などの受信（SQS・DynamoDB・Lambda）", usage, said

    # --- what is assumed ---

    def _staff(self) -> tuple[str, dict[str, float], str]:
        """A note takes a mail's rows, one more for the day's count, and an object of the tray."""
        notes = self.addresses * self.assumed.notes_per_address
        mailed = min(notes, A_DAY * MONTH_SECONDS / 86_400)
        waited = MILLISECONDS["dynamodb"] * (_OF_A_MAIL + 1) + MILLISECONDS["s3"] + MILLISECONDS["ses"]
        usage = {
            "ses_mail": mailed * self.assumed.staff,
            "write_unit": notes * (_OF_A_MAIL + 1),
            "object_put": notes,
            "lambda_gb_second": notes * waited / 1000 * MEMORY_GB["Step"],
        }
        said = f"1日 {notes / 30:,.0f} 件、宛先{self.assumed.staff}、メールは1日{A_DAY}通まで"
        return "社内通知（SES・DynamoDB・S3）", usage, said

    def _archive(self) -> tuple[str, dict[str, float], str]:
        windows = MONTH_SECONDS / self.assumed.archive_window_seconds * self.assumed.shards
        arriving = self.webhooks + self.events
        filled = 2 * windows * -math.expm1(-arriving / windows)
        usage = {
            "lambda_request": filled,
            "lambda_gb_second": (filled * 0.2 + arriving * 0.0004) * ARCHIVE_GB,
            "object_put": filled * 2,
            "object_gb_month": self.webhooks * self.assumed.lake_kilobytes / 1e6 * 12,
        }
        said = f"{self.assumed.archive_window_seconds:g}秒ごと×{self.assumed.shards}シャード×2本、1年分を保管"
        return "データレイクへの保管（S3・Lambda）", usage, said

    def _stored(self) -> tuple[str, dict[str, float], str]:
        each = (self.rates.month or {}).get("event kilobytes", self.assumed.kilobytes_per_event)
        kept = self.webhooks * each + self.events * self.assumed.kilobytes_per_record
        kept *= self.assumed.kept_days / 30
        people = self.addresses * self.assumed.address_kilobytes
        # What arrived is no longer kept than a backup of it would be (infra/stateful.py).
        usage = {"table_gb_month": (kept + people) / 1e6, "recovery_gb_month": people / 1e6}
        said = f"生データ {self.assumed.kept_days:g} 日 {kept / 1e6:,.1f} GB、顧客の状態 {people / 1e6:,.1f} GB"
        return "保存と復旧（DynamoDB・PITR）", usage, said

    def _logs(self) -> tuple[str, dict[str, float], str]:
        per_webhook = self.assumed.request_log_kilobytes * self.assumed.through_api
        per_webhook += self.assumed.metrics_log_kilobytes * self.assumed.out_of_the_ordinary
        steps = self._cohorts()[1] * self.assumed.steps
        total = self.webhooks * per_webhook + steps * self.assumed.metrics_log_kilobytes
        return "ログ（CloudWatch Logs）", {"log_gb": total / 1e6}, f"Webhook 1回 {per_webhook:.2f} KB"

    def _traces(self) -> tuple[str, dict[str, float], str]:
        executions, batches = self._cohorts()
        taken = sum(self._traced(calls) for calls in (executions, batches * self.assumed.steps))
        return "トレース（X-Ray）", {"trace": taken}, "配信と進行だけ。毎秒1件と残りの5%"

    def _traced(self, calls: float) -> float:
        at_first = min(calls, self.assumed.trace_reservoir * MONTH_SECONDS)
        return at_first + (calls - at_first) * self.assumed.trace_share

    def _nightly(self) -> tuple[str, dict[str, float], str]:
        nights = 30
        terabytes = nights * self.assumed.analyses * max(10e-6, self.addresses * 2e-11 * 10)
        usage = {
            "athena_tb": terabytes,
            "transition": nights * self.assumed.analyses * 12.0,
            "lambda_gb_second": nights * (300 + self.addresses * 0.002) * ARCHIVE_GB,
            "object_put": nights * self.assumed.analyses * 3.0,
            "object_get": nights * self.assumed.analyses * 30.0,
            "write_unit": nights * self.addresses * 0.05,
        }
        return "夜間集計（Athena など）", usage, f"毎晩 {self.assumed.analyses} 分析、1日に5%の人のスコアが変わる"

    def _standing(self) -> tuple[str, dict[str, float], str]:
        usage = {
            "metric": float(self.assumed.metrics),
            "alarm": float(self.assumed.alarms),
            "dashboard": 1.0,
            "secret": 1.0,
        }
        said = f"指標{self.assumed.metrics}・アラーム{self.assumed.alarms}・画面1"
        return "監視と鍵（固定）", usage, said
