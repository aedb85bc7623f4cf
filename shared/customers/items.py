"""A person as rows of the customers table: the only file that knows its keys and what is written in a row.

    pk `{tenant}#{customer_id}`               sk `profile` (or an alias: `merged_into`; or a visitor, whose other rows
                                                 are in it), `order#…`, `cart#…`,
                                                 `subscription#…`, `visits`, `claims` (browsers), `link#…`,
                                                 `evidence#…`, `nobody#…` (what they share with too many),
                                                 `consent#…` (current), `consentlog#…` (append only)
    pk `{tenant}#ref#{ref}`                   sk `ref` → `customer_id`, and a `number` of theirs where they had one;
                                                 `nobody` where too many have it in common
    pk `{tenant}#suppressed#{channel}:{digest}` sk `suppressed`
    pk `{tenant}#command`                     sk `{command}#{event_id}`: what waits for an admin
    pk `{tenant}#review`                      sk `{one}+{other}`: two who may be one person
    pk `{tenant}#shared`                      sk `{time}#{one}+{other}`: two who are one by what they have in common

Names and addresses are cards in the profile. The other rows say in `said` when which card was shown with them, so an
order of somebody known is one small write.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from shared.core.clock import from_iso, to_iso
from shared.core.exact import exact
from shared.core.ids import CustomerId, Ref, TenantId
from shared.customers import rules, subscriptions
from shared.customers.matches import Match
from shared.customers.model import (
    Attribute,
    Card,
    Cart,
    Claim,
    Consent,
    ConsentEntry,
    Decision,
    Evidence,
    Findings,
    Join,
    Order,
    PersonState,
    Profile,
    Record,
    Said,
    Scores,
    Subscription,
    Suppression,
    Visit,
)
from shared.customers.rows import Key, Row, decode_item

PROFILE = "profile"
_VISITS = "visits"
_CLAIMS = "claims"
_COMMON = {"common": "yes"}


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """A person as read: the record, what else is kept of them, and the rows it was read from."""

    tenant: TenantId
    customer_id: CustomerId
    record: Record
    currency: str = "JPY"
    aliases: frozenset[CustomerId] = frozenset()
    joins: Mapping[CustomerId, Join] = field(default_factory=dict)
    scores: Scores | None = None
    segments: tuple[str, ...] = ()
    segments_on: date | None = None
    rev: int = 0
    moving: frozenset[CustomerId] = frozenset()
    rows: Mapping[Key, Row] = field(default_factory=dict)
    found_by: Mapping[CustomerId, int] = field(default_factory=dict)
    """The former ids by which they were found here, and at which revision those lead on."""


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row of the customers stream, read: one of the payloads is set, by `kind`."""

    tenant: TenantId
    customer_id: CustomerId
    kind: str
    historical: bool
    order: Order | None = None
    common: bool = False
    """Set where the order may be known of others too who are one with the person."""
    cart: Cart | None = None
    subscription: Subscription | None = None
    visits: tuple[Visit, ...] = ()
    profile: Profile | None = None
    """Without what follows from the person's other rows: how to reach them, and what they bought."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    """Of a profile row."""
    consent: Consent | None = None
    entry: ConsentEntry | None = None
    merged_into: CustomerId | None = None
    """Set where this is a person that was found to be another one."""
    ref: Ref | None = None
    """Set where this is a ref, which names `customer_id`."""
    reads_as_one: bool = False
    """Set where this says whom the person is read as one with: a decision (名寄せ), what they share, a browser."""


@dataclass(frozen=True, slots=True)
class _ProfileBody:
    refs: list[str]
    cards: dict[str, Card] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    last_login_at: datetime | None = None
    currency: str = "JPY"
    aliases: list[str] = field(default_factory=list)
    joins: dict[str, Join] = field(default_factory=dict)
    erased_at: datetime | None = None
    scores: Scores | None = None
    segments: tuple[str, ...] = ()
    segments_on: date | None = None
    moving: list[str] = field(default_factory=list)
    visitor: dict[str, list[str]] = field(default_factory=dict)
    """Rows of somebody not yet known: sort key → body and stamp. One small write for each look into a cart."""


@dataclass(frozen=True, slots=True)
class _Claims:
    visitors: dict[str, Claim] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)


@cache
def _codec(kind: Any) -> TypeAdapter[Any]:
    return exact(kind)


def dump(value: Any) -> str:
    """A dataclass as JSON, without what is as by default."""
    return _codec(value.__class__).dump_json(value, exclude_defaults=True).decode()


def parse(kind: Any, body: str) -> Any:
    """The dataclass that `dump` wrote."""
    return _codec(kind).validate_json(body)


# --- keys ------------------------------------------------------------------------------------------------------------
def person_pk(tenant: TenantId, customer_id: str) -> str:
    """Partition of a person."""
    return f"{tenant}#{customer_id}"


def profile_key(tenant: TenantId, customer_id: str) -> Key:
    """Where a person's profile, or the alias of a former id, is."""
    return person_pk(tenant, customer_id), PROFILE


def leads_to(row: Row) -> Key | None:
    """The profile to which a ref or a former id leads; None where a row is neither, or names nobody."""
    who = row.fields.get("merged_into") or row.fields.get("customer_id")
    return profile_key(TenantId(row.pk.partition("#")[0]), who) if who and not is_nobodys(row) else None


def ref_key(tenant: TenantId, ref: str) -> Key:
    """Where it stands whom a ref names."""
    return f"{tenant}#ref#{ref}", "ref"


def named_by(row: Row) -> Ref:
    """The ref that a ref's row is about."""
    return Ref(row.pk.partition("#ref#")[2])


def review_row(tenant: TenantId, match: Match) -> Row:
    """Two who may be one person, waiting for somebody to look."""
    key = (f"{tenant}#review", f"{match.one}+{match.other}")
    return Row(*key, "review", dump(match), rev=1)


def shared_pk(tenant: TenantId) -> str:
    """Where it stands who became one by what they have in common."""
    return f"{tenant}#shared"


def shared_row(tenant: TenantId, evidence: Evidence) -> Row:
    """Two who are one by what they have in common, for a person to look at."""
    kinds = sorted({ref.partition(":")[0] for ref in evidence.refs})
    match = Match(evidence.one, evidence.other, "+".join(kinds))
    return Row(shared_pk(tenant), f"{to_iso(evidence.at)}#{match.one}+{match.other}", "shared", dump(match), rev=1)


def match_of(row: Row) -> Match:
    """The two a row of either list is about."""
    found: Match = parse(Match, row.body)
    return found


def suppressed_key(tenant: TenantId, channel: str, address_ref: str) -> Key:
    """Where the suppression of an address is, apart from any person."""
    return f"{tenant}#suppressed#{channel}:{address_ref.partition(':')[2]}", "suppressed"


# --- a person as rows ------------------------------------------------------------------------------------------------
def is_visitor(person: StoredPerson) -> bool:
    """Known by carts and cookies only, and bought nothing: all that is known of them is one row."""
    record = person.record
    bought = any(order.ordered_at for order in record.orders.values())
    return not (bought or record.erased_at or any(rules.is_strong(ref) for ref in record.refs))


def content_rows(person: StoredPerson, historical: bool) -> dict[Key, Row]:
    """The rows of a person beside the profile."""
    return {} if is_visitor(person) else _rows(person, historical)


def _rows(person: StoredPerson, historical: bool) -> dict[Key, Row]:
    pk, record = person_pk(person.tenant, person.customer_id), person.record

    def row(sk: str, kind: str, body: str, old: bool = historical) -> Row:
        said = record.said.get(sk)
        stamp = {"said": _stamp(said)} if said else {}
        # Who has something in common with another may have orders in common too: whoever reads the stream must look.
        return Row(pk, sk, kind, body, old, fields=stamp | (_COMMON if kind == "order" and record.evidence else {}))

    rows = [
        *(row(f"order#{key}", "order", dump(each), each.historical) for key, each in record.orders.items()),
        *(row(f"cart#{key}", "cart", dump(each), each.historical) for key, each in record.carts.items()),
        *(
            row(f"subscription#{key}", "subscription", dump(each), each.historical)
            for key, each in record.subscriptions.items()
        ),
        *(row(f"consentlog#{key}", "consentlog", dump(each)) for key, each in record.consent_log.items()),
        *(row(f"link#{key}", "link", dump(each)) for key, each in record.decisions.items()),
        *(row(f"evidence#{key}", "link", dump(each), False) for key, each in record.evidence.items()),
        *(nobodys_row(person, ref) for ref in record.nobodys),
        *(
            row(f"consent#{each.channel}#{each.store}", "consent", dump(each))
            for each in rules.consents(rules.standing(record).consent_log.values())
        ),
    ]
    if record.visits:
        rows.append(row(_VISITS, _VISITS, _pack_visits(record.visits.values())))
    if record.visitors or record.claims:
        rows.append(row(_CLAIMS, _CLAIMS, dump(_Claims(dict(record.visitors), dict(record.claims)))))
    return {each.key: each for each in rows}


def nobodys_row(person: StoredPerson, ref: Ref) -> Row:
    """What somebody used is nobody's (ダミーの宛先)."""
    return Row(person_pk(person.tenant, person.customer_id), f"nobody#{ref}", "link", rev=1)


def _stamp(said: Said) -> str:
    return f"{to_iso(said.at)} {said.card} {said.event_id}"


def shown_card(row: Row) -> str | None:
    """The key of the card that was last shown with what a row is about."""
    return _said(row.fields["said"]).card if "said" in row.fields else None


def _said(stamp: str) -> Said:
    at, card, event_id = stamp.split(" ", 2)
    return Said(from_iso(at), event_id, card)


def _pack_visits(visits: Iterable[Visit]) -> str:
    """Fifty visits in one to three write units."""
    lines = [[to_iso(v.at), v.event_id, v.kind, v.name, v.path, v.page_type, v.product_id] for v in visits]
    text = json.dumps(lines, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(base64.b64encode(zlib.compress(text.encode(), 9)).decode())


def _unpack_visits(body: str) -> dict[str, Visit]:
    lines = json.loads(zlib.decompress(base64.b64decode(json.loads(body))))
    visits = (Visit(event_id, from_iso(at), *rest) for at, event_id, *rest in lines)
    return {visit.event_id: visit for visit in visits}


def profile_row(person: StoredPerson, historical: bool) -> Row:
    """The one row that holds names and addresses."""
    record = person.record
    body = _ProfileBody(
        refs=sorted(record.refs),
        cards=dict(sorted(record.cards.items())),
        said={thing: said for thing, said in sorted(record.said.items()) if _kept_in_profile(thing, record)},
        attributes=dict(sorted(record.attributes.items())),
        last_login_at=record.last_login_at,
        currency=person.currency,
        aliases=sorted(person.aliases),
        joins=dict(sorted(person.joins.items())),
        erased_at=record.erased_at,
        scores=person.scores,
        segments=person.segments,
        segments_on=person.segments_on,
        moving=sorted(person.moving),
    )
    kind = PROFILE
    if is_visitor(person):
        rows = _rows(person, historical).values()
        body = replace(body, visitor={row.sk: [row.body, row.fields.get("said", "")] for row in rows})
        kind = "visitor"
    return Row(*profile_key(person.tenant, person.customer_id), kind, dump(body), historical, person.rev)


def loses_a_card(before: Row, after: Row) -> bool:
    """Does a profile leave out a card that it had? What is shown with it has to be known to the last row."""
    was: _ProfileBody = parse(_ProfileBody, before.body)
    now: _ProfileBody = parse(_ProfileBody, after.body)
    return not was.cards.keys() <= now.cards.keys()


def _kept_in_profile(thing: str, record: Record) -> bool:
    """Also what was said with a cart that was erased since: its row is gone."""
    return thing in rules.ABOUT_THEMSELVES or (
        thing.startswith("cart#") and thing.removeprefix("cart#") not in record.carts
    )


def with_findings(row: Row, found: Findings, on: date, comparable: Collection[str]) -> Row | None:
    """The next thing to write so that a profile row says what a night found; None: it does.

    Segments that are not `comparable` (nobody was looked for in them the night before) come first, as history: who is
    in one on its first night has not entered it, and an imported person has entered nothing.
    """
    body: _ProfileBody = parse(_ProfileBody, row.body)
    segments = body.segments if found.segments is None else found.segments
    arrived = row.historical and body.scores is None and body.segments_on is None
    settled = rules.settled(body.segments, segments, () if arrived else comparable)
    after = replace(body, scores=found.scores if _differ(body.scores, found.scores) else body.scores)
    if settled != body.segments:
        after = replace(body, segments=settled, segments_on=on)
    elif segments != body.segments:
        after = replace(after, segments=segments, segments_on=on)
    if after == body:
        return None
    return replace(row, body=dump(after), rev=row.rev + 1, historical=settled != body.segments)


def _differ(before: Scores | None, after: Scores | None) -> bool:
    """Apart from the day they were found on."""
    if before is None or after is None:
        return before is not after
    return replace(before, as_of=after.as_of) != after


def alias_row(gone: StoredPerson, survivor: CustomerId, historical: bool) -> Row:
    """What stays of a person who turned out to be another one."""
    key = profile_key(gone.tenant, gone.customer_id)
    return Row(*key, PROFILE, "{}", historical, gone.rev + 1, {"merged_into": survivor})


def pointer_row(person: StoredPerson, ref: Ref, historical: bool) -> Row:
    """A ref that names somebody, and the customer number they had when it did: their worker may die before it writes
    them, and who has a number must not become one with whoever comes next.
    """
    number = min((each for each in person.record.refs if rules.has_account([each]) and each != ref), default=None)
    fields = {"customer_id": person.customer_id} | ({"number": number} if number else {})
    return Row(*ref_key(person.tenant, ref), "ref", historical=historical, rev=1, fields=fields)


# --- rows as a person ------------------------------------------------------------------------------------------------
def person_of(tenant: TenantId, customer_id: CustomerId, rows: Iterable[Row]) -> StoredPerson:
    """A person from their rows; partitions that are still moving in may repeat some."""
    body: _ProfileBody | None = None
    rev = 0
    records: list[Record] = []
    kept: dict[Key, Row] = {}
    for row in rows:
        kept[row.key] = row
        if row.key == profile_key(tenant, customer_id):
            body, rev = parse(_ProfileBody, row.body), row.rev
            records += [_record(each) for each in _within(row, body)]
        elif row.sk != PROFILE:
            records.append(_record(row))
    if body is None:
        return StoredPerson(tenant, customer_id, rules.join(records), rows=kept)
    known = Record(
        refs=frozenset(Ref(ref) for ref in body.refs),
        cards=body.cards,
        said=body.said,
        attributes=body.attributes,
        last_login_at=body.last_login_at,
        erased_at=body.erased_at,
    )
    return StoredPerson(
        tenant=tenant,
        customer_id=customer_id,
        record=rules.join([known, *records]),
        currency=body.currency,
        aliases=frozenset(CustomerId(alias) for alias in body.aliases),
        joins={CustomerId(gone): how for gone, how in body.joins.items()},
        scores=body.scores,
        segments=body.segments,
        segments_on=body.segments_on,
        rev=rev,
        moving=frozenset(CustomerId(gone) for gone in body.moving),
        rows=kept,
    )


def cards_in(row: Row) -> Mapping[str, Card]:
    """The names and addresses in a profile row, without the rest of the person."""
    body: _ProfileBody = parse(_ProfileBody, row.body)
    return body.cards


def _within(row: Row, body: _ProfileBody) -> Iterable[Row]:
    for sk, (text, stamp) in body.visitor.items():
        yield Row(row.pk, sk, "", text, fields={"said": stamp} if stamp else {})


def _record(row: Row) -> Record:
    family, _, key = row.sk.partition("#")
    said = {row.sk: _said(row.fields["said"])} if "said" in row.fields else {}
    match family:
        case "order":
            return Record(said=said, orders={key: parse(Order, row.body)})
        case "cart":
            return Record(said=said, carts={key: parse(Cart, row.body)})
        case "subscription":
            return Record(said=said, subscriptions={key: parse(Subscription, row.body)})
        case "consentlog":
            return Record(said=said, consent_log={key: parse(ConsentEntry, row.body)})
        case "link":
            return Record(decisions={key: parse(Decision, row.body)})
        case "evidence":
            return Record(evidence={key: parse(Evidence, row.body)})
        case "nobody":
            return Record(nobodys=frozenset({Ref(key)}))
        case "visits":
            return Record(visits=_unpack_visits(row.body))
        case "claims":
            claims: _Claims = parse(_Claims, row.body)
            return Record(visitors=claims.visitors, claims=claims.claims)
        case _:
            return Record()


def shown(person: StoredPerson) -> Profile:
    """A person's profile, with what follows from their other rows."""
    record = person.record
    card = rules.contact(record)
    profile = Profile(
        tenant=person.tenant,
        customer_id=person.customer_id,
        refs=rules.standing(record).refs,
        summary=rules.summary(record.orders.values(), person.currency),
        scores=person.scores,
        segments=person.segments,
        segments_on=person.segments_on,
        aliases=person.aliases,
        joins=person.joins,
        decisions=tuple(sorted(record.decisions.values(), key=lambda each: (each.at, each.event_id))),
        erased=record.erased_at is not None and not any(getattr(card, name) for name in _SHOWN),
        rev=person.rev,
    )
    return with_card(profile, card)


def with_card(profile: Profile, card: Card) -> Profile:
    """A profile with the names and addresses of a card."""
    return replace(profile, **{name: getattr(card, name) for name in _SHOWN})


_SHOWN = {each.name for each in fields(Profile)} & {each.name for each in fields(Card)}


def state_of(person: StoredPerson, suppressed: frozenset[str] = frozenset()) -> PersonState:
    """A person as everything else in the product sees them."""
    record = person.record
    orders = tuple(record.orders[key] for key in sorted(record.orders))
    told = tuple(record.subscriptions[key] for key in sorted(record.subscriptions))
    visits = tuple(record.visits.values())
    return PersonState(
        profile=shown(person),
        orders=orders,
        carts=tuple(record.carts[key] for key in sorted(record.carts)),
        consents=rules.consents(rules.standing(record).consent_log.values()),
        suppressed=suppressed,
        subscriptions=(*told, *subscriptions.estimated(orders, told)),
        attributes=record.attributes,
        visits=visits,
        last_login_at=record.last_login_at,
        last_seen_at=max((visit.at for visit in visits), default=None),
    )


def address_of(person: StoredPerson, channel: str) -> str:
    """Keyed digest of the address a channel reaches the person at now; empty when there is none.

    A telephone number's is one with the name of who answers there: a family's number is suppressed for one of them.
    """
    card = rules.contact(person.record)
    return {"email": card.email_ref, "line": card.line_ref}.get(channel, card.phone_ref)


def suppressible(person: StoredPerson) -> Mapping[str, str]:
    """Channel → address whose suppression counts. Nobody is texted who never said a word about it: not looked up."""
    texted = any(entry.channel == "sms" for entry in person.record.consent_log.values())
    channels = ("email", "sms") if texted else ("email",)
    return {channel: address for channel in channels if (address := address_of(person, channel))}


def named_in(row: Row) -> CustomerId:
    """Whom a ref's row names."""
    return CustomerId(row.fields["customer_id"])


def as_nobodys(row: Row) -> Row:
    """A ref's row when too many have it in common: it names nobody any more."""
    return replace(row, rev=row.rev + 1, fields={**row.fields, "nobody": "yes"})


def is_nobodys(row: Row) -> bool:
    """Does a ref's row name nobody?"""
    return "nobody" in row.fields


def refs_in(row: Row) -> frozenset[Ref]:
    """The refs of whoever a ref's row names, as far as it says: the ref, and a customer number they had."""
    return frozenset({named_by(row), Ref(row.fields.get("number", named_by(row)))})


def ledger_entry(row: Row) -> ConsentEntry:
    """A line of the consent ledger."""
    found: ConsentEntry = parse(ConsentEntry, row.body)
    return found


def suppression_of(row: Row) -> Suppression:
    """What happened to mail for an address."""
    found: Suppression = parse(Suppression, row.body)
    return found


def read_row(image: Mapping[str, Any]) -> ChangedRow | None:
    """A row of the customers stream (NewImage or OldImage); None for rows that are not about a person."""
    row = decode_item(image)
    tenant, _, customer_id = row.pk.partition("#")
    base = ChangedRow(TenantId(tenant), CustomerId(customer_id), row.kind, row.historical)
    match row.kind:
        case "order":
            return replace(base, order=parse(Order, row.body), common="common" in row.fields)
        case "cart":
            return replace(base, cart=parse(Cart, row.body))
        case "subscription":
            return replace(base, subscription=parse(Subscription, row.body))
        case "visits":
            return replace(base, visits=tuple(_unpack_visits(row.body).values()))
        case "consent":
            return replace(base, consent=parse(Consent, row.body))
        case "consentlog":
            return replace(base, entry=parse(ConsentEntry, row.body))
        case "profile" if "merged_into" in row.fields:
            return replace(base, merged_into=CustomerId(row.fields["merged_into"]))
        case "profile":
            person = person_of(base.tenant, base.customer_id, [row])
            return replace(base, profile=shown(person), attributes=person.record.attributes)
        case "link" | "claims":
            return replace(base, reads_as_one=True)
        case "ref" if "customer_id" in row.fields:
            return replace(base, customer_id=CustomerId(row.fields["customer_id"]), ref=named_by(row))
        case _:
            return None
