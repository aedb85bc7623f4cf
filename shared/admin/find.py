"""Who is meant: a person by customer id, mail address or the customer number of a store; or everybody whose name,
address or telephone number holds what was typed (顧客検索).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId, Ref, TenantId
from shared.core.keys import KeyRing
from shared.customers.addresses import normalise_email, normalise_phone
from shared.customers.identity import address_ref, customer_ref
from shared.customers.items import StoredPerson
from shared.customers.model import Profile
from shared.customers.names import plain
from shared.customers.store import CustomerStore

_SET_APART = str.maketrans("", "", " -‐‑–—−ー()+〒.")
_LEAST_DIGITS = 4
"""Of a telephone or postal number that is looked for by a part of it."""


def find_customer(
    text: str, tenant: TenantId, customers: CustomerStore, keys: KeyRing, stores: Iterable[tuple[str, str]]
) -> CustomerId:
    """The person now known by `text`; `stores` are the (source, store) pairs whose customer numbers to try, all of
    them or, for `store/number`, that store's.

    Raises NotFoundError. The message does not repeat what was asked: it may be a mail address.
    """
    return _find(text, tenant, keys, stores, partial(customers.resolve_ref, tenant), partial(customers.profile, tenant))


def find_stored(
    text: str, tenant: TenantId, customers: CustomerStore, keys: KeyRing, stores: Iterable[tuple[str, str]]
) -> CustomerId:
    """The same, and of several who are read as one (名寄せ) the one whose id, address or number was typed."""
    return _find(text, tenant, keys, stores, partial(customers.owner, tenant), partial(customers.load, tenant))


def _find(
    text: str,
    tenant: TenantId,
    keys: KeyRing,
    stores: Iterable[tuple[str, str]],
    by_ref: Callable[[Ref], CustomerId | None],
    by_id: Callable[[CustomerId], Profile | StoredPerson | None],
) -> CustomerId:
    wanted = unicodedata.normalize("NFKC", text).strip()
    if "@" in wanted:
        return _by_email(wanted, tenant, keys, by_ref)
    known = by_id(CustomerId(wanted)) if wanted else None
    if known is not None:
        return known.customer_id
    named, _, number = wanted.rpartition("/")
    found = {
        store: person
        for source, store in stores
        if named in ("", store) and (person := by_ref(customer_ref(source, store, number)))
    }
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    if found:
        raise NotFoundError(f"several stores have that customer number: say which, {' or '.join(sorted(found))}/NUMBER")
    raise NotFoundError("no such customer: give a customer id, a mail address or a store's customer number")


def _by_email(text: str, tenant: TenantId, keys: KeyRing, by_ref: Callable[[Ref], CustomerId | None]) -> CustomerId:
    address = normalise_email(text)
    if address is None:
        raise NotFoundError("that is not a mail address anyone can be written to")
    found = by_ref(address_ref(tenant, address, keys))
    if found is None:
        raise NotFoundError("nobody with that mail address is known")
    return found


def search(text: str, everybody: Iterable[Profile]) -> Iterator[Profile]:
    """Everybody with a card that says `text` somewhere, once each: part of a name (in either order, kana, old forms of
    a character), of a mail or postal address, of a telephone number however it is written.

    Raises RejectedError for a text that could mean anybody.
    """
    word, digits = plain(text), _digits(text)
    if len(word) < 2 and not any(ord(character) > 0x2E7F for character in word):
        raise RejectedError("two letters at least: a name, mail address, telephone number or address (a part will do)")
    seen: set[CustomerId] = set()
    for profile in everybody:
        if profile.customer_id not in seen and _says(profile, word, digits):
            seen.add(profile.customer_id)
            yield profile


def _says(profile: Profile, word: str, digits: str) -> bool:
    if len(digits) >= _LEAST_DIGITS and any(digits in number for number in _numbers(profile)):
        return True
    names = (
        (profile.last_name, profile.first_name),
        (profile.last_name_kana, profile.first_name_kana),
    )
    whole = [plain(first) + plain(second) for last, given in names for first, second in ((last, given), (given, last))]
    return any(word in each for each in (*whole, plain(profile.email), plain(profile.address)))


def _numbers(profile: Profile) -> Iterator[str]:
    """As people write them: a telephone number at home begins with 0, not with +81."""
    phone = normalise_phone(profile.phone) or profile.phone or ""
    yield _digits(phone.replace("+81", "0", 1) if phone.startswith("+81") else phone)
    yield _digits(phone)
    yield _digits(profile.postal_code or "")


def _digits(text: str) -> str:
    """The number a text is, however it is set apart; empty where it holds anything else."""
    said = unicodedata.normalize("NFKC", text)
    rest = said.translate(_SET_APART)
    return rest if rest.isascii() and rest.isdigit() else ""
