"""Who is meant: a person by customer id, mail address or the customer number of a store."""

from __future__ import annotations

from collections.abc import Iterable

from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.customers.identity import address_ref, customer_ref
from shared.customers.rules import normalise_email
from shared.customers.store import CustomerStore


def find_customer(
    text: str, tenant: TenantId, customers: CustomerStore, keys: KeyRing, stores: Iterable[tuple[str, str]]
) -> CustomerId:
    """The person now known by `text`; `stores` are the (source, store) pairs whose customer numbers to try, all of
    them or, for `store/number`, that store's.

    Raises NotFoundError. The message does not repeat what was asked: it may be a mail address.
    """
    wanted = text.strip()
    if "@" in wanted:
        return _by_email(wanted, tenant, customers, keys)
    profile = customers.profile(tenant, CustomerId(wanted)) if wanted else None
    if profile is not None:
        return profile.customer_id
    named, _, number = wanted.rpartition("/")
    found = {
        store: person
        for source, store in stores
        if named in ("", store) and (person := _by_number(number, tenant, customers, source, store))
    }
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    if found:
        raise NotFoundError(f"several stores have that customer number: say which, {' or '.join(sorted(found))}/NUMBER")
    raise NotFoundError("no such customer: give a customer id, a mail address or a store's customer number")


def _by_email(text: str, tenant: TenantId, customers: CustomerStore, keys: KeyRing) -> CustomerId:
    address = normalise_email(text)
    if address is None:
        raise NotFoundError("that is not a mail address anyone can be written to")
    found = customers.resolve_ref(tenant, address_ref(tenant, address, keys))
    if found is None:
        raise NotFoundError("nobody with that mail address is known")
    return found


def _by_number(number: str, tenant: TenantId, customers: CustomerStore, source: str, store: str) -> CustomerId | None:
    return customers.resolve_ref(tenant, customer_ref(source, store, number))
