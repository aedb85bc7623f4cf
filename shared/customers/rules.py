"""What events amount to: pure decisions, the same for every order, repetition and replay of the events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from shared.core.ids import CustomerId, Ref, digest
from shared.customers.model import (
    Attribute,
    Card,
    Cart,
    Claim,
    Consent,
    ConsentEntry,
    ConsentStatus,
    Decision,
    Evidence,
    Order,
    Record,
    Said,
    Subscription,
    Summary,
    Suppressed,
    Suppression,
    Visit,
)

T = TypeVar("T")
Latest = TypeVar("Latest", Said, Attribute, Decision)

VISITS_KEPT = 50

CARDS_KEPT = 100
"""Names and addresses of one person, the latest: those of a thousand guests with one address would not fit a row."""

ATTRIBUTES_KEPT = 300
"""Attributes of a site's or file's own making (`custom/…`), the latest: the key of the call stands in every page, and a
name made up with each call would fill the row until nothing of its person could be written any more.
"""

CLAIMS_KEPT = 200
"""Browsers of a person, and persons of a browser: a terminal in a library must not grow without end."""

SHARED_BY_MOST = 10
"""Customer numbers that may have an address or a cart in common: what more of them share is nobody's (ダミーの宛先).

A family in each of a shop's carts and malls stays below it, and one that is taken for nobody's loses a mail, while one
that is taken for somebody's makes one person of thousands.
"""

VISITOR = "visitor"
"""Kind of the ref of a visitor's cookie. It never joins anybody: see `links.py`."""

EVERY_STORE = "*"
"""Store of a consent entry that counts in all of them."""

SOFT_BOUNCES = 3
SOFT_BOUNCE_WINDOW = timedelta(days=14)
SOFT_BOUNCE_PAUSE = timedelta(days=30)
_SOFT_BOUNCES_KEPT = 50

# --- who -------------------------------------------------------------------------------------------------------------
_RANKS = {"customer": 0, "email": 1, "line": 2, "phone": 3, "anon": 4, VISITOR: 5}
_ADDRESSES = ("email:", "line:", "phone:")
"""Refs made of an address: after an erasure nobody is found by them until it is said again."""


def ref_rank(ref: Ref) -> tuple[int, str]:
    """Order of refs: the smallest names the person."""
    return _RANKS[ref.partition(":")[0]], ref


def is_strong(ref: Ref) -> bool:
    """Does this ref name a person by itself (customer id, mail address, LINE id, telephone number with a name)?"""
    return _RANKS[ref.partition(":")[0]] < _RANKS["anon"]


def has_account(refs: Iterable[str]) -> bool:
    """Is there a customer number of a store among them? Two of those become one by a link that can be cut."""
    return any(ref.startswith("customer:") for ref in refs)


def naming(refs: Sequence[Ref], nobodys: Collection[Ref]) -> Sequence[Ref]:
    """The refs by which an order is somebody's: not what is nobody's (ダミーの宛先), unless it says nothing else.

    Then it stays with whoever said that first, so that nothing is lost.
    """
    return [ref for ref in refs if ref not in nobodys] or refs


def is_visitor_ref(ref: str) -> bool:
    """Does this ref name a browser, in which more than one person may be seen?"""
    return ref.startswith(f"{VISITOR}:")


def canonical_id(refs: Iterable[Ref]) -> CustomerId:
    """The id of the person these refs belong to: the same whatever order they were met in."""
    return CustomerId(digest(min(refs, key=ref_rank)))


# --- joining ---------------------------------------------------------------------------------------------------------
def merge_orders(one: Order, other: Order) -> Order:
    """The later body by (version, event id); refunds are a union; a deletion stays.

    A body says whether the order is cancelled: the latest counts, for a payment that failed may be made up for, and of
    two of one version the one that says so. A message that says nothing but the cancellation stays.
    A refund reported twice with two amounts counts once, with the larger.
    """
    body = max(one, other, key=lambda order: (order.ordered_at is not None, order.version, order.event_id))
    final = one.cancel_is_final or other.cancel_is_final
    amounts = {
        refund: max(one.refunds.get(refund, 0), other.refunds.get(refund, 0))
        for refund in sorted({*one.refunds, *other.refunds})
    }
    return replace(
        body,
        refunds=amounts,
        cancelled=final or any(order.cancelled for order in (one, other) if _dated(order) == _dated(body)),
        cancel_is_final=final,
        deleted=one.deleted or other.deleted,
        historical=one.historical and other.historical,
    )


def _dated(order: Order) -> tuple[bool, str]:
    return order.ordered_at is not None, order.version


def merge_carts(one: Cart, other: Cart) -> Cart:
    """The later body by (version, time, event id); completed or deleted once is so until an erasure."""
    body = max(one, other, key=lambda cart: (cart.version, cart.updated_at, cart.event_id))
    completions = [
        (_said(cart, cart.completed_said_at), cart.completed_at) for cart in (one, other) if cart.completed_at
    ]
    deletions = [_said(cart, cart.deleted_said_at) for cart in (one, other) if cart.deleted]
    completed_said_at, completed_at = max(completions, default=(None, None))
    return replace(
        body,
        completed_at=completed_at,
        completed_said_at=completed_said_at,
        deleted=bool(deletions),
        deleted_said_at=max(deletions, default=None),
        historical=one.historical and other.historical,
    )


def _said(cart: Cart, at: datetime | None) -> datetime:
    """When a cart was said to be completed or deleted; rows of before this was kept said it when they were touched."""
    return at or cart.updated_at


def merge_subscriptions(one: Subscription, other: Subscription) -> Subscription:
    """The later state by (version, event id), and the later terms: a notice of a failed payment says a state only."""
    state = max(one, other, key=lambda contract: (contract.version, contract.event_id))
    terms = max(one, other, key=lambda contract: (contract.terms_version, contract.terms_event_id))
    return replace(
        state,
        started_at=terms.started_at,
        lines=terms.lines,
        currency=terms.currency,
        amount=terms.amount,
        interval_unit=terms.interval_unit,
        interval_count=terms.interval_count,
        media=terms.media,
        terms_version=terms.terms_version,
        terms_event_id=terms.terms_event_id,
        historical=one.historical and other.historical,
    )


def merge_entries(one: ConsentEntry, other: ConsentEntry) -> ConsentEntry:
    """A store repeats a consent with every change of its customer: one line, under the smallest event id."""
    return min(one, other, key=lambda entry: entry.event_id)


def latest(one: Latest, other: Latest) -> Latest:
    """The later saying wins."""
    return max(one, other, key=lambda said: (said.at, said.event_id, repr(said)))


def _shown(one: Evidence, other: Evidence) -> Evidence:
    first = min(one, other, key=lambda said: (said.at, said.event_id))
    return replace(first, refs=tuple(sorted({*one.refs, *other.refs})))


def latest_visits(visits: Iterable[Visit]) -> dict[str, Visit]:
    """The 50 latest, each event once, oldest first."""
    each = {visit.event_id: visit for visit in visits}
    kept = sorted(each.values(), key=lambda visit: (visit.at, visit.event_id))[-VISITS_KEPT:]
    return {visit.event_id: visit for visit in kept}


def earliest_claims(parts: Iterable[Mapping[str, Claim]]) -> dict[str, Claim]:
    """Of each pair the earliest, of all pairs the first 200: the same in any order and repetition."""
    each = _merged(lambda one, other: min(one, other, key=_claimed), parts)
    kept = sorted(each.items(), key=lambda item: (*_claimed(item[1]), item[0]))[:CLAIMS_KEPT]
    return dict(sorted(kept))


def _claimed(claim: Claim) -> tuple[datetime, str]:
    return claim.at, claim.event_id


def join(records: Iterable[Record]) -> Record:
    """What the records say together: commutative, associative, idempotent."""
    records = tuple(records)
    erased_at = max((record.erased_at for record in records if record.erased_at), default=None)
    return Record(
        refs=frozenset().union(*(record.refs for record in records)),
        cards={key: card for record in records for key, card in record.cards.items()},
        said=_merged(latest, (record.said for record in records)),
        orders=_merged(merge_orders, (record.orders for record in records)),
        carts=_merged(merge_carts, (_alive(record.carts, erased_at) for record in records)),
        subscriptions=_merged(merge_subscriptions, (record.subscriptions for record in records)),
        attributes=_merged(latest, (record.attributes for record in records)),
        visits=latest_visits(visit for record in records for visit in record.visits.values()),
        last_login_at=max((record.last_login_at for record in records if record.last_login_at), default=None),
        consent_log=_merged(merge_entries, (record.consent_log for record in records)),
        decisions=_merged(latest, (record.decisions for record in records)),
        evidence=_merged(_shown, (record.evidence for record in records)),
        nobodys=frozenset().union(*(record.nobodys for record in records)),
        visitors=earliest_claims(record.visitors for record in records),
        claims=earliest_claims(record.claims for record in records),
        erased_at=erased_at,
    )


def _merged(merge: Callable[[T, T], T], parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
    merged: dict[str, T] = {}
    for part in parts:
        for key, value in part.items():
            merged[key] = merge(merged[key], value) if key in merged else value
    return merged


def _alive(carts: Mapping[str, Cart], erased_at: datetime | None) -> Mapping[str, Cart]:
    """Without those of before an erasure: a forgotten cart does not complete or delete the one that came after."""
    if erased_at is None:
        return carts
    return {key: _since(cart, erased_at) for key, cart in carts.items() if cart.updated_at > erased_at}


def _since(cart: Cart, erased_at: datetime) -> Cart:
    """What was said of a cart after an erasure."""
    if cart.completed_at and _said(cart, cart.completed_said_at) <= erased_at:
        cart = replace(cart, completed_at=None, completed_said_at=None)
    if cart.deleted and _said(cart, cart.deleted_said_at) <= erased_at:
        cart = replace(cart, deleted=False, deleted_said_at=None)
    return cart


def settle(record: Record) -> Record:
    """A record as it is kept: the refs that name the person, and nothing personal from before an erasure.

    An erasure forgets what was said, not who is who: the digest of an address has to be kept for its suppression
    anyway, and only what is never taken apart is the same in whatever order it is heard.
    """
    since = record.erased_at
    record = replace(record, attributes=_attributes_kept(record.attributes))
    if since is None:
        return replace(record, refs=_naming(record.refs), cards=_referred(record.cards, record.said))
    said = {thing: each for thing, each in record.said.items() if each.at > since}
    login = record.last_login_at
    return replace(
        record,
        refs=_naming(record.refs),
        cards=_referred(record.cards, said),
        said=said,
        carts=dict(_alive(record.carts, since)),
        attributes={name: known for name, known in record.attributes.items() if known.at > since},
        visits={key: visit for key, visit in record.visits.items() if visit.at > since},
        last_login_at=login if login and login > since else None,
    )


def _attributes_kept(known: Mapping[str, Attribute]) -> Mapping[str, Attribute]:
    """A name is only ever said later, so what was left out once is never missed: the same in any order."""
    own = [name for name in known if name.startswith("custom/")]
    if len(own) <= ATTRIBUTES_KEPT:
        return known
    newest_last = sorted(own, key=lambda name: (known[name].at, known[name].event_id, name))
    gone = set(newest_last[:-ATTRIBUTES_KEPT])
    return {name: each for name, each in known.items() if name not in gone}


def standing(record: Record, cards: Iterable[Card] = ()) -> Record:
    """A record without what an erasure ended: a yes of before counts no more (a no does), and nobody is found by an
    address that was not said since. `cards`: of those who are one with them.
    """
    since = record.erased_at
    if since is None:
        return record
    said_again = {
        ref for card in (*record.cards.values(), *cards) for ref in (card.email_ref, card.line_ref, card.phone_ref)
    }
    return replace(
        record,
        refs=frozenset(ref for ref in record.refs if not ref.startswith(_ADDRESSES) or ref in said_again),
        consent_log={key: each for key, each in record.consent_log.items() if not each.granted or each.at > since},
    )


def _referred(cards: Mapping[str, Card], said: Mapping[str, Said]) -> dict[str, Card]:
    """The cards that are somebody's last word about something: about themselves, and about the latest hundred things.

    A thing only ever becomes later, so what was left out once is never missed: the same in any order.
    """
    wanted = {each.card for each in said.values()}
    if len(said) > CARDS_KEPT:
        latest = sorted(said, key=lambda thing: (said[thing].at, said[thing].event_id, thing))[-CARDS_KEPT:]
        wanted = {said[thing].card for thing in (*latest, *(said.keys() & ABOUT_THEMSELVES))}
    return {key: card for key, card in cards.items() if key in wanted}


ABOUT_THEMSELVES = frozenset({"account", "form", "line"})
"""What somebody says of themselves without an order, cart, contract or consent."""


def _naming(refs: Iterable[Ref]) -> frozenset[Ref]:
    """All strong refs, else the smallest: a buyer's hundred order numbers need no place in the profile."""
    refs = tuple(refs)
    strong = frozenset(ref for ref in refs if is_strong(ref))
    return strong or frozenset(sorted(refs, key=ref_rank)[:1])


def contact(record: Record) -> Card:
    """How to reach the person: for each field what the customer record said last, else what a form said last."""
    found: dict[str, str] = {}
    ranked = sorted(record.said.items(), key=_weight, reverse=True)
    for _, said in ranked:
        card = record.cards.get(said.card, Card())
        for name, beside in _CARD_FIELDS.items():
            if name not in found and (value := getattr(card, name)):
                found[name] = value
                found |= {beside: getattr(card, beside)} if beside else {}
    return Card(**found)


_CARD_FIELDS = {
    **dict.fromkeys((each.name for each in fields(Card) if not each.name.endswith("_ref")), ""),
    "email": "email_ref",
    "phone": "phone_ref",
    "line_user_id": "line_ref",
}


def without_addresses(record: Record, refs: Collection[str]) -> Record:
    """A record without the addresses behind these refs: nobody is reached there, and nothing is sent."""
    beside = {name: ref for name, ref in _CARD_FIELDS.items() if ref}

    def kept(card: Card) -> Card:
        gone = {name: ref for name, ref in beside.items() if getattr(card, ref) in refs}
        without: dict[str, Any] = {**dict.fromkeys(gone), **dict.fromkeys(gone.values(), "")}
        return replace(card, **without) if gone else card

    return replace(record, cards={key: kept(card) for key, card in record.cards.items()})


def _weight(item: tuple[str, Said]) -> tuple[bool, datetime, str, str]:
    thing, said = item
    return thing == "account" or thing.startswith("consentlog#"), said.at, said.event_id, said.card


# --- what it amounts to ----------------------------------------------------------------------------------------------
def summary(orders: Iterable[Order], currency: str) -> Summary:
    """最終購買日・購入回数・購入金額 over the valid orders.

    An order in another currency counts as an order; its amount is left out.
    """
    valid = [order for order in orders if order.valid]
    times = [order.ordered_at for order in valid if order.ordered_at]
    return Summary(
        order_count=len(valid),
        total_amount=sum(order.amount for order in valid if order.currency == currency),
        currency=currency,
        first_ordered_at=min(times, default=None),
        last_ordered_at=max(times, default=None),
    )


def settled(known: Iterable[str], found: Iterable[str], comparable: Collection[str]) -> tuple[str, ...]:
    """A person's segments with those that are not comparable (new, worded anew, or given up) as they were found now:
    whatever still differs, they entered or left.
    """
    kept = {name for name in known if name in comparable}
    return tuple(sorted(kept | {name for name in found if name not in comparable}))


def fold_consent(entries: Iterable[ConsentEntry], channel: str, store: str) -> Consent | None:
    """Current consent on one channel of one store (配信許諾の現在値), None when nothing was ever said there.

    An opt-out by anyone stands until the customer opts in *later*; an import or clerk opts in only where nobody ever
    opted out. At the same instant the opt-out wins.
    """
    said = [entry for entry in entries if entry.channel == channel and entry.store in {store, EVERY_STORE}]
    if not said:
        return None
    out = max((entry for entry in said if not entry.granted), key=_when, default=None)
    opted_in = [e for e in said if e.granted and (out is None or (e.by_customer and e.at > out.at))]
    deciding = max(opted_in, key=_when, default=None) or out
    if deciding is None:
        return None
    status = ConsentStatus.OPT_IN if deciding.granted else ConsentStatus.OPT_OUT
    return Consent(channel, store, status, deciding.at, deciding.method)


def _when(entry: ConsentEntry) -> tuple[datetime, str]:
    return entry.at, entry.event_id


def consents(log: Iterable[ConsentEntry]) -> tuple[Consent, ...]:
    """Current consent on every channel and store of a ledger."""
    entries = tuple(log)
    places = sorted({(entry.channel, entry.store) for entry in entries})
    folded = (fold_consent(entries, channel, store) for channel, store in places)
    return tuple(consent for consent in folded if consent)


def merge_suppressions(one: Suppression, other: Suppression) -> Suppression:
    """Reasons are kept from when they were first known, soft bounces are a union of the latest."""
    bounces = sorted({**one.soft_bounces, **other.soft_bounces}.items(), key=lambda item: (item[1], item[0]))
    reasons = {
        reason: min(at for at in (one.reasons.get(reason), other.reasons.get(reason)) if at)
        for reason in sorted({*one.reasons, *other.reasons})
    }
    return Suppression(reasons, dict(bounces[-_SOFT_BOUNCES_KEPT:]))


def suppressed(suppression: Suppression, now: datetime) -> Suppressed | None:
    """Why this address gets nothing now, if so: complaint before bounce before the pause after 3 soft bounces."""
    for reason in (Suppressed.COMPLAINED, Suppressed.BOUNCED):
        if reason in suppression.reasons:
            return reason
    times = sorted(suppression.soft_bounces.values())
    pauses = (
        third + SOFT_BOUNCE_PAUSE
        for first, third in zip(times, times[SOFT_BOUNCES - 1 :], strict=False)
        if third - first <= SOFT_BOUNCE_WINDOW
    )
    return Suppressed.PAUSED if any(until > now for until in pauses) else None
