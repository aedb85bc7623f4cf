"""顧客照会API: what the shop's own systems may ask about one customer, by the secret key of a tracking connection.

    POST /v1/customers/lookup      Authorization: Basic <base64 of "WRITEKEY_SECRET:">, as the tracking API has it
    {"email": "…"} or {"customer_id": "…"} or {"source": "shopify", "store": "a.myshopify.com", "number": "7"}

| answer | when |
|---|---|
| 200 | what is known: purchases, scores, segments, attributes, contracts, open carts, consent |
| 400 | no JSON, or nobody can be meant by it |
| 401 | no secret key, or one nobody has: the public key stands in every page of the shop |
| 404 | nobody like that is known |
| 503 | a service we need did not answer: ask again |

Names and addresses are not in the answer (whoever asks has theirs), and nobody's address is in a URL. Many customers at
once: the lake's own Parquet files, or `matakite segment export`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.admin.find import find_customer
from shared.core.errors import NotFoundError, RejectedError, UnavailableError
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.core.plain import as_json
from shared.customers.model import PersonState
from shared.customers.store import CustomerStore
from shared.ingest.adapter import Request
from shared.ingest.connections import Connections
from shared.ingest.receive import request_of
from shared.ingest.tracking.receive import UnknownKeyError, authenticated

SCHEMA = "matakite/customer/1"
_MAX_BYTES = 2_000
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
        return _refused(401, "unauthorized", str(error))
    except NotFoundError as error:
        return _refused(404, "not_found", str(error))
    except RejectedError as error:
        return _refused(400, "invalid_request", str(error))
    except UnavailableError:
        return _refused(503, "unavailable", "please ask again")


def look_up(request: Request, deps: LookupDeps, now: datetime) -> dict[str, Any]:
    """The document of whom a request means. Raises UnknownKeyError, NotFoundError, RejectedError, UnavailableError."""
    connection, trusted = authenticated(request.headers, {}, deps.connections, now)
    if not trusted:
        raise UnknownKeyError("the secret key is needed (WRITEKEY_SECRET): see `matakite connection list`")
    said = _said(request.body)
    found = _meant(said, connection.tenant, deps)
    person = deps.customers.person(connection.tenant, found)
    if person is None or person.profile.erased:
        raise NotFoundError("nobody like that is known")
    return describe(person)


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


def _said(body: bytes) -> dict[str, str]:
    forms = " or ".join("{" + ", ".join(sorted(form)) + "}" for form in _FORMS)
    try:
        said = json.loads(body) if len(body) <= _MAX_BYTES else None
    except ValueError:
        said = None
    if not isinstance(said, dict) or set(said) not in _FORMS or not all(_is_word(each) for each in said.values()):
        raise RejectedError(f"a JSON object of texts is needed: {forms}")
    return said


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _meant(said: Mapping[str, str], tenant: TenantId, deps: LookupDeps) -> CustomerId:
    if "number" in said:
        place = (said["source"], said["store"])
        return find_customer(f"{said['store']}/{said['number']}", tenant, deps.customers, deps.keys(), [place])
    text = said.get("email") or said["customer_id"]
    if ("email" in said) != ("@" in text):
        raise RejectedError("an email has an @, and a customer_id has none")
    return find_customer(text, tenant, deps.customers, deps.keys(), [])


def _refused(status: int, code: str, message: str) -> dict[str, Any]:
    return _answer(status, {"code": code, "message": message})


def _answer(status: int, document: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(document, ensure_ascii=False)}
