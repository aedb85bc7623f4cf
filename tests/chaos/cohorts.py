"""Chaos of whole cohorts: throttling (T6), outages and catching up (T7), ticks and batches that run twice (T14)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from shared.core.clock import FixedClock, shop_day
from shared.core.errors import MatakiteError, UnavailableError
from shared.delivery.channels.channel import Accepted, Message
from shared.delivery.channels.fake import FakeChannel, Fault
from shared.delivery.channels.line import REPEATS
from shared.delivery.model import IN_FLIGHT, SendState
from shared.scenarios.enrolment import EnrolmentState
from shared.scenarios.model import Scenario
from shared.scenarios.read import PRESETS, read_text
from shared.scenarios.rehearse import Rehearsal
from shared.scenarios.step import COME_BACK_SECONDS, StepDeps, run_step
from tests.chaos.sending import PARTS
from tests.unit.scenarios.world import MORNING, TENANT, World, a_cart, a_person

PEOPLE = 6
HOUR = timedelta(hours=1)
CHANNELS = ("email", "line")


@cache
def scenario(channel: str) -> Scenario:
    """カゴ落ち as it comes with the product, on one channel."""
    text = (PRESETS / "cart_abandoned.yaml").read_text("utf-8")
    return read_text(text.replace("channel: email", f"channel: {channel}"))


class Provider(FakeChannel):
    """SES or LINE that does not take anything for a while."""

    def __init__(self, clock: FixedClock, rng: random.Random, channel: str = "email") -> None:
        super().__init__(parts=PARTS[channel], repeats=REPEATS if channel == "line" else None)
        self.clock, self.rng = clock, rng
        self.down_from = self.down_until = MORNING
        self.fault = Fault.NONE
        self.calls: Counter[str] = Counter()
        self.at: dict[str, datetime] = {}

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        self.calls[message.key.send_id] += 1
        if self.down_from <= self.clock.at < self.down_until:
            self.plan(self.fault)
        accepted = super().send(message)
        self.at[message.key.send_id] = self.clock.at
        return accepted


class Shop(World):
    """A shop whose people left a cart an hour ago, and are swept once."""

    def __init__(
        self, rng: random.Random, channel: str = "email", people: int = PEOPLE, batch_size: int = 3, **more: Any
    ) -> None:
        super().__init__(scenario=scenario(channel), batch_size=batch_size, channel=channel, **more)
        self.rng = rng
        self.provider = Provider(self.clock, rng, channel)
        self.ses = self.provider
        for n in range(people):
            person = a_person(f"p{n:03}", a_cart(f"c{n}"), line_user_id=f"U{n:032x}")
            consents = tuple(replace(each, channel=channel) for each in person.consents)
            self.adds(replace(person, consents=consents))

    def judge(self) -> None:
        """I1, I2, I6 and the funnel, whatever happened."""
        accepted = Counter(message.key.send_id for message in self.provider.accepted)
        assert max(accepted.values(), default=1) == 1, "I1: accepted twice"
        decided: Counter[str] = Counter()
        for customer in self.people:
            for row in self.ledger.rows(TENANT, customer):  # type: ignore[arg-type]
                assert row.state not in IN_FLIGHT, f"I2: {customer} {row.step} is {row.state}"
                assert (row.send_id in accepted) == (row.state is SendState.SENT) or row.state is SendState.UNKNOWN
                decided[row.step] += 1
            enrolment = self.enrolment(customer)
            assert enrolment.state in (EnrolmentState.FINISHED, EnrolmentState.EXITED), f"I2: {enrolment.state}"
        days = Counter(
            (m.key.customer_id, shop_day(self.provider.at[m.key.send_id], self.shop.timezone))
            for m in self.provider.accepted
            if m.key.send_id in self.provider.at
        )
        assert max(days.values(), default=1) == 1, "I6: more than one mail a day"
        counted = Counter({step: sum(counts.values()) for step, counts in self.funnel().items()})
        for step in decided:
            assert counted[step] == decided[step], f"I2: {step}: funnel {counted[step]}, ledger {decided[step]}"


# --- T6, T7 -----------------------------------------------------------------------------------------------------------


def storm(case: int, rng: random.Random) -> None:
    """T6: half of all writes are throttled for a minute, and SES throttles everything for ten, LINE for five."""
    start = MORNING + HOUR
    channel, seconds = (("email", 600), ("line", 300))[case % 2]
    shop: Shop = Shop(rng, channel, wrap=lambda deps: _refusing(deps, shop, start, timedelta(seconds=60), 0.5))
    shop.provider.down_from, shop.provider.down_until = start, start + timedelta(seconds=seconds)
    shop.provider.fault = Fault.THROTTLE
    _sweep_at(shop, start)
    _play(shop)
    shop.judge()
    # Refused by SES, and the release refused by DynamoDB: nobody can say any more that it was surely not sent.
    in_doubt = shop.funnel()["mail_1"]["ambiguous"]
    assert Counter(shop.mails())["mail_1"] == PEOPLE - in_doubt, "everybody's first mail leaves after the storm"
    assert max(shop.provider.calls.values()) <= 1 + seconds / COME_BACK_SECONDS + 1, "called more than once in 90 s"


def outage(case: int, rng: random.Random) -> None:
    """T7: a provider is away for half an hour to fourteen, the tables for five minutes, the sweep for up to three days;
    nothing leaves late.
    """
    start = MORNING + HOUR
    tables = timedelta(minutes=5) if rng.random() < 0.5 else timedelta(0)
    shop: Shop = Shop(rng, CHANNELS[case % 2], wrap=lambda deps: _refusing(deps, shop, start, tables, 1.0))
    shop.provider.fault = rng.choice([Fault.UNREACHABLE, Fault.PAUSE, Fault.THROTTLE])
    shop.provider.down_from = start
    shop.provider.down_until = start + rng.choice([HOUR / 2, HOUR / 2, 2 * HOUR, 2 * HOUR, 14 * HOUR])
    swept_after = rng.choice([timedelta(0), timedelta(0), 2 * HOUR, 13 * HOUR, timedelta(days=3)])
    _sweep_at(shop, MORNING + HOUR + swept_after)
    _play(shop)
    shop.judge()
    for message in shop.provider.accepted:
        if message.step == "mail_1":
            late = shop.provider.at[message.key.send_id] - (MORNING + HOUR)
            assert late < 12 * HOUR + timedelta(minutes=5), f"I6: the first mail left {late} after it was due"
    if swept_after >= timedelta(days=1):
        assert not shop.provider.accepted, "I6: three days late, and still sent"


# --- T14 --------------------------------------------------------------------------------------------------------------


def ticks(case: int, rng: random.Random) -> None:
    """T14: ticks three times, a later tick over the same people, batches run twice, executions redriven."""

    class Redriven(Shop):
        def rehearsal(self) -> Rehearsal:
            def step(call: Mapping[str, Any]) -> Mapping[str, Any]:
                runs = 1 + (rng.random() < 0.5)
                answers = [run_step(call, self.step_deps()) for _ in range(runs)]
                if rng.random() < 0.2:
                    raise UnavailableError("the answer of a batch that was done is lost")
                return answers[rng.randrange(runs)]

            return replace(super().rehearsal(), step=step)

    shop = Redriven(rng)
    start = MORNING + HOUR
    for delay in (0, 0, 0, 60, 60):
        _sweep_at(shop, start + timedelta(seconds=delay))
    _play(shop)
    again = list(shop.executions.items())
    assert 1 <= len(again) <= 2, f"{len(again)} executions of two ticks"
    for name, document in again:
        if rng.random() < 0.5:
            del shop.executions[name]
            shop.start("cart_abandoned", name, document)
    _play(shop)
    shop.judge()
    # An execution whose answers were lost four times fails, and is started again days later: what it finds is late.
    late = sum(counts["too_late"] for counts in shop.funnel().values())
    assert len(shop.provider.accepted) == 3 * PEOPLE - late, f"{len(shop.provider.accepted)} mails, {late} too late"


# --- what they share --------------------------------------------------------------------------------------------------


def _refusing(deps: StepDeps, shop: Shop, start: datetime, length: timedelta, share: float) -> StepDeps:
    """The step over tables that refuse a share of all calls for a while."""

    def guard(call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*given: Any, **named: Any) -> Any:
            if start <= shop.clock.at < start + length and shop.rng.random() < share:
                raise UnavailableError("throttled")
            return call(*given, **named)

        return guarded

    sending = replace(deps.sending, ledger=_Guarded(deps.sending.ledger, guard))
    return replace(deps, enrolments=_Guarded(deps.enrolments, guard), sending=sending)


class _Guarded:
    def __init__(self, port: Any, guard: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._port, self._guard = port, guard

    def __getattr__(self, name: str) -> Any:
        return self._guard(getattr(self._port, name))


def _sweep_at(shop: World, at: datetime) -> None:
    shop.timeline.at(at, lambda: void(shop.sweeps()))


def _play(shop: World) -> None:
    """Play on; an execution that fails is redriven from its step by its machine's operator: here, started again."""
    for _ in range(20):
        try:
            shop.play()
        except MatakiteError:
            redriven = dict(shop.executions)
            shop.executions.clear()
            shop.clock.at += timedelta(minutes=10)
            for name, document in redriven.items():
                shop.start("cart_abandoned", name, document)
        else:
            return
    raise AssertionError("it never came to an end")


def void(_: object) -> None:
    """Forget an answer."""
