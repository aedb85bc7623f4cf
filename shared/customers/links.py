"""Two persons who are read as one: by decision (名寄せ), with the way back (取り消し), and with the browsers they used.

Both join what is read, not what is stored: each keeps their own rows, so a decision taken back restores exactly what
was, and nobody becomes somebody else for having sat at the same screen.

Of the decisions about one pair the latest counts; evidence in events (a shared mail address) joins for good.

A browser (visitor cookie) is seen with whoever signs in, buys or answers in it: a family, a library, somebody who
means harm. So a cookie joins nobody. What happened in it while nobody was known there is read with the first, by
(time, event), of those who are known by a strong key; what others did there stays theirs. A cart of nobody known that
was seen in it goes with it. Who was first is a minimum, so it is the same in any order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, Ref
from shared.customers import rules
from shared.customers.items import StoredPerson, is_visitor
from shared.customers.model import Record


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
        ends = sorted(_linked_ids(household) - found.keys())
        pending += [each for end in ends if (each := people.by_id(end))]
    return list(found.values())


def _linked_ids(people: Iterable[StoredPerson]) -> set[CustomerId]:
    decisions = (each for person in people for each in person.record.decisions.values() if each.joined)
    return {end for each in decisions for end in (each.one, each.other)}


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
def as_one(people: Sequence[StoredPerson]) -> StoredPerson:
    """What is known of them together, under the id of the strongest of their keys."""
    if len(people) == 1:
        return people[0]
    whole = rules.join(replace(rules.standing(person.record), erased_at=None) for person in people)
    customer_id = rules.canonical_id(ref for person in people for ref in person.record.refs)
    kept = next(person for person in people if person.customer_id == customer_id)
    # A visitor never had a mail or a place in a scenario: nobody asks for their id.
    named = [person for person in people if not (is_visitor(person) or _is_browser(person))]
    return replace(
        kept,
        record=replace(whole, refs=_naming(whole.refs), erased_at=_erased(person.record for person in people)),
        aliases=frozenset().union(*(p.aliases | {p.customer_id} for p in named)) - {customer_id},
        joins={gone: how for person in people for gone, how in person.joins.items()},
        scores=kept.scores or max((p.scores for p in people if p.scores), key=lambda s: s.as_of, default=None),
    )


def to_decide(
    one: StoredPerson, other: StoredPerson, read_together: Sequence[StoredPerson], *, joined: bool
) -> list[tuple[CustomerId, CustomerId]]:
    """The pairs to write so that these two are one, or are not; `read_together`: everybody who is read as one with the
    first. A decision is taken back by the ids it was made with, whatever became of them since.

    Raises RejectedError where a decision about the two would change nothing.
    """
    together = other.customer_id in {each.customer_id for each in read_together}
    if joined and together:
        raise RejectedError("those two are one person already")
    if one.customer_id == other.customer_id:
        raise RejectedError("those two became one by an address or number in the shop's own data: no decision to undo")
    standing = _standing(one, other)
    if together and not standing:
        pairs = {
            f"{each.one} {each.other}"
            for part in read_together
            for each in part.record.decisions.values()
            if each.joined
        }
        raise RejectedError(f"those two are one through others: undo one of {', '.join(sorted(pairs))}")
    return standing or [(one.customer_id, other.customer_id)]


def _standing(one: StoredPerson, other: StoredPerson) -> list[tuple[CustomerId, CustomerId]]:
    ends = {one.customer_id, *one.aliases}, {other.customer_id, *other.aliases}
    decisions = {**one.record.decisions, **other.record.decisions}.values()
    pairs = sorted((each.one, each.other) for each in decisions if each.joined)
    return [(a, b) for a, b in pairs if (a in ends[0] and b in ends[1]) or (a in ends[1] and b in ends[0])]


def read_as(people: Sequence[StoredPerson]) -> dict[CustomerId, CustomerId]:
    """Of some who are read as one: the ids that rows are kept under, and the person they are read as.

    Left out is who was never read as anybody else: known, and nobody ever decided about them.
    """
    whole = as_one(people).customer_id
    told = (person for person in people if person.record.decisions or not (is_known(person) or is_visitor(person)))
    return {person.customer_id: whole for person in told}


def _is_browser(person: StoredPerson) -> bool:
    return all(rules.is_visitor_ref(ref) for ref in person.record.refs)


def _naming(refs: frozenset[Ref]) -> frozenset[Ref]:
    return frozenset(ref for ref in refs if rules.is_strong(ref)) or refs


def _erased(records: Iterable[Record]) -> datetime | None:
    """Forgotten only when all of them are."""
    times = [record.erased_at for record in records]
    return max((at for at in times if at), default=None) if all(times) else None
