"""The scenario language (シナリオ定義): what a file may say. `read.py` turns the YAML into these.

A file is one scenario: who gets in, when they leave, and a list of steps. A fork (`branch`, `split`, `wait_for`)
carries whoever is left along one of its arms; what follows the fork is done in every arm, each at its own pace.

    id: f2_first_order            # = the file's name
    title: 初回購入のお礼
    status: staged                # live | staged (decides and records, sends nothing) | off
    entry: …                      # below
    reentry: once                 # once | always (per cart, order, contract) | 30d (once in so long, per person)
    sweep_every: 15m              # how often the due are collected: 1m to 1d, a cost setting
    priority: 5                   # 1 to 9: where several want the same person and the caps leave no room for all,
                                  # the higher goes (of those due on the same shop day); the other is `outranked`
    period: {from: 2026-12-01, until: 2026-12-25}     # shop days; outside nobody enters and nothing is sent
    exit_when: [order_placed, unsubscribed, {contract: [cancelled]}]    # rules by name, or conditions
    goal: {ordered: {}}           # a condition: whoever meets it has arrived, and leaves with `goal`
    steps: […]
    examples: […]

Entries (`event`, with `after` = how long after it they are due, `expires_after` = later nobody enters, and `where` = a
condition on the person asked when they are collected):

    {event: cart_abandoned, after: 1h}
    {event: order_placed, after: 3d, number: 1, product: [A-1], subscription: false}     number: the person's n-th order
    {event: page_viewed, after: 1d, page_type: price, path: /plan*, product: [A-1], at_least: 3, within: 7d}
    {event: logged_in} · {event: tracked, name: trial_started}
    {event: survey_answered, survey: s1, question: q1, choice: [bad, poor]}
    {event: contract_changed, state: [cancelled]}        a 定期契約 came into this state
    {event: status_changed, to: [dormant], from: [at_risk, loyal]}       ステータス, as a night found it
    {event: segment_entered, segment: [vip]} · {event: segment_left, segment: vip}      セグメント, as a night found it
    {event: friend_ordered, after: 14d}      紹介: a new customer, who came by the `share_url` of one of this person's
        messages, placed an order, and has not cancelled it when they are collected
    {event: back_in_stock, product: [A-1], within: 60d}      入荷通知: asked for by the tracked event
        `back_in_stock_requested` with a product_id, and on sale again by the last night's product feed
    {event: date, date: birthday, days: -7, at: "10:00"}     days before (-) or after; at = shop time, default 10:00
    {event: broadcast}           nobody enters by themselves: `matakite scenario enrol`

Dates: birthday (every year), registered, first_order, last_order, last_login, last_seen, next_delivery,
contract_started, points_expire, rank_until, next_order (次回購入予定日, as the last night predicts it; overdue by their
cycle is `status_changed` to at_risk). A date that has moved by the time they are collected lets nobody in.

Steps:

    wait: 2d · wait: {for: 2d, until: "10:00", on: [business_day]}     on: mon … sun, weekday, weekend, business_day
    wait: best_hour · wait: next_order        then a send: to each at their own hour, or on the day of their next order
    wait_for: bought · when: {ordered: {}} · timeout: 7d · check_every: 1d · then: […] · else: […]
    branch: tier · on: ltv_tier | status | buyer · arms: {high: […]} · else: […]
    branch: who · on: segment · arms: {vip: […], newcomers: […]} · else: […]      the first arm they are in
    branch: reacted · when: {clicked: {clicked: mail_1}, opened: {opened: mail_1}} · arms: {clicked: […], …} · else: […]
    split: subject · shares: {a: 45, b: 45, holdout: 10} · arms: {a: […], b: […]}      by person, for ever the same
    send: mail_1 · channel: email, or [line, email]: the first that reaches them · template: folder/name
    tag: vip_offered · exit: word · coupon: spring       one of the campaign's codes each: `coupon` of later templates
    notify: staff · template: folder/name     tell the staff, with ids: by mail (`matakite shop set --staff-mail`) and
        `matakite scenario handed ID --kind notify`, or to the endpoint `notify` where there is one
    webhook: crm · template: folder/name      post to the shop's endpoint
    export: list                              a line for each, fetched as a file by `matakite scenario handed ID`

Conditions (a mapping; everything in it must hold; the first arm whose condition holds is taken):

    tier: [high] · status: [dormant, at_risk] · buyer: first | repeat        buyer: never bought, has bought
    segment: [vip]                             in one of these saved segments, as the last night found
    orders: {at_least: 2, at_most: 5} · ordered: {within: 30d, product: [A-1], at_least: 1}    no within: since entry
    opened: mail_1 · clicked: mail_1          a send of this scenario before; machines do not count
    viewed: {page_type: price, path: /plan*, product: [A-1], within: 7d, at_least: 2} · logged_in: {within: 30d}
    attribute: {name: gender, is: [female]} (or at_least, at_most, known: true) · contract: [active, paused]
    reachable: line                            an address, consent and no suppression on that channel
    all: [ … ] · any: [ … ] · none: [ … ]
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, PlainSerializer, Tag

from shared.core.ids import ScenarioId, digest
from shared.delivery.model import Reason
from shared.scenarios.language.conditions import Condition
from shared.scenarios.language.entries import KEYED, DateOf, Entry
from shared.scenarios.language.examples import Example
from shared.scenarios.language.steps import (
    HANDOVERS,
    Branch,
    Couponing,
    Send,
    Step,
    Subject,
    WaitFor,
    preceded,
    step_name,
    walk,
)
from shared.scenarios.language.words import Duration, Name, Part, format_duration, parse_duration


class LiveStatus(StrEnum):
    """Live (配信中), staged (decides and records, sends nothing), off (nobody enters)."""

    LIVE = "live"
    STAGED = "staged"
    OFF = "off"


class ExitRule(StrEnum):
    """What takes someone out at a step, before anything is sent (離脱条件)."""

    ORDER_PLACED = "order_placed"
    CART_COMPLETED = "cart_completed"
    CART_EMPTIED = "cart_emptied"
    UNSUBSCRIBED = "unsubscribed"
    """Cannot or may not be written to any more: opted out, complained, hard bounce, erased."""


def _reentry(value: object) -> object:
    return value if value in {"once", "always"} else parse_duration(value)


Reentry = Annotated[
    Literal["once", "always"] | timedelta,
    BeforeValidator(_reentry),
    PlainSerializer(
        lambda value: value if isinstance(value, str) else format_duration(value), return_type=str, when_used="json"
    ),
]


class Period(Part):
    """When a scenario works (運用期間): shop days, both included."""

    from_: date | None = Field(default=None, alias="from")
    until: date | None = None

    def covers(self, day: date) -> bool:
        """Is it working on this day?"""
        return (self.from_ is None or day >= self.from_) and (self.until is None or day <= self.until)


ExitWhen = Annotated[
    Annotated[ExitRule, Tag("rule")] | Annotated[Condition, Tag("condition")],
    Discriminator(lambda value: "condition" if isinstance(value, Condition | dict) else "rule"),
]


class Scenario(Part):
    """One scenario file (シナリオ)."""

    id: Name
    title: str = Field(min_length=1, max_length=60)
    notes: str = ""
    status: LiveStatus = LiveStatus.STAGED
    entry: Entry
    sweep_every: Duration = Field(default=timedelta(minutes=15), ge=timedelta(minutes=1), le=timedelta(days=1))
    """How often the due are collected: a cost setting, because every collection that finds someone is an execution."""
    reentry: Reentry | None = None
    """`once`, `always` (per cart, order, contract), or at most once in so long."""
    priority: Annotated[int, Field(strict=True, ge=1, le=9)] = 5
    period: Period | None = None
    exit_when: tuple[ExitWhen, ...] = Field(min_length=1)
    """Rules by name, or conditions."""
    goal: Condition | None = None
    """Whoever meets it has arrived (目的達成)."""
    steps: tuple[Step, ...] = Field(min_length=1)
    examples: tuple[Example, ...] = Field(min_length=2)

    @property
    def scenario_id(self) -> ScenarioId:
        """`id`, typed."""
        return ScenarioId(self.id)

    @property
    def version(self) -> str:
        """Digest of what decides: two files that do the same have the same version, whatever their words."""
        decides = {"id", "entry", "reentry", "priority", "period", "exit_when", "goal", "steps"}
        said = self.model_dump(mode="json", include=decides, by_alias=True, exclude_defaults=True)
        return digest(json.dumps(_without_notes(said), sort_keys=True))[:12]

    def messages(self) -> list[Send]:
        """Everything that goes through the ledger: sends, and what is handed to the shop."""
        found = (step.as_send if isinstance(step, HANDOVERS) else step for step in walk(self.steps))
        return [step for step in found if isinstance(step, Send)]

    def coupons_before(self, name: str) -> tuple[str, ...]:
        """Campaigns whose coupon somebody may have when they come to a message."""
        found = (before for step, before in preceded(self.steps) if step_name(step) == name)
        return tuple(dict.fromkeys(e.coupon for before in found for e in before if isinstance(e, Couponing)))

    def above(self, others: Iterable[Scenario]) -> tuple[str, ...]:
        """Which of these scenarios go before this one."""
        return tuple(e.id for e in others if e.priority > self.priority and e.status is LiveStatus.LIVE)

    @property
    def again_after(self) -> timedelta | None:
        """How long after entering the same person may enter again; None: whenever it happens again."""
        match self.reentry:
            case None:
                return None if self.entry.event in KEYED or self.entry.date in YEARLY else timedelta.max
            case "once":
                return timedelta.max
            case "always":
                return None
            case _:
                return self.reentry

    @property
    def segments(self) -> frozenset[str]:
        """Saved segments it asks about (セグメント)."""
        branches = [step for step in walk(self.steps) if isinstance(step, Branch)]
        asked = [self.entry.where, self.goal, *(rule for rule in self.exit_when if isinstance(rule, Condition))]
        asked += [condition for branch in branches for condition in (branch.when or {}).values()]
        asked += [step.when for step in walk(self.steps) if isinstance(step, WaitFor)]
        named = {name for each in asked if each for part in each.parts() for name in part.segment or ()}
        arms = {arm for branch in branches if branch.on is Subject.SEGMENT for arm in branch.arms}
        return frozenset(named | arms | set(self.entry.segment or ()))

    def sends(self) -> list[Send]:
        """Every message of the scenario, in the order of the file."""
        return [step for step in walk(self.steps) if isinstance(step, Send)]


YEARLY = frozenset({DateOf.BIRTHDAY, DateOf.NEXT_DELIVERY, DateOf.NEXT_ORDER, DateOf.POINTS_EXPIRE, DateOf.RANK_UNTIL})
"""Dates that come again: each of them may be entered on."""


def _without_notes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_notes(item) for key, item in value.items() if key != "note"}
    return [_without_notes(item) for item in value] if isinstance(value, list) else value


REASONS = frozenset(str(reason) for reason in Reason if reason) | {
    "historical",
    "empty_cart",
    "not_eligible",
    "entered_before",
}
"""What an example may give as the reason of a `skip`."""
