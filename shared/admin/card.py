"""顧客カード: everything the shop knows about one person. Holds personal data: for the terminal only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.admin import labels
from shared.admin.explain import Voice
from shared.admin.standing import Standing
from shared.admin.timeline import timeline
from shared.core.money import format_amount
from shared.customers.model import Cart, ConsentEntry, Order, PersonState, Subscription
from shared.delivery.model import LedgerRow
from shared.scenarios.enrolment import cart_occurrence, order_occurrences

Row = tuple[str, ...]
SHOWN = 60
"""Lines of the timeline that are printed."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the card. Without columns it is a list of names and values."""

    title: str
    columns: Row
    rows: tuple[Row, ...]
    nothing: str = ""
    """What to say when there are no rows."""


def card(
    person: PersonState,
    consent_log: Sequence[ConsentEntry],
    sends: Sequence[LedgerRow],
    voice: Voice,
    segments: Sequence[Standing] = (),
) -> tuple[Section, ...]:
    """Who, purchases, judgement, segments (where the shop saved some), consent, orders, contracts, carts, sends, and
    all of it in one list: newest first."""
    return (
        _who(person, voice),
        _scores(person, voice),
        *([_segments(segments, voice)] if segments else []),
        _consents(person, voice),
        _consent_history(consent_log, voice),
        _orders(person.orders, voice),
        _contracts(person.subscriptions, voice),
        _carts(person, voice),
        _sends(sends, voice),
        _attributes(person, voice),
        _timeline(person, consent_log, sends, voice),
    )


def _who(person: PersonState, voice: Voice) -> Section:
    profile, summary = person.profile, person.profile.summary
    name = " ".join(part for part in (profile.last_name, profile.first_name) if part)
    rows = [
        (voice.say("顧客ID", "customer id"), profile.customer_id),
        (voice.say("お名前", "name"), name or "–"),
        (voice.say("メール", "e-mail"), profile.email or "–"),
        (voice.say("電話", "phone"), profile.phone or "–"),
        (voice.say("購入回数", "orders"), voice.say(f"{summary.order_count:,}回", f"{summary.order_count:,}")),
        (voice.say("累計購入金額", "total spent"), format_amount(summary.total_amount, summary.currency)),
        (
            voice.say("初回購入", "first order"),
            voice.time(summary.first_ordered_at) if summary.first_ordered_at else "–",
        ),
        (voice.say("最終購入", "last order"), voice.time(summary.last_ordered_at) if summary.last_ordered_at else "–"),
    ]
    if profile.aliases:
        rows.append((voice.say("統合した顧客ID", "merged ids"), ", ".join(sorted(profile.aliases))))
    if profile.erased:
        rows.append((voice.say("個人情報", "personal data"), voice.say("削除済み", "erased")))
    if person.suppressed:
        channels = ", ".join(labels.channel(each, voice.language) for each in sorted(person.suppressed))
        rows.append((voice.say("配信できない宛先", "suppressed"), channels))
    return Section(voice.say("お客さま", "Customer"), (), tuple(rows))


def _scores(person: PersonState, voice: Voice) -> Section:
    title = voice.say("ステータス", "Status")
    scores = person.profile.scores
    if scores is None:
        return Section(
            title, (), (), voice.say("まだありません（次の夜間集計のあと）", "none yet (after the next nightly run)")
        )
    since = voice.say(f"（{scores.status_since} から）", f" (since {scores.status_since})")
    rank = (
        labels.RFM_RANKS[scores.rfm_rank].of(voice.language) if scores.rfm_rank in labels.RFM_RANKS else scores.rfm_rank
    )
    return Section(
        title,
        (),
        (
            (voice.say("ステータス", "status"), labels.STATUSES[scores.status].of(voice.language) + since),
            (voice.say("LTVランク", "LTV tier"), labels.LTV_TIERS[scores.ltv_tier].of(voice.language)),
            (voice.say("RFMランク", "RFM rank"), f"{rank}  R{scores.rfm_r} F{scores.rfm_f} M{scores.rfm_m}"),
            (voice.say("セグメント", "segments"), ", ".join(person.profile.segments) or "–"),
            (voice.say("集計日", "as of"), scores.as_of.isoformat()),
        ),
    )


def _segments(segments: Sequence[Standing], voice: Voice) -> Section:
    """Those the person was in at night or is in now; of the others that only the night can tell, how many."""
    shown = [each for each in segments if each.at_night or each.now or not each.readable]
    rows = tuple((each.name, each.title, _inside(each.at_night, voice), _now(each, voice)) for each in shown)
    untold = sum(each.now is None for each in segments) - sum(each.now is None for each in shown)
    more = (
        voice.say(f"（ほか夜間集計のみ {untold} 件）", f" ({untold} more that only the night can tell)")
        if untold
        else ""
    )
    columns = _columns(voice, "名前/name", "タイトル/title", "前回の夜間集計/last night", "いま/now")
    return Section(voice.say("セグメント", "Segments") + more, columns, rows, voice.say("該当なし", "in none"))


def _inside(inside: bool, voice: Voice) -> str:
    return voice.say("該当", "in") if inside else "–"


def _now(segment: Standing, voice: Voice) -> str:
    if not segment.readable:
        why = f"matakite segment show {segment.name}"
        return voice.say(f"定義を読めません（理由は {why}）", f"its definition cannot be read ({why} says why)")
    if segment.now is None:
        return voice.say("夜間集計のみ", "only the night can tell")
    if segment.now == segment.at_night:
        return _inside(segment.now, voice)
    if segment.now:
        return voice.say("該当（次の夜間集計で入る見込み）", "in (expected to enter next night)")
    return voice.say("–（次の夜間集計で外れる見込み）", "– (expected to leave next night)")


def _consents(person: PersonState, voice: Voice) -> Section:
    rows = tuple(
        (
            labels.channel(each.channel, voice.language),
            _store(each.store, voice),
            labels.CONSENTS[each.status].of(voice.language),
            voice.time(each.at),
            each.method,
        )
        for each in sorted(person.consents, key=lambda consent: (consent.channel, consent.store))
    )
    columns = _columns(voice, "チャネル/channel", "店舗/store", "現在/now", "日時/when", "方法/how")
    nothing = voice.say("許諾の記録なし（送りません）", "none recorded (nothing is sent)")
    return Section(voice.say("配信の許諾", "Consent"), columns, rows, nothing)


def _consent_history(log: Sequence[ConsentEntry], voice: Voice) -> Section:
    rows = tuple(
        (
            voice.time(entry.at),
            labels.channel(entry.channel, voice.language),
            _store(entry.store, voice),
            voice.say("許諾", "opt-in") if entry.granted else voice.say("停止", "opt-out"),
            f"{entry.method} / {entry.basis}",
            voice.say("本人", "customer") if entry.by_customer else voice.say("店舗・取込", "shop or import"),
        )
        for entry in sorted(log, key=lambda entry: (entry.at, entry.event_id), reverse=True)
    )
    columns = _columns(
        voice, "日時/when", "チャネル/channel", "店舗/store", "内容/what", "方法・根拠/how, basis", "誰が/by"
    )
    return Section(voice.say("許諾の履歴", "Consent ledger"), columns, rows, voice.say("なし", "none"))


def _orders(orders: Sequence[Order], voice: Voice) -> Section:
    known = sorted(
        (each for each in orders if each.ordered_at), key=lambda o: (str(o.ordered_at), o.order_id), reverse=True
    )
    rows = tuple(
        (
            voice.time(order.ordered_at) if order.ordered_at else "–",
            order.store,
            order.order_id,
            format_amount(order.amount if order.valid else order.total, order.currency),
            _order_state(order, voice),
        )
        for order in known
    )
    columns = _columns(voice, "日時/when", "店舗/store", "受注番号/order", "金額（返金後）/amount", "状態/state")
    return Section(voice.say("受注", "Orders"), columns, rows, voice.say("なし", "none"))


def _order_state(order: Order, voice: Voice) -> str:
    marks = [
        (order.cancelled, "キャンセル", "cancelled"),
        (order.deleted, "削除", "deleted"),
        (order.test, "テスト", "test"),
        (bool(order.refunds), "返金あり", "refunded"),
        (order.historical, "取込", "imported"),
    ]
    said = [voice.say(ja, en) for true, ja, en in marks if true]
    return voice.say("・", ", ").join(said) or voice.say("有効", "valid")


def _carts(person: PersonState, voice: Voice) -> Section:
    bought = {occurrence for order in person.orders if order.valid for occurrence in order_occurrences(order)}
    rows = tuple(
        (
            voice.time(cart.updated_at),
            cart.store,
            format_amount(cart.total, cart.currency) if cart.currency else f"{cart.total:,}",
            "、".join(f"{line.title} ×{line.quantity}" for line in cart.lines[:3]) or "–",
            _cart_state(cart, cart_occurrence(cart) in bought, voice),
        )
        for cart in sorted(person.carts, key=lambda cart: (cart.updated_at, cart.event_id), reverse=True)
    )
    columns = _columns(voice, "最終操作/touched", "店舗/store", "金額/amount", "中身/contents", "状態/state")
    return Section(voice.say("カート", "Carts"), columns, rows, voice.say("なし", "none"))


def _cart_state(cart: Cart, bought: bool, voice: Voice) -> str:
    if cart.completed_at or bought:
        return voice.say("購入完了", "completed")
    return voice.say("購入前", "open") if cart.open else voice.say("空・削除", "empty or deleted")


def _sends(sends: Sequence[LedgerRow], voice: Voice) -> Section:
    rows = tuple(
        (
            voice.time(row.sent_at or row.decided_at),
            f"{row.scenario} / {row.step}",
            labels.channel(row.channel, voice.language),
            labels.SEND_STATES[row.state].of(voice.language),
            labels.REASONS[row.reason].of(voice.language) if row.reason else "",
        )
        for row in sorted(sends, key=lambda row: (row.sent_at or row.decided_at, row.send_id), reverse=True)
    )
    columns = _columns(
        voice,
        "日時/when",
        "シナリオ/scenario",
        "チャネル/channel",
        "結果/result",
        "理由/reason",
    )
    return Section(voice.say("配信の履歴", "Sends"), columns, rows, voice.say("なし", "none"))


def _contracts(contracts: Sequence[Subscription], voice: Voice) -> Section:
    guessed = voice.say("（推定）", " (estimated)")
    rows = tuple(
        (
            each.subscription_id,
            "、".join(line.title for line in each.lines[:3]) or "–",
            labels.CONTRACTS[each.state].of(voice.language) + (guessed if each.estimated else ""),
            "–" if each.deliveries is None else str(each.deliveries),
            each.next_delivery_on.isoformat() if each.next_delivery_on else "–",
        )
        for each in contracts
    )
    columns = _columns(voice, "契約/contract", "商品/items", "状態/state", "お届け回数/deliveries", "次回お届け/next")
    return Section(voice.say("定期", "Subscriptions"), columns, rows, voice.say("なし", "none"))


def _attributes(person: PersonState, voice: Voice) -> Section:
    rows = tuple(
        (
            labels.attribute(name, voice.language),
            "、".join(each.value) if isinstance(each.value, tuple) else str(each.value),
            voice.time(each.at),
        )
        for name, each in sorted(person.attributes.items())
    )
    columns = _columns(voice, "属性/attribute", "値/value", "日時/when")
    return Section(voice.say("属性", "Attributes"), columns, rows, voice.say("なし", "none"))


def _timeline(
    person: PersonState, consent_log: Sequence[ConsentEntry], sends: Sequence[LedgerRow], voice: Voice
) -> Section:
    happened = timeline(person, consent_log, sends, voice)
    rows = tuple((voice.time(at), kind, what) for at, kind, what in happened[:SHOWN])
    more = len(happened) - len(rows)
    title = voice.say("時系列", "Timeline") + (voice.say(f"（ほか{more}件）", f" ({more} more)") if more else "")
    return Section(title, _columns(voice, "日時/when", "種類/kind", "内容/what"), rows, voice.say("なし", "none"))


def _store(store: str, voice: Voice) -> str:
    return voice.say("すべての店舗", "every store") if store == "*" else store


def _columns(voice: Voice, *names: str) -> Row:
    return tuple(voice.say(*name.split("/", 1)) for name in names)
