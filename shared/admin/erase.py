"""個人情報の消去: what the fold leaves of an erased person is deleted everywhere else, and a certificate says what was.

The fold itself forgets names, addresses, carts, visits and attributes the moment the event of the erasure is read
(`shared/customers`). What remains is found in three ways:

| where | found by | when |
|---|---|---|
| sends, places in scenarios, letters and tasks that wait | the person's ids | at once, from a queue (`erase_person`) |
| bodies of deliveries, imported chunks | every body is read and its refs compared (`sweep`) | the next night |
| late deliveries (a retry of before the erasure) | the fold, as it reads them | at once |

An index of deliveries by person would cost every webhook a write unit or two, for ever; a sweep costs one read of the
table on the days somebody was erased (0.5 read units per 4 KB) and needs no index that could itself be incomplete.
It is repeated for AGAIN, because vendors retry and mail programs report opens for days.

What stays: the suppression of the address and the consent ledger, both under keyed digests; orders, under our own id,
so that no report changes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.analytics.lake import Objects
from shared.core.clock import Clock, from_iso, to_iso
from shared.core.errors import MatakiteError, RejectedError, UnavailableError
from shared.core.ids import CustomerId, Ref, TenantId, digest
from shared.core.keys import KeyRing
from shared.customers import identity, names
from shared.customers.addresses import normalise_email, normalise_phone
from shared.customers.store import CustomerStore
from shared.delivery.store import LedgerStore
from shared.delivery.tray import Tray
from shared.ingest import history
from shared.ingest.model import Envelope, Event, MessageFacts
from shared.ingest.registry import events_of
from shared.ingest.sources.admin import NAME as ADMIN
from shared.ingest.store import DynamoEventStore, Key, MemoryEventStore
from shared.scenarios.store import EnrolmentStore

AGAIN = timedelta(days=3)
"""Stripe and Woo retry for three days, and the reports about a mail come in for about as long."""

SEGMENTS = 4
"""Parts of the events table read side by side."""

MOST_PEOPLE = 500
"""Erased in one sweep; whoever is left waits for the next night, so that a sweep's state stays small."""

FOLDER = "erasures/"
"""Of the work bucket: the digests a sweep looks for."""

EVENTS, FILES = "events", "files"


# --- who is looked for -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Wanted:
    """The persons a body is compared with: their refs and ids, and up to when what is said of them is forgotten."""

    refs: Mapping[Ref, CustomerId]
    until: Mapping[CustomerId, datetime | None]
    """By the person's current id; None: everything that was ever said is wanted."""
    ids: Mapping[CustomerId, CustomerId]
    """Every id they ever had → the current one."""


def refs_in(event: Event, keys: KeyRing) -> set[Ref]:
    """Every digest in an event that could name somebody, also those that join nobody by themselves."""
    person, tenant = event.person, event.tenant
    refs = set(identity.refs_of(event, keys))
    if email := normalise_email(person.email):
        refs.add(identity.address_ref(tenant, email, keys))
    if person.line_user_id:
        refs.add(identity.line_ref(tenant, event.store, person.line_user_id, keys))
    if phone := normalise_phone(person.phone):
        name = names.name_key(person.last_name, person.first_name)
        refs |= {identity.phone_ref(tenant, phone, each, keys) for each in (name, "")}
    if person.source_customer_id and event.source not in identity.OWN_SOURCES:
        refs.add(identity.customer_ref(event.source, event.store, person.source_customer_id))
    return refs


def who_is_in(event: Event, wanted: Wanted, keys: KeyRing) -> set[CustomerId]:
    """Those of the wanted whom an event is about, and whom it must not be kept about."""
    named = identity.named_person(event)
    found = {wanted.refs[ref] for ref in refs_in(event, keys) if ref in wanted.refs}
    if named and named in wanted.ids:
        found.add(wanted.ids[named])
    # What SES reports of a mail comes after it, and repeats its address.
    grace = AGAIN if isinstance(event.facts, MessageFacts) else timedelta(0)
    return {each for each in found if (at := wanted.until[each]) is None or event.occurred_at <= at + grace}


def in_delivery(envelope: Envelope, wanted: Wanted, keys: KeyRing) -> set[CustomerId]:
    """The same of everything a delivery says; nobody where it cannot be read.

    Commands of our own name nobody but by our id, and who asked for an erasure is part of its proof.
    """
    if envelope.source == ADMIN:
        return set()
    try:
        events = events_of(envelope)
    except (MatakiteError, ValueError):
        return set()
    return {each for event in events for each in who_is_in(event, wanted, keys)}


def look_for(tenant: TenantId, people: Mapping[CustomerId, Pending], customers: CustomerStore) -> Wanted:
    """Their refs: reads the whole table once, because a ref leads to a person and not back."""
    ids = {said: current for current, each in people.items() for said in (current, *each.ids)}
    refs = {ref: ids[named] for ref, named in customers.named(tenant) if named in ids}
    return Wanted(refs, {current: each.erased_at for current, each in people.items()}, ids)


# --- at once ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class EraseDeps:
    """What is deleted from at once."""

    customers: CustomerStore
    ledger: LedgerStore
    enrolments: EnrolmentStore
    tray: Tray
    clock: Clock


def erase_person(tenant: TenantId, customer_id: CustomerId, deps: EraseDeps) -> Mapping[str, int]:
    """Delete an erased person's sends, places in scenarios and waiting letters, under every id they had.

    Repeating it is harmless.

    Raises UnavailableError while the fold has not forgotten them yet: the queue brings it again.
    """
    person = deps.customers.load(tenant, customer_id)
    if person is None or person.record.erased_at is None:
        raise UnavailableError("the person is not erased yet; try again")
    ids = (person.customer_id, *sorted(person.aliases), *deps.customers.browsers(tenant, customer_id))
    counts = Counter(
        sends=sum(deps.ledger.forget(tenant, each) for each in ids),
        enrolments=sum(deps.enrolments.forget(tenant, each) for each in ids),
        letters=sum(deps.tray.forget(tenant, each) for each in ids),
    )
    key = f"{person.customer_id}#{to_iso(person.record.erased_at)}"
    before = deps.customers.erasures(tenant).get(key)
    if before:
        counts.update(json.loads(before)["counts"])
    document = {"ids": ids, "counts": counts, "at": to_iso(deps.clock.now())}
    deps.customers.keep_erasure(tenant, key, json.dumps(document))
    return counts


# --- the sweep -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SweepDeps:
    """What a sweep looks through."""

    erase: EraseDeps
    events: DynamoEventStore | MemoryEventStore
    work: Objects
    keys: KeyRing
    tenants: Callable[[], Iterable[TenantId]]


def plan_sweep(deps: SweepDeps) -> dict[str, Any]:
    """`{"parts": […]}`: none on a night nobody waits for, else segments of the events table and each shop's files."""
    now = deps.erase.clock.now()
    people = {tenant: pending(deps.erase.customers.erasures(tenant), now) for tenant in sorted(deps.tenants())}
    people = {tenant: waiting for tenant, waiting in people.items() if waiting}
    if not people:
        return {"parts": []}
    sweep_id = digest(to_iso(now))[:12]
    for tenant, waiting in people.items():
        for customer_id in waiting:
            profile = deps.erase.customers.profile(tenant, customer_id)
            # What was on its way when the person was erased; whoever came back keeps what they were sent since.
            if profile and profile.erased:
                with suppress(UnavailableError):
                    erase_person(tenant, customer_id, deps.erase)
        wanted = look_for(tenant, waiting, deps.erase.customers)
        deps.work.put(_wanted_key(sweep_id, tenant), _wanted_json(wanted))
    whole: dict[str, Any] = {
        "sweep_id": sweep_id,
        "tenants": sorted(people),
        "after": None,
        "done": False,
        "rows": 0,
        "found": {},
    }
    parts = [{**whole, "kind": EVENTS, "number": number} for number in range(SEGMENTS)]
    parts += [{**whole, "kind": FILES, "tenants": [tenant], "number": 0} for tenant in sorted(people)]
    return {"parts": [{**part, "of": len(parts), "part": number} for number, part in enumerate(parts)]}


def sweep_part(part: Mapping[str, Any], deps: SweepDeps, hurry: Callable[[], bool]) -> dict[str, Any]:
    """Go on with one part until it is done or time is short (`hurry`); what it returns is its next input."""
    wanted = {TenantId(each): _wanted(deps.work.get(_wanted_key(part["sweep_id"], each))) for each in part["tenants"]}
    found: Counter[str] = Counter(part["found"])
    rows, after = int(part["rows"]), part["after"]
    step = _sweep_events if part["kind"] == EVENTS else _sweep_files
    while True:
        looked, after = step(part, after, wanted, found, deps)
        rows += looked
        state = {**part, "after": after, "rows": rows, "found": dict(found), "done": after is None}
        if state["done"]:
            _note(state, wanted, deps)
        if state["done"] or hurry():
            return state


Looked = tuple[int, Any]


def _sweep_events(
    part: Mapping[str, Any], after: Any, wanted: Mapping[TenantId, Wanted], found: Counter[str], deps: SweepDeps
) -> Looked:
    key: Key | None = (after[0], after[1]) if after else None
    some = deps.events.slice(int(part["number"]), SEGMENTS, key)
    for body in some.bodies:
        of = wanted.get(body.envelope.tenant)
        people = in_delivery(body.envelope, of, deps.keys) if of else set()
        if people:
            deps.events.forget(body.key, deps.erase.clock.now())
        found.update(f"{each}/deliveries" for each in people)
    found["unread"] += some.unread
    return some.rows, list(some.after) if some.after else None


def _sweep_files(
    part: Mapping[str, Any], after: Any, wanted: Mapping[TenantId, Wanted], found: Counter[str], deps: SweepDeps
) -> Looked:
    """One imported chunk after the other: the events about the erased are taken out of it."""
    ((tenant, of),) = wanted.items()
    keys = (each.key for each in deps.work.list(f"{history.PREFIX}{tenant}/"))
    name = next((key for key in keys if key > (after or "") and history.is_chunk(key)), None)
    if name is None:
        return 0, None
    try:
        events = history.read_chunk(deps.work.get(name))
    except RejectedError:
        found["unread"] += 1
        return 1, name
    about = [who_is_in(event, of, deps.keys) for event in events]
    if any(about):
        kept = [event for event, people in zip(events, about, strict=True) if not people]
        deps.work.put(name, history.write_chunk(kept))
        found.update(f"{each}/imported" for people in about for each in people)
    return 1, name


def _note(state: Mapping[str, Any], wanted: Mapping[TenantId, Wanted], deps: SweepDeps) -> None:
    for tenant, of in wanted.items():
        for customer_id, erased_at in of.until.items():
            if erased_at is None:
                continue
            counts = {
                what: count
                for name, count in state["found"].items()
                if (what := name.removeprefix(f"{customer_id}/")) != name
            }
            document = {
                "sweep_id": state["sweep_id"],
                "of": state["of"],
                "rows": state["rows"],
                "unread": state["found"].get("unread", 0),
                "counts": counts,
                "at": to_iso(deps.erase.clock.now()),
            }
            key = f"{customer_id}#{to_iso(erased_at)}#sweep#{state['sweep_id']}#{state['part']}"
            deps.erase.customers.keep_erasure(tenant, key, json.dumps(document))


def _wanted_key(sweep_id: str, tenant: str) -> str:
    return f"{FOLDER}{tenant}/{sweep_id}.json"


def _wanted_json(wanted: Wanted) -> bytes:
    until = {each: to_iso(at) for each, at in wanted.until.items() if at}
    return json.dumps({"refs": wanted.refs, "until": until, "ids": wanted.ids}).encode()


def _wanted(text: bytes) -> Wanted:
    document = json.loads(text)
    return Wanted(document["refs"], {each: from_iso(at) for each, at in document["until"].items()}, document["ids"])


# --- the certificate -------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody erased, and the ids they had."""

    ids: tuple[CustomerId, ...]
    erased_at: datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """消去証明: what was deleted of one person, where, and when that was finished."""

    customer_id: CustomerId
    erased_at: datetime
    counts: Mapping[str, int]
    rows_searched: int
    unread: int
    """Bodies nobody can read, and which so could not be searched: they expire."""
    swept_at: datetime | None
    """When everything kept had been looked through; None before the first sweep."""
    aliases: Sequence[CustomerId] = field(default=())

    @property
    def hash(self) -> str:
        """Stands for the content: whoever holds it can tell whether a certificate was changed."""
        said = (self.customer_id, to_iso(self.erased_at), json.dumps(dict(sorted(self.counts.items()))))
        return digest(*said, str(self.rows_searched), to_iso(self.swept_at) if self.swept_at else "")


def certificates(parts: Mapping[str, str]) -> list[Certificate]:
    """What the noted parts say together, oldest erasure first."""
    people: dict[tuple[str, str], dict[str, Any]] = {}
    sweeps: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, text in parts.items():
        customer_id, erased_at, *sweep = key.split("#")
        if sweep:
            sweeps.setdefault((customer_id, erased_at), []).append(json.loads(text))
        else:
            people[customer_id, erased_at] = json.loads(text)
    made = [_certificate(*who, people[who], sweeps.get(who, [])) for who in people]
    return sorted(made, key=lambda each: (each.erased_at, each.customer_id))


def _certificate(
    customer_id: str, erased_at: str, at_once: Mapping[str, Any], swept: Sequence[Mapping[str, Any]]
) -> Certificate:
    counts = Counter(at_once["counts"])
    for part in swept:
        counts.update(part["counts"])
    by_sweep: dict[str, list[Mapping[str, Any]]] = {}
    for part in swept:
        by_sweep.setdefault(part["sweep_id"], []).append(part)
    whole = [parts for parts in by_sweep.values() if len(parts) == parts[0]["of"]]
    last = max(whole, key=lambda parts: str(max(part["at"] for part in parts)), default=[])
    return Certificate(
        customer_id=CustomerId(customer_id),
        erased_at=from_iso(erased_at),
        counts=dict(counts),
        rows_searched=sum(part["rows"] for part in last),
        unread=sum(part["unread"] for part in last),
        swept_at=max((from_iso(part["at"]) for part in last), default=None),
        aliases=tuple(CustomerId(each) for each in at_once["ids"] if each != customer_id),
    )


def pending(parts: Mapping[str, str], now: datetime) -> dict[CustomerId, Pending]:
    """Whom the next sweep looks for: not swept yet, or erased less than AGAIN ago."""
    waiting = [each for each in certificates(parts) if each.swept_at is None or now - each.erased_at < AGAIN]
    latest = {each.customer_id: each for each in waiting}
    return {who: Pending(tuple(each.aliases), each.erased_at) for who, each in list(latest.items())[:MOST_PEOPLE]}
