"""Two who may be one person (名寄せ候補): for a person to decide, never joined by themselves.

| in common | further | match |
|---|---|---|
| telephone number | the same name | yes |
| telephone number | no name with one of them | yes |
| telephone number | different names | no: a family, an office |
| telephone number | shared by more than three | no |
| postal code or address | the same family and given name | yes |
| address | same family name, different given names | no: a family |

Names and addresses are compared without what only the writing differs in: NFKC, half-width kana, 髙/高, 﨑/崎, hiragana
and katakana, spaces, name order (`names.py`). Who is erased matches nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from shared.core.ids import CustomerId
from shared.customers.addresses import normalise_phone
from shared.customers.model import Profile
from shared.customers.names import name_key, plain, same_name

MOST_SHARING = 3
"""A telephone number of more people than this says nothing."""

PHONE, ADDRESS = "phone_and_name", "name_and_address"


@dataclass(frozen=True, slots=True)
class Match:
    """Two persons and what they have in common: ids and one word, nothing personal."""

    one: CustomerId
    other: CustomerId
    because: str


def matches(people: Iterable[Profile], most_sharing: int = MOST_SHARING) -> list[Match]:
    """Every pair worth a look, each once, in a fixed order. Somebody may be there with several cards."""
    living = [person for person in people if not person.erased]
    pairs = (*_by_address(living), *_by_phone(living, most_sharing))
    found = {(one, other): because for one, other, because in pairs}
    return [Match(one, other, because) for (one, other), because in sorted(found.items())]


def _by_phone(people: Iterable[Profile], most_sharing: int) -> Iterator[tuple[CustomerId, CustomerId, str]]:
    groups: dict[str, list[Profile]] = defaultdict(list)
    for person in people:
        if phone := normalise_phone(person.phone):
            groups[phone].append(person)
    for group in groups.values():
        if len({person.customer_id for person in group}) <= most_sharing:
            yield from _pairs(group, PHONE, lambda a, b: _same(a, b) or not (_named(a) and _named(b)))


def _by_address(people: Iterable[Profile]) -> Iterator[tuple[CustomerId, CustomerId, str]]:
    groups: dict[str, list[Profile]] = defaultdict(list)
    for person in people:
        for place in {plain(person.postal_code).replace("-", ""), plain(person.address)} - {""}:
            groups[place].append(person)
    for group in groups.values():
        yield from _pairs(group, ADDRESS, _same)


def _pairs(
    group: list[Profile], because: str, alike: Callable[[Profile, Profile], bool]
) -> Iterator[tuple[CustomerId, CustomerId, str]]:
    for one, other in combinations(sorted(group, key=lambda person: person.customer_id), 2):
        if one.customer_id != other.customer_id and alike(one, other):
            yield one.customer_id, other.customer_id, because


def _named(person: Profile) -> bool:
    return bool(name_key(person.last_name, person.first_name))


def _same(one: Profile, other: Profile) -> bool:
    written = same_name((one.last_name, one.first_name), (other.last_name, other.first_name))
    return written or same_name(_kana(one), _kana(other))


def _kana(person: Profile) -> tuple[str | None, str | None]:
    return person.last_name_kana, person.first_name_kana


def open_matches(people: Mapping[CustomerId, Profile]) -> list[Match]:
    """Those nobody has decided about yet."""
    return [match for match in matches(people.values()) if not _decided(people[match.one], people[match.other])]


def _decided(one: Profile, other: Profile) -> bool:
    ends = {one.customer_id, *one.aliases}, {other.customer_id, *other.aliases}
    return any(
        (each.one in ends[0] and each.other in ends[1]) or (each.one in ends[1] and each.other in ends[0])
        for each in (*one.decisions, *other.decisions)
    )
