"""顧客照会API: what the shop's own systems may ask about customers, by the secret key of a tracking connection.

    POST /v1/customers/lookup      Authorization: Basic <base64 of "WRITEKEY_SECRET:">, as the tracking API has it
    {"email": "…"} or {"customer_id": "…"} or {"source": "shopify", "store": "a.myshopify.com", "number": "7"}
    {"customers": [any of those, …]}: up to 100 at once, answered in their order

| answer | when |
|---|---|
| 200 | what is known: purchases, scores, segments, attributes, contracts, open carts, consent |
| 400 | no JSON, or nobody can be meant by it |
| 401 | no secret key, or one nobody has: the public key stands in every page of the shop |
| 404 | nobody like that is known |
| 503 | a service we need did not answer: ask again |

Of a list each gets the answer they would get alone, 400 and 404 as `{"code", "message"}` in their place.

Names and addresses are not in the answer (whoever asks has theirs), and nobody's address is in a URL. All customers:
the lake's own Parquet files, or `matakite segment export`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.admin.find import find_customer
from shared.core.errors import NotFoundError, RejectedError, UnavailableError
from shared.core.ids import CustomerId, Ref, TenantId
from shared.core.keys import KeyRing
from shared.core.plain import as_json
from shared.customers.addresses import normalise_email
from shared.customers.batch import BatchRows
from shared.customers.identity import address_ref, customer_ref
from shared.customers.items import ref_key
from shared.customers.model import PersonState
from shared.customers.store import CustomerStore
from shared.ingest.adapter import Request
from shared.ingest.connections import Connections
from shared.ingest.receive import request_of
from shared.ingest.tracking.receive import UnknownKeyError, authenticated

SCHEMA = "matakite/customer/1"
MANY = "matakite/customers/1"
AT_ONCE = 100
_MOST_LETTERS = 1_000
_MAX_BYTES = AT_ONCE * 2_000
_FORMS = ({"email"}, {"customer_id"}, {"source", "store", "number"})


@dataclass(frozen=True, slots=True)
class LookupDeps:
    """What a look-up needs from outside."""

    connections: Connections
    customers: CustomerStore
    keys: Callable[[], KeyRing]


def lookup_http(event: Mapping[str, Any], deps: LookupDeps, now: datetime) -> dict[str, Any]:
    """Answer one request of an API Gateway HTTP API (payload 2.0)."""
    try:
        return _answer(200, look_up(request_of(event), deps, now))
    except UnknownKeyError as error:
        return _answer(401, _refused("unauthorized", error))
    except NotFoundError as error:
        return _answer(404, _refused("not_found", error))
    except RejectedError as error:
        return _answer(400, _refused("invalid_request", error))
    except UnavailableError:
        return _answer(503, _refused("unavailable", "please ask again"))


def look_up(request: Request, deps: LookupDeps, now: datetime) -> dict[str, Any]:
    """The document of whom a request means. Raises UnknownKeyError, NotFoundError, RejectedError, UnavailableError."""
    connection, trusted = authenticated(request.headers, {}, deps.connections, now)
    if not trusted:
        raise UnknownKeyError("the secret key is needed (WRITEKEY_SECRET): see `matakite connection list`")
    asked = _read(request.body)
    if isinstance(asked, dict) and set(asked) == {"customers"}:
        return _many(asked["customers"], connection.tenant, deps)
    return _one(asked, connection.tenant, deps)


def _one(asked: object, tenant: TenantId, deps: LookupDeps) -> dict[str, Any]:
    found = _meant(_said(asked), tenant, deps)
    person = deps.customers.person(tenant, found)
    if person is None or person.profile.erased:
        raise NotFoundError("nobody like that is known")
    return describe(person)


def _many(asked: object, tenant: TenantId, deps: LookupDeps) -> dict[str, Any]:
    if not isinstance(asked, list) or not 0 < len(asked) <= AT_ONCE:
        raise RejectedError(f"customers is a list of 1 to {AT_ONCE}")
    rows = BatchRows(deps.customers.rows)
    # Whom they name is read at once; the rows of a person are a query each.
    rows.get(ref_key(tenant, ref) for each in asked for ref in _refs(each, tenant, deps))
    together = replace(deps, customers=deps.customers.over(rows))
    return {"schema": MANY, "customers": [_answered(each, tenant, together) for each in asked]}


def _answered(asked: object, tenant: TenantId, deps: LookupDeps) -> dict[str, Any]:
    """One of many."""
    try:
        return _one(asked, tenant, deps)
    except NotFoundError as error:
        return _refused("not_found", error)
    except RejectedError as error:
        return _refused("invalid_request", error)


def _refs(asked: object, tenant: TenantId, deps: LookupDeps) -> list[Ref]:
    """The ref by which whoever is asked for will be looked up; none where it is an id, or nobody."""
    try:
        said = _said(asked)
    except RejectedError:
        return []
    if "number" in said:
        return [customer_ref(said["source"], said["store"], said["number"])]
    address = normalise_email(said.get("email"))
    return [address_ref(tenant, address, deps.keys())] if address else []


def describe(person: PersonState) -> dict[str, Any]:
    """Everything that decides about a person, but neither names nor addresses."""
    profile = person.profile
    document: dict[str, Any] = as_json(
        {
            "schema": SCHEMA,
            "customer_id": profile.customer_id,
            "former_ids": profile.aliases,
            "purchases": profile.summary,
            "scores": profile.scores,
            "segments": profile.segments,
            "attributes": {name: each.value for name, each in person.attributes.items()},
            "subscriptions": person.subscriptions,
            "open_carts": [each for each in person.carts if each.open],
            "consents": person.consents,
            "suppressed_channels": person.suppressed,
            "last_login_at": person.last_login_at,
            "last_seen_at": person.last_seen_at,
        }
    )
    return document


def _read(body: bytes) -> object:
    try:
        return json.loads(body) if len(body) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        return None


def _said(asked: object) -> dict[str, str]:
    if not isinstance(asked, dict) or set(asked) not in _FORMS or not all(_is_word(each) for each in asked.values()):
        forms = " or ".join("{" + ", ".join(sorted(form)) + "}" for form in _FORMS)
        raise RejectedError(f"a JSON object of texts is needed: {forms}")
    return asked


def _is_word(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MOST_LETTERS and bool(value.strip())


def _meant(said: Mapping[str, str], tenant: TenantId, deps: LookupDeps) -> CustomerId:
    if "number" in said:
        place = (said["source"], said["store"])
        return find_customer(f"{said['store']}/{said['number']}", tenant, deps.customers, deps.keys(), [place])
    text = said.get("email") or said["customer_id"]
    if ("email" in said) != ("@" in text):
        raise RejectedError("an email has an @, and a customer_id has none")
    return find_customer(text, tenant, deps.customers, deps.keys(), [])


def _refused(code: str, message: object) -> dict[str, Any]:
    return {"code": code, "message": str(message)}


def _answer(status: int, document: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(document, ensure_ascii=False)}
