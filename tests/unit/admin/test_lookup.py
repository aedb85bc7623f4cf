"""The look-up answers the shop's own servers, with everything but names and addresses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.admin.lookup import AT_ONCE, MANY, SCHEMA, LookupDeps, lookup_http
from shared.core.clock import FixedClock
from shared.core.errors import UnavailableError
from shared.core.ids import ConnectionId, EventId, TenantId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.customers.fold import apply
from shared.customers.rows import Key, Row
from shared.customers.store import MemoryCustomerStore
from shared.ingest.adapter import Connection
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import Event, EventType, Person, ProfileFacts

TENANT = TenantId("mihon")
KEYS = derive_key_ring("a test key")
AT = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)
KEY = "a" * 26
SITE = Connection(ConnectionId(KEY), TENANT, "track", "www.example.jp", "ab" * 32)
CART = Connection(ConnectionId("b" * 26), TENANT, "shopify", "a.example.jp", "cd" * 32)
MAIL = "hanako@example.com"


@pytest.fixture(scope="module")
def deps() -> LookupDeps:
    customers = MemoryCustomerStore(FixedClock(AT))
    for tenant, email in ((TENANT, MAIL), (TenantId("other"), "taro@example.com")):
        said = Event(
            tenant=tenant,
            event_id=EventId("e"),
            event_type=EventType.CUSTOMER_UPDATED,
            source="shopify",
            store="a.example.jp",
            subject="shopify/a.example.jp/customer/7",
            occurred_at=AT,
            received_at=AT,
            version="1",
            person=Person(
                source_customer_id="7", email=email, last_name="見本", first_name="花子", phone="090-0000-0001"
            ),
            facts=ProfileFacts(attributes={"gender": "female"}),
        )
        apply(said, customers, KEYS, Shop(tenant, "店"))
    return LookupDeps(MemoryConnections(SITE, CART), customers, lambda: KEYS)


def ask(deps: LookupDeps, body: Any, key: str = f"{KEY}_{SITE.secret}") -> tuple[int, dict[str, Any]]:
    basic = base64.b64encode(f"{key}:".encode()).decode()
    text = body if isinstance(body, str) else json.dumps(body)
    answer = lookup_http({"headers": {"Authorization": f"Basic {basic}"}, "body": text}, deps, AT)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize(
    "body",
    [
        {"email": MAIL.upper().replace("HANAKO", "hanako")},
        {"source": "shopify", "store": "a.example.jp", "number": "7"},
    ],
)
def test_a_customer_is_told_of_without_name_or_address(deps: LookupDeps, body: dict[str, str]) -> None:
    status, told = ask(deps, body)
    assert (status, told["schema"], told["attributes"]) == (200, SCHEMA, {"gender": "female"})
    assert not [word for word in ("見本", "花子", MAIL, "0000") if word in json.dumps(told, ensure_ascii=False)]
    assert ask(deps, {"customer_id": told["customer_id"]}) == (200, told)


@pytest.mark.parametrize("key", ["", KEY, f"{KEY}_", f"{KEY}_{'0' * 64}", f"{'b' * 26}_{CART.secret}", "x"])
def test_only_the_secret_key_of_a_site_opens_it(deps: LookupDeps, key: str) -> None:
    status, told = ask(deps, {"email": MAIL}, key)
    assert (status, told["code"]) == (401, "unauthorized")


def test_another_shops_customers_are_nobody(deps: LookupDeps) -> None:
    status, told = ask(deps, {"email": "taro@example.com"})
    assert (status, told["code"]) == (404, "not_found")
    assert "taro" not in told["message"]


@pytest.mark.parametrize(
    "body",
    [
        *(
            "",
            "{",
            "[]",
            "null",
            {},
            {"email": 1},
            {"email": ""},
            {"email": "7"},
            {"customer_id": MAIL},
            {"number": "7"},
        ),
        {"email": MAIL, "customer_id": "x"},
        {"email": "a@b.example" + "m" * 3_000},
    ],
)
def test_what_means_nobody_is_refused_with_what_is_needed(deps: LookupDeps, body: Any) -> None:
    status, told = ask(deps, body)
    assert (status, told["code"]) == (400, "invalid_request")


def test_a_list_is_answered_in_its_order_as_each_would_be_alone(
    deps: LookupDeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"source": "shopify", "store": "a.example.jp", "number": "7"}
    asked = [
        known,
        {"email": "taro@example.com"},
        {"email": MAIL},
        {"number": 7},
        None,
        {"email": "nobody@example.com"},
    ]
    alone = [ask(deps, each)[1] for each in asked]
    batches: list[int] = []
    get = deps.customers.rows.get

    def counted(keys: Iterable[Key]) -> dict[Key, Row]:
        wanted = list(keys)
        batches.append(len(wanted))
        return get(wanted)

    monkeypatch.setattr(deps.customers.rows, "get", counted)
    status, told = ask(deps, {"customers": asked})
    assert (status, told["schema"], told["customers"]) == (200, MANY, alone)
    assert alone[0] == alone[2]
    assert batches[0] == 4, "whom they name is read at once"


@pytest.mark.parametrize("asked", [[], [{"email": MAIL}] * (AT_ONCE + 1), {"email": MAIL}, "x", None])
def test_a_list_of_nobody_or_of_too_many_is_refused(deps: LookupDeps, asked: Any) -> None:
    assert ask(deps, {"customers": asked})[0] == 400


@given(st.text(max_size=60))
def test_any_text_is_answered(deps: LookupDeps, text: str) -> None:
    assert ask(deps, {"customer_id": text})[0] in {400, 404}
    assert ask(deps, text)[0] == 400


def test_a_table_that_does_not_answer_is_asked_again_later(deps: LookupDeps, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise UnavailableError("read a person")

    monkeypatch.setattr(deps.customers, "person", silent)
    assert ask(deps, {"email": MAIL})[0] == 503
