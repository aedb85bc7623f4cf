"""時系列: what happened with one person, in one list. Holds personal data: for the terminal only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

from shared.admin import labels
from shared.admin.explain import Voice
from shared.core.money import format_amount
from shared.customers.model import Attribute, ConsentEntry, PersonState, Subscription, Visit
from shared.delivery.model import LedgerRow

Happened = tuple[datetime, str, str]
"""When, what kind of thing, and what exactly."""

_VISITS = {
    "page": ("ページ閲覧", "page viewed"),
    "login": ("ログイン", "login"),
    "tracked": ("行動", "tracked"),
}
_SAID = {
    "survey": ("アンケート回答", "survey answer"),
    "call": ("電話の結果", "call"),
    "points": ("ポイント", "points"),
    "rank": ("会員ランク", "member rank"),
    "tags": ("タグ", "tag"),
}
"""Kinds of attributes that are something that happened; what the customer record says is not."""


def timeline(
    person: PersonState, consents: Sequence[ConsentEntry], sends: Sequence[LedgerRow], voice: Voice
) -> tuple[Happened, ...]:
    """Orders, carts, contracts, sends with what became of them, visits, calls, answers, consent and status: newest
    first. Of visits the latest 50 are known; of an attribute its latest value.
    """
    happened = [
        *_orders(person, voice),
        *_carts(person, voice),
        *(each for contract in person.subscriptions for each in _contract(contract, voice)),
        *(_visit(visit, voice) for visit in person.visits),
        *(_said(name, each, voice) for name, each in person.attributes.items() if name.partition("/")[0] in _SAID),
        *(_consent(entry, voice) for entry in consents),
        *(_send(row, voice) for row in sends),
        *_joined(person, voice),
        *_status(person, voice),
    ]
    return tuple(sorted(happened, reverse=True))


def _orders(person: PersonState, voice: Voice) -> Iterator[Happened]:
    for order in person.orders:
        if order.ordered_at:
            what = ("注文", "order") if order.valid else ("注文（無効）", "order, not valid")
            goods = "、".join(f"{line.title} ×{line.quantity}" for line in order.lines[:3])
            amount = format_amount(order.amount if order.valid else order.total, order.currency)
            yield order.ordered_at, voice.say(*what), f"{order.order_id} {amount} {goods}".rstrip()


def _carts(person: PersonState, voice: Voice) -> Iterator[Happened]:
    for cart in person.carts:
        goods = "、".join(f"{line.title} ×{line.quantity}" for line in cart.lines[:3])
        yield cart.updated_at, voice.say("カート", "cart"), goods or voice.say("空", "empty")


def _contract(contract: Subscription, voice: Voice) -> Iterator[Happened]:
    what = voice.say("定期（推定）", "contract (estimated)") if contract.estimated else voice.say("定期", "contract")
    goods = "、".join(line.title for line in contract.lines[:3])
    if contract.started_at:
        yield contract.started_at, what, f"{voice.say('開始', 'started')} {contract.subscription_id} {goods}".rstrip()
    if contract.cancelled_at:
        why = contract.cancel_reason or ""
        yield contract.cancelled_at, what, f"{voice.say('解約', 'cancelled')} {contract.subscription_id} {why}".rstrip()


def _visit(visit: Visit, voice: Voice) -> Happened:
    kind = _VISITS.get(visit.kind, (visit.kind, visit.kind))
    return visit.at, voice.say(*kind), " ".join(each for each in (visit.name, visit.path, visit.product_id) if each)


def _said(name: str, attribute: Attribute, voice: Voice) -> Happened:
    kind, _, rest = name.partition("/")
    value = attribute.value
    shown = "、".join(value) if isinstance(value, tuple) else str(value)
    return attribute.at, voice.say(*_SAID[kind]), f"{rest}: {shown}"


def _consent(entry: ConsentEntry, voice: Voice) -> Happened:
    said = voice.say("許諾", "opt-in") if entry.granted else voice.say("停止", "opt-out")
    return entry.at, voice.say("配信の許諾", "consent"), f"{labels.channel(entry.channel, voice.language)} {said}"


def _send(row: LedgerRow, voice: Voice) -> Happened:
    reactions = (
        labels.REACTIONS[each].of(voice.language) for each in sorted(row.reactions) if each in labels.REACTIONS
    )
    became = [labels.SEND_STATES[row.state].of(voice.language)]
    became += [labels.REASONS[row.reason].of(voice.language)] if row.reason else []
    told = voice.say("・", ", ").join([*became, *reactions])
    what = f"{row.scenario} / {row.step} ({labels.channel(row.channel, voice.language)}): {told}"
    return row.sent_at or row.decided_at, voice.say("配信", "send"), what


def _joined(person: PersonState, voice: Voice) -> Iterator[Happened]:
    for gone, how in person.profile.joins.items():
        yield how.at, voice.say("名寄せ", "joined"), str(gone)
    for decision in person.profile.decisions:
        said = voice.say("名寄せ", "merged") if decision.joined else voice.say("名寄せの取り消し", "merge taken back")
        yield decision.at, said, f"{decision.one} + {decision.other} ({decision.actor})"


def _status(person: PersonState, voice: Voice) -> Iterator[Happened]:
    if scores := person.profile.scores:
        since = datetime.combine(scores.status_since, time(), ZoneInfo(voice.timezone))
        yield since, voice.say("ステータス", "status"), labels.STATUSES[scores.status].of(voice.language)
