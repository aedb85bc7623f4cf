"""Persons who are read as one: by decision or evidence (名寄せ), with the way back (取り消し), and with their browsers.

All join what is read, not what is stored: each keeps their own rows, so a decision taken back restores exactly what
was, and nobody becomes somebody else for having sat at the same screen.

Customer numbers that have an address or a cart in common are one by that evidence, each of them with each, until
somebody parts two of them (家族の共有アドレスなど). Of what was decided about a pair the latest counts, and before all
evidence: who was parted stays so whatever comes, until somebody joins them. What they have in common is a weak key from
then on: it names neither. What came without a customer number (a guest's order) stays with whoever had the address
when it came: who said what by which key is not kept. Where the store itself says that two of its numbers are one, they
are one for good: that is undone in the store.

What more than ten customer numbers have in common is nobody's (ダミーの宛先): a shop types it where it knows none.
It joins nobody and names nobody, and nobody is written to there.

A browser (visitor cookie) is seen with whoever signs in, buys or answers in it: a family, a library, somebody who
means harm. So a cookie joins nobody. What happened in it while nobody was known there is read with the first, by
(time, event), of those who are known by a strong key; what others did there stays theirs. A cart of nobody known that
was seen in it goes with it. Who was first is a minimum, so it is the same in any order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, Ref
from shared.customers import rules
from shared.customers.items import StoredPerson, is_visitor
from shared.customers.model import ConsentEntry, Decision, Join, Order, Record


class People(Protocol):
    """Where persons are looked up."""

    def by_id(self, customer_id: CustomerId) -> StoredPerson | None:
        """By any id they ever had."""
        ...

    def by_ref(self, ref: Ref) -> StoredPerson | None:
        """By a ref."""
        ...


def read_with(person: StoredPerson, people: People) -> list[StoredPerson]:
    """Everybody who is read as one with this person, the person among them."""
    found: dict[CustomerId, StoredPerson] = {}
    pending = [person]
    while pending:
        head = _head(pending.pop(), people)
        if head.customer_id in found:
            continue
        household = [head, *_browsing(head, people)]
        found |= {each.customer_id: each for each in household}
        pending += [other for each in household for other in _one_with(each, people)]
    return list(found.values())


def _one_with(person: StoredPerson, people: People) -> list[StoredPerson]:
    decided = {end for each in person.record.decisions.values() if each.joined for end in (each.one, each.other)}
    return [*_found(decided, people), *joined_by_evidence(person, people)]


def joined_by_evidence(person: StoredPerson, people: People) -> list[StoredPerson]:
    """Who has something in common with a person and was not parted from them."""
    found = {other.customer_id: other for _, other in _sharing(person, people)}
    return [other for other in found.values() if not are_parted(person, other, people)]


def _sharing(person: StoredPerson, people: People) -> Iterator[tuple[Ref, StoredPerson]]:
    """What a person has in common with whom."""
    for ref in sorted(_shared(person)):
        together = having(ref, person, people)
        if not is_nobodys(ref, together):
            yield from ((ref, other) for other in together[1:])


def having(ref: Ref, person: StoredPerson, people: People) -> list[StoredPerson]:
    """Everybody who has a ref in common with a person, the person first: of three each with each, whoever it was seen
    with.
    """
    reached, pending = {person.customer_id: person}, [person]
    while pending:
        evidence = pending.pop().record.evidence.values()
        ends = {end for each in evidence if ref in each.refs for end in (each.one, each.other)}
        new = {each.customer_id: each for each in _found(ends, people) if each.customer_id not in reached}
        reached |= new
        pending += new.values()
    return list(reached.values())


def is_nobodys(ref: Ref, together: Sequence[StoredPerson]) -> bool:
    """Do more customer numbers have this in common than may be one family (ダミーの宛先)?

    Numbers only ever become more, and of those who come after it is known (`CustomerStore.disown`) each keeps that it
    is nobody's: so the answer is the same in any order of arrival.
    """
    numbers = {each for person in together for each in person.record.refs if rules.has_account([each])}
    return len(numbers) > rules.SHARED_BY_MOST or any(ref in each.record.nobodys for each in together)


def nobodys(person: StoredPerson, people: People) -> set[Ref]:
    """What a person used that is nobody's."""
    shared = {ref for ref in _shared(person) if is_nobodys(ref, having(ref, person, people))}
    return shared | person.record.nobodys


def _shared(person: StoredPerson) -> set[Ref]:
    return {ref for each in person.record.evidence.values() for ref in each.refs} - person.record.nobodys


def _found(ids: Iterable[CustomerId], people: People) -> list[StoredPerson]:
    return [found for each in sorted(ids) if (found := people.by_id(each))]


def are_parted(one: StoredPerson, other: StoredPerson, people: People) -> bool:
    """Did somebody decide that these are two, and nobody since that they are one?"""
    pair = {one.customer_id, other.customer_id}
    about = [each for each in one.record.decisions.values() if _now(each, people) == pair]
    return bool(about) and not max(about, key=lambda each: (each.at, each.event_id)).joined


def _now(decision: Decision, people: People) -> set[CustomerId]:
    """Whom a decision is about, by the ids they have now."""
    return {each.customer_id for each in _found({decision.one, decision.other}, people)}


# --- browsers --------------------------------------------------------------------------------------------------------
def _head(person: StoredPerson, people: People) -> StoredPerson:
    """Whose history this is read in: the person's own, or that of whoever their browser leads to."""
    if is_known(person):
        return person
    if person.record.claims:
        return _owner(person, people) or person
    browser = _first_browser(person, people)
    return (_owner(browser, people) or browser) if browser else person


def is_known(person: StoredPerson) -> bool:
    """By a strong key, not just a cart or a cookie."""
    return any(rules.is_strong(ref) for ref in person.record.refs)


def _owner(browser: StoredPerson, people: People) -> StoredPerson | None:
    return next((each for each in _seen_in(browser, people) if is_known(each)), None)


def _seen_in(browser: StoredPerson, people: People) -> Iterator[StoredPerson]:
    """Who was seen in a browser, the first first."""
    claims = sorted(browser.record.claims.items(), key=lambda item: (item[1].at, item[1].event_id, item[0]))
    for ref, _ in claims:
        person = people.by_ref(Ref(ref))
        if person and _knows(person, browser):
            yield person


def _knows(person: StoredPerson, browser: StoredPerson) -> bool:
    """Both keep as many as fit, so each must still have the other."""
    return any(ref in person.record.visitors for ref in browser.record.refs)


def _first_browser(person: StoredPerson, people: People) -> StoredPerson | None:
    visitors = sorted(person.record.visitors.items(), key=lambda item: (item[1].at, item[1].event_id, item[0]))
    for ref, _ in visitors:
        browser = people.by_ref(Ref(ref))
        if browser and any(each.customer_id == person.customer_id for each in _seen_in(browser, people)):
            return browser
    return None


def _browsing(head: StoredPerson, people: People) -> Iterator[StoredPerson]:
    """The browsers that are read with somebody, and the carts of nobody known that were seen in them."""
    if is_known(head):
        browsers = [each for ref in sorted(head.record.visitors) if (each := people.by_ref(Ref(ref)))]
        browsers = [each for each in browsers if (owner := _owner(each, people)) and _is(owner, head)]
    else:
        browsers = [head]
    since = head.record.erased_at
    for browser in browsers:
        yield browser
        for person in _seen_in(browser, people):
            first = None if is_known(person) else _first_browser(person, people)
            if first and _is(first, browser):
                yield replace(person, record=_forgotten(person.record, since)) if since else person


def _is(one: StoredPerson, other: StoredPerson) -> bool:
    return one.customer_id == other.customer_id


def _forgotten(record: Record, since: datetime) -> Record:
    """A cart of before the erasure of whoever it is read with is gone with them."""
    return rules.settle(rules.join([record, Record(erased_at=since)]))


# --- one of several --------------------------------------------------------------------------------------------------
def whole(person: StoredPerson, people: People) -> StoredPerson:
    """A person with everybody who is read as one with them.

    What they have in common with somebody they were parted from names neither; and who refused mail to a shared address
    refused it for both. What is nobody's names nobody, and nobody is written to there.
    """
    together = read_with(person, people)
    not_theirs = {ref for each in together for ref in nobodys(each, people)}
    one, ids = as_one(together), {each.customer_id for each in together}
    apart = [
        (ref, other)
        for each in together
        for ref, other in _sharing(each, people)
        if other.customer_id not in ids and are_parted(each, other, people)
    ]
    if not (apart or not_theirs):
        return one
    weak = {ref for ref, _ in apart}
    refused = [_refusals(each, weak) for _, other in apart for each in read_with(other, people)]
    refusing = rules.join([one.record, *(Record(consent_log=said) for said in refused)])
    named = replace(refusing, refs=one.record.refs - weak - not_theirs)
    return replace(one, record=rules.without_addresses(named, not_theirs))


def _refusals(person: StoredPerson, refs: Iterable[Ref]) -> dict[str, ConsentEntry]:
    """What a person said no to at some addresses."""
    addresses = {ref.partition("~")[0] for ref in refs}
    log = person.record.consent_log
    return {key: said for key, said in log.items() if not said.granted and said.address in addresses}


def as_one(people: Sequence[StoredPerson]) -> StoredPerson:
    """What is known of them together, under the id of the strongest of their keys."""
    if len(people) == 1:
        return people[0]
    whole = rules.join(replace(record, erased_at=None) for record in _standing_records(people))
    customer_id = rules.canonical_id(ref for person in people for ref in person.record.refs)
    kept = next(person for person in people if person.customer_id == customer_id)
    # A visitor never had a mail or a place in a scenario: nobody asks for their id.
    named = [person for person in people if not (is_visitor(person) or _is_browser(person))]
    return replace(
        kept,
        record=replace(whole, refs=_naming(whole.refs), erased_at=_erased(person.record for person in people)),
        aliases=frozenset().union(*(p.aliases | {p.customer_id} for p in named)) - {customer_id},
        joins={gone: how for person in people for gone, how in (*_evidence(person, people), *person.joins.items())},
        scores=kept.scores or max((p.scores for p in people if p.scores), key=lambda s: s.as_of, default=None),
    )


def found_by(people: Sequence[StoredPerson]) -> frozenset[Ref]:
    """By which refs some who are read as one are found."""
    return frozenset().union(*(record.refs for record in _standing_records(people)))


def _standing_records(people: Sequence[StoredPerson]) -> list[Record]:
    cards = [card for person in people for card in person.record.cards.values()]
    return [rules.standing(person.record, cards) for person in people]


def orders_of(person: StoredPerson, together: Iterable[StoredPerson]) -> Mapping[str, Order]:
    """A person's orders, with what those who are read as one with them know of the same orders."""
    known = rules.join(Record(orders=each.record.orders) for each in together).orders
    return {key: known.get(key, order) for key, order in person.record.orders.items()}


def _evidence(person: StoredPerson, people: Sequence[StoredPerson]) -> Iterator[tuple[CustomerId, Join]]:
    """How it came that some with a weaker key are read as one with a person."""
    weaker = {each.customer_id for each in people if _key(each) > _key(person)}
    for each in person.record.evidence.values():
        for end in sorted({each.one, each.other} & weaker):
            yield end, Join(each.at, each.event_id, each.refs)


def _key(person: StoredPerson) -> tuple[int, str]:
    return min(map(rules.ref_rank, person.record.refs), default=(0, ""))


def to_decide(
    one: StoredPerson, other: StoredPerson, read_together: Sequence[StoredPerson], *, joined: bool
) -> list[tuple[CustomerId, CustomerId]]:
    """The pairs to write so that these two are one, or are not; `read_together`: everybody who is read as one with the
    first. A decision is taken back by the ids it was made with, whatever became of them since.

    Raises RejectedError where a decision about the two would change nothing.
    """
    together = other.customer_id in {each.customer_id for each in read_together}
    if joined and together and not _may_be_kept(one, other):
        raise RejectedError("those two are one person already")
    if one.customer_id == other.customer_id:
        raise RejectedError("those two are one customer in the shop's own data: it is undone there")
    pairs = set(_standing(one, other))
    if not together or _shared(one) & _shared(other):
        pairs.add((one.customer_id, other.customer_id))
    if not pairs:
        raise RejectedError(f"those two are one through others: undo one of {', '.join(_links(read_together))}")
    return sorted(pairs)


def is_undecided(one: StoredPerson, other: StoredPerson, people: People) -> bool:
    """Are two one by what they have in common, and nobody has said whether they are?"""
    if one.record.erased_at or other.record.erased_at or not _may_be_kept(one, other):
        return False
    return other.customer_id in {each.customer_id for each in joined_by_evidence(one, people)}


def _may_be_kept(one: StoredPerson, other: StoredPerson) -> bool:
    """May somebody say of two that they have looked, and they are one (このまま)? Only of what evidence says."""
    return bool(_shared(one) & _shared(other)) and not _standing(one, other)


def _links(people: Iterable[StoredPerson]) -> list[str]:
    """The pairs that make these one person."""
    decided = {(each.one, each.other) for part in people for each in part.record.decisions.values() if each.joined}
    shown = {(each.one, each.other) for part in people for each in part.record.evidence.values()}
    return [f"{one} {other}" for one, other in sorted(decided | shown)]


def _standing(one: StoredPerson, other: StoredPerson) -> list[tuple[CustomerId, CustomerId]]:
    ends = {one.customer_id, *one.aliases}, {other.customer_id, *other.aliases}
    decisions = {**one.record.decisions, **other.record.decisions}.values()
    pairs = sorted((each.one, each.other) for each in decisions if each.joined)
    return [(a, b) for a, b in pairs if (a in ends[0] and b in ends[1]) or (a in ends[1] and b in ends[0])]


def read_as(people: Sequence[StoredPerson]) -> dict[CustomerId, CustomerId]:
    """Of some who are read as one: the ids that rows are kept under, and the person they are read as.

    Left out is who was never read as anybody else: known, without evidence or decision about them.
    """
    whole = as_one(people).customer_id
    return {person.customer_id: whole for person in people if _may_be_another(person)}


def _may_be_another(person: StoredPerson) -> bool:
    known = is_known(person) or is_visitor(person)
    return bool(person.record.decisions or person.record.evidence) or not known


def _is_browser(person: StoredPerson) -> bool:
    return all(rules.is_visitor_ref(ref) for ref in person.record.refs)


def _naming(refs: frozenset[Ref]) -> frozenset[Ref]:
    return frozenset(ref for ref in refs if rules.is_strong(ref)) or refs


def _erased(records: Iterable[Record]) -> datetime | None:
    """Forgotten only when all of them are."""
    times = [record.erased_at for record in records]
    return max((at for at in times if at), default=None) if all(times) else None
