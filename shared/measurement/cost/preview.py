"""What a scenario's messages cost before they leave (配信前の見積り): the dearest way, and a budget to keep.

The same prices as the bill. LINE is charged by plan: the preview says which plan holds the messages and where the next
one begins, because one message more can cost ¥5,000 (従量の崖). SES says how long its quota needs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.errors import RejectedError
from shared.measurement.cost.prices import LinePlan, Prices

SMS_PARTS = 1
"""Parts of one SMS: 70 characters each."""
FREE_OF_CHARGE = frozenset({"call", "webhook", "export"})


@dataclass(frozen=True, slots=True)
class Quota:
    """What SES allows an account."""

    per_second: float
    per_day: float
    used_today: float = 0


@dataclass(frozen=True)
class Charge:
    """One channel's messages."""

    channel: str
    messages: int
    yen: float
    said: str


@dataclass(frozen=True)
class Preview:
    """What a scenario costs for so many people."""

    people: int
    charges: tuple[Charge, ...]
    mails_end_at: datetime | None = None

    @property
    def yen(self) -> float:
        """All channels."""
        return sum(charge.yen for charge in self.charges)


def preview(
    ways: Sequence[Mapping[str, int]],
    people: int,
    prices: Prices,
    now: datetime,
    quota: Quota | None = None,
    line_sent: int = 0,
) -> Preview:
    """What the dearest of these ways costs when everybody goes it: messages per person, by channel.

    Raises RejectedError when there is nobody to send to.
    """  # fmt: skip
    if people < 1:
        raise RejectedError("a preview needs at least one person")
    return max((_of(way, people, prices, now, quota, line_sent) for way in ways or [{}]), key=lambda each: each.yen)


def _of(
    way: Mapping[str, int], people: int, prices: Prices, now: datetime, quota: Quota | None, line_sent: int
) -> Preview:
    charges = [_charge(channel, each * people, prices, line_sent) for channel, each in sorted(way.items()) if each]
    mails = way.get("email", 0) and people
    return Preview(people, tuple(charges), mails_end(mails, quota, now) if quota and mails else None)


def _charge(channel: str, messages: int, prices: Prices, line_sent: int) -> Charge:
    match channel:
        case "email":
            usd = prices.of({"ses_mail": messages})
            return Charge(channel, messages, prices.yen(usd), f"SES ${prices.usd['ses_mail'] * 1000:.2f}/1000通")
        case "notify":
            usd = prices.of({"ses_mail": messages})
            return Charge(channel, messages, prices.yen(usd), "社内へのメール、宛先1件として")
        case "sms":
            usd = prices.of({"sms_part": messages * SMS_PARTS})
            return Charge(channel, messages, prices.yen(usd), f"1通 {SMS_PARTS} 分割（70文字まで）、単価は未確認")
        case "line":
            before, _ = line_fee(line_sent, prices.line_plans)
            after, plan = line_fee(line_sent + messages, prices.line_plans)
            return Charge(channel, messages, after - before, _line_said(line_sent + messages, plan, prices.line_plans))
        case "postal":
            return Charge(channel, messages, messages * prices.postal_yen, f"郵便 {prices.postal_yen}円、印刷費は別")
        case _ if channel in FREE_OF_CHARGE:
            return Charge(channel, messages, 0.0, "通信費なし（人の時間は別）")
        case _:
            raise RejectedError(f"no price of the channel {channel!r}")


def line_fee(messages: int, plans: Sequence[LinePlan]) -> tuple[int, LinePlan]:
    """The cheapest plan that lets so many messages go in a month, and its fee in yen."""
    fees = [(_fee(messages, plan), plan) for plan in plans]
    possible = [(fee, plan) for fee, plan in fees if fee is not None]
    if not possible:
        raise RejectedError(f"no LINE plan lets {messages:,} messages go in a month")
    return min(possible, key=lambda found: found[0])


def _fee(messages: int, plan: LinePlan) -> int | None:
    more = max(0, messages - plan.messages)
    if more and plan.more_yen is None:
        return None
    return plan.yen + more * (plan.more_yen or 0)


def _line_said(messages: int, plan: LinePlan, plans: Sequence[LinePlan]) -> str:
    if messages > plan.messages:
        return f"{plan.name}プラン、{messages - plan.messages:,} 通は1通 {plan.more_yen}円まで"
    dearer = [each for each in plans if each.yen > plan.yen]
    cliff = f"。あと {plan.messages - messages + 1:,} 通で月額 {dearer[0].yen:,}円に上がる" if dearer else ""
    return f"{plan.name}プラン {plan.messages:,} 通の内{cliff}"


def mails_end(mails: int, quota: Quota, now: datetime) -> datetime:
    """When the last mail leaves: at SES's rate, and no more in 24 hours than it allows."""
    if quota.per_second <= 0 or quota.per_day <= 0:
        raise RejectedError("SES allows this account no mail at all")
    today = max(0.0, quota.per_day - quota.used_today)
    if mails <= today:
        return now + timedelta(seconds=mails / quota.per_second)
    days = math.ceil((mails - today) / quota.per_day)
    last = mails - today - (days - 1) * quota.per_day
    return now + timedelta(days=days, seconds=last / quota.per_second)


def over_budget(found: Preview, budget_yen: float) -> str | None:
    """The sentence that stops a send, or None."""
    if found.yen <= budget_yen:
        return None
    return (
        f"予算 {budget_yen:,.0f}円を {found.yen - budget_yen:,.0f}円 超えます"
        f"（見積り {found.yen:,.0f}円、{found.people:,}人）。"
        "送信しません。人数か経路を減らすか、予算を上げてください"
    )


def ways_of(steps: Iterable[object]) -> list[Counter[str]]:
    """Messages by channel on every way through a scenario's steps; of several channels in order, each is a way."""
    ways: list[Counter[str]] = [Counter()]
    for step in (getattr(each, "as_send", each) for each in steps):
        if hasattr(step, "send"):
            channels = (step.channel,) if isinstance(step.channel, str) else tuple(step.channel)  # type: ignore[attr-defined]
            ways = [way + Counter({channel: 1}) for way in ways for channel in channels]
        elif hasattr(step, "paths"):
            inner = [each for _, path in step.paths() for each in ways_of(path)]
            ways = [way + each for way in ways for each in inner]
        elif hasattr(step, "exit"):
            break
        ways = [Counter(dict(found)) for found in {tuple(sorted(way.items())) for way in ways}]
    return ways
