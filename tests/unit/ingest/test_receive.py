"""What a sender is told, and what was kept when they are told it."""

from __future__ import annotations

import base64
import json
import logging
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from functions.ingest import receive_webhook
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.telemetry import tell
from shared.ingest.adapter import Connection, Request
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import Envelope
from shared.ingest.oversize import MemoryOversize
from shared.ingest.receive import MAX_BODY_BYTES, Answer, ReceiveDeps, receive, receive_http, request_of
from shared.ingest.store import MemoryEventStore
from tests.unit.ingest.conftest import NOW, SECRET, Asks, sample

ORDER = sample("orders-create")


class House:
    """The intake with everything in memory."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.oversize = MemoryOversize()
        self.store = MemoryEventStore(self.oversize)
        self.counted: Counter[str] = Counter()
        self.connections = MemoryConnections(connection)
        self.deps = ReceiveDeps(
            connections=self.connections,
            store=self.store,
            count=lambda name, value: self.counted.update({name: value}),
        )

    def post(self, request: Request, connection_id: str | None = None) -> Answer:
        return receive(request, connection_id or self.connection.connection_id, self.deps, NOW)


@pytest.fixture
def house(connection: Connection) -> House:
    return House(connection)


def test_a_delivery_is_kept_with_the_very_bytes_that_were_signed(house: House, ask: Asks) -> None:
    request = ask(ORDER.topic, json.dumps(ORDER.body, indent=3, ensure_ascii=True).encode())
    assert house.post(request) == Answer(200, "kept")
    (kept,) = house.store.envelopes()
    assert kept.raw == request.body
    assert (kept.tenant, kept.source, kept.topic, kept.received_at) == ("sample", "shopify", "orders/create", NOW)


def test_the_same_delivery_twice_is_one(house: House, ask: Asks) -> None:
    request = ask(ORDER.topic, ORDER.body)
    answers = [house.post(request) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len(house.store.rows) == 1
    assert house.counted == {"WebhooksDuplicate": 2}


def test_two_deliveries_of_one_merchant_action_are_both_kept(house: House, ask: Asks) -> None:
    for number in "12":
        house.post(ask(ORDER.topic, ORDER.body, headers={"x-shopify-webhook-id": f"delivery-{number}"}))
    assert len(house.store.rows) == 2


def test_whoever_probes_learns_nothing(house: House, ask: Asks) -> None:
    signed = ask(ORDER.topic, ORDER.body)
    probes = [
        house.post(ask(ORDER.topic, ORDER.body, secret="wrong")),
        house.post(signed, "zzzzzzzzzzzzzzzzzzzzzzzzzz"),
        house.post(signed, "../../secret"),
        house.post(ask(ORDER.topic, ORDER.body, headers={"x-shopify-shop-domain": "other.myshopify.com"})),
        house.post(ask("shop/redact", {"shop_domain": "x"}, secret="wrong")),
        house.post(ask(ORDER.topic, b"not json", secret="wrong")),
    ]
    assert set(probes) == {Answer(401, "unknown connection or wrong signature")}
    assert house.store.rows == {}
    assert house.counted == {"WebhooksRefused": len(probes)}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"eyJzZXNzaW9uIjoxfQ==", b'{"foo":"bar"}', "注文".encode("cp932")], ids=range(5)
)
def test_a_genuine_body_that_is_no_order_is_refused_with_the_reason(house: House, ask: Asks, body: bytes) -> None:
    answer = house.post(ask(ORDER.topic, body))
    assert answer.status == 400
    assert "body" in answer.message
    assert house.store.rows == {}


def test_a_topic_we_have_no_reading_for_is_kept(house: House, ask: Asks) -> None:
    found = sample("products-update")
    assert house.post(ask(found.topic, found.body)).status == 200
    assert len(house.store.rows) == 1


def test_a_body_nobody_can_read_yet_is_kept_for_a_later_reader(house: House, ask: Asks) -> None:
    assert house.post(ask(ORDER.topic, {**ORDER.body, "line_items": "later"})) == Answer(200, "kept")
    assert len(house.store.rows) == 1


def test_a_test_notification_is_answered_and_not_kept(house: House, ask: Asks) -> None:
    request = ask(ORDER.topic, ORDER.body, headers={"x-shopify-test": "true"})
    assert house.post(request) == Answer(200, "nothing to keep")
    assert house.store.rows == {}


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 400), (MAX_BODY_BYTES + 1, 413)])
def test_the_largest_body(house: House, ask: Asks, size: int, status: int) -> None:
    assert house.post(ask(ORDER.topic, b"x" * size)).status == status
    assert house.store.rows == {}


def test_too_large_is_said_before_anything_is_looked_up(house: House) -> None:
    assert house.post(Request({}, b"x" * (MAX_BODY_BYTES + 1)), "unknown").status == 413


def test_a_body_that_does_not_fit_a_row_is_kept_beside_it(house: House, ask: Asks) -> None:
    note = base64.b64encode(random.Random(3).randbytes(600_000)).decode()
    request = ask(ORDER.topic, {**ORDER.body, "note": note})
    assert house.post(request).status == 200
    (row,) = house.store.rows.values()
    assert "raw" not in row
    assert len(json.dumps(row)) < 2_000
    assert house.store.envelopes()[0].raw == request.body


def test_a_secret_rotated_a_moment_ago_is_taken_at_once(house: House, ask: Asks, connection: Connection) -> None:
    class Stale(MemoryConnections):
        def find(self, connection_id: str, now: Any) -> Connection | None:
            return connection

        def refresh(self, connection_id: str, now: Any) -> Connection | None:
            return replace(connection, secret="new")

    deps = replace(house.deps, connections=Stale())
    for secret, status in ((SECRET, 200), ("new", 200), ("other", 401)):
        request = ask(ORDER.topic, ORDER.body, secret=secret, headers={"x-shopify-webhook-id": f"delivery-{secret}"})
        assert receive(request, connection.connection_id, deps, NOW).status == status


def test_when_the_store_is_down_nothing_was_kept_and_the_sender_should_try_again(house: House, ask: Asks) -> None:
    class Down:
        def put_once(self, envelope: Envelope) -> bool:
            raise UnavailableError("busy")

    answer = receive(
        ask(ORDER.topic, ORDER.body), house.connection.connection_id, replace(house.deps, store=Down()), NOW
    )
    assert answer.status == 503
    assert house.counted == {"WebhooksFailed": 1}


def test_our_own_faults_are_never_blamed_on_the_sender(house: House, ask: Asks) -> None:
    class Broken:
        def put_once(self, envelope: Envelope) -> bool:
            raise MisconfiguredError("no grant")

    with pytest.raises(MisconfiguredError):
        receive(ask(ORDER.topic, ORDER.body), house.connection.connection_id, replace(house.deps, store=Broken()), NOW)


# --- over HTTP


def http_event(request: Request, connection_id: str, *, encoded: bool = False) -> dict[str, Any]:
    """The request as API Gateway hands it over (payload 2.0)."""
    body = base64.b64encode(request.body).decode() if encoded else request.body.decode()
    return {
        "version": "2.0",
        "routeKey": "POST /v1/hooks/{connection}",
        "headers": dict(request.headers),
        "pathParameters": {"connection": connection_id},
        "requestContext": {"http": {"method": "POST"}},
        "body": body,
        "isBase64Encoded": encoded,
    }


@pytest.mark.parametrize("encoded", [False, True])
def test_the_function_answers_http(house: House, ask: Asks, encoded: bool, capsys: pytest.CaptureFixture[str]) -> None:
    event = http_event(ask(ORDER.topic, ORDER.body), house.connection.connection_id, encoded=encoded)
    deps = replace(house.deps, count=partial(tell, "ingest"))
    answer = receive_webhook.handler(event, CONTEXT, deps)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"message": "kept"}
    assert capsys.readouterr().out == "", "a webhook like any other logs nothing: 60 a month for each address"
    assert json.loads(receive_webhook.handler(event, CONTEXT, deps)["body"]) == {"message": "already kept"}
    written = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert written["WebhooksDuplicate"] == [1.0]


def at_own_address(event: dict[str, Any], path: str, method: str = "POST") -> dict[str, Any]:
    """The same request as a function's own address hands it over: no route, so no `pathParameters`."""
    plain = {name: value for name, value in event.items() if name != "pathParameters"}
    return {**plain, "routeKey": "$default", "rawPath": path, "requestContext": {"http": {"method": method}}}


def test_a_functions_own_address_answers_like_the_api(house: House, ask: Asks) -> None:
    event = http_event(ask(ORDER.topic, ORDER.body), house.connection.connection_id)
    answer = receive_http(at_own_address(event, f"/v1/hooks/{house.connection.connection_id}"), house.deps, NOW)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"message": "kept"})


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
def test_only_a_post_is_a_webhook(house: House, ask: Asks, method: str) -> None:
    event = http_event(ask(ORDER.topic, ORDER.body), house.connection.connection_id)
    asked = at_own_address(event, f"/v1/hooks/{house.connection.connection_id}", method)
    assert receive_http(asked, house.deps, NOW)["statusCode"] == 405
    assert house.store.rows == {}


@pytest.mark.parametrize("path", ["/", "/v1/hooks/", "/v1/hooks/{id}/", "/v1/hooks/{id}/x", "/hooks/{id}", "/{id}", ""])
def test_no_other_path_of_the_address_is_answered(house: House, ask: Asks, path: str) -> None:
    event = http_event(ask(ORDER.topic, ORDER.body), house.connection.connection_id)
    asked = at_own_address(event, path.format(id=house.connection.connection_id))
    assert receive_http(asked, house.deps, NOW)["statusCode"] == 401
    assert house.store.rows == {}


def test_header_names_may_come_in_capitals(ask: Asks) -> None:
    event = http_event(ask(ORDER.topic, ORDER.body), "c")
    event["headers"] = {name.title(): value for name, value in event["headers"].items()}
    assert request_of(event).headers["x-shopify-topic"] == ORDER.topic


@pytest.mark.parametrize(
    "broken",
    [
        {"body": "not base64!", "isBase64Encoded": True},
        {"body": "é", "isBase64Encoded": True},
        {"body": "\ud800"},
        {"body": None},
        {"headers": None},
        {"pathParameters": None},
        {"pathParameters": {}},
    ],
)
def test_a_broken_request_is_answered_4xx(house: House, ask: Asks, broken: dict[str, Any]) -> None:
    event = {**http_event(ask(ORDER.topic, ORDER.body), house.connection.connection_id), **broken}
    assert receive_http(event, house.deps, NOW)["statusCode"] in {400, 401}
    assert house.store.rows == {}


def test_no_body_and_no_secret_part_of_the_url_is_ever_logged(
    house: House, ask: Asks, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    personal = "hanako.mihon@example.com"
    body = {**ORDER.body, "email": personal, "note": personal}
    requests = [
        ask(ORDER.topic, body),
        ask(ORDER.topic, body),
        ask(ORDER.topic, body, secret="wrong"),
        ask(ORDER.topic, {**body, "id": personal, "admin_graphql_api_id": None}),
        ask(f"{personal}", body),
        ask("shop/redact", {**body, "shop_domain": personal}),
        ask(ORDER.topic, f'{{"email": "{personal}"'.encode()),
        ask(ORDER.topic, personal.encode() * 250_000),
    ]
    deps = replace(house.deps, count=partial(tell, "ingest"))
    answers = [
        receive_webhook.handler(http_event(request, house.connection.connection_id), CONTEXT, deps)
        for request in requests
    ]
    assert {answer["statusCode"] for answer in answers} == {200, 400, 401, 413}
    written = "".join(capsys.readouterr()) + caplog.text
    assert "wrong signature" in written
    for kept_back in (personal, SECRET, house.connection.connection_id):
        assert kept_back not in written
    assert personal not in json.dumps(answers)


def test_neither_a_body_nor_a_secret_shows_when_printed(house: House, ask: Asks) -> None:
    house.post(ask(ORDER.topic, ORDER.body))
    shown = repr(house.store.envelopes()) + repr(house.connection) + repr(ask(ORDER.topic, ORDER.body))
    assert "ichiyo" not in shown
    assert SECRET not in shown


class Context:
    """What Lambda tells a function about itself."""

    function_name = "receive_webhook"


CONTEXT = Context()


def test_a_year_later_the_answer_is_the_same(house: House, ask: Asks) -> None:
    request = ask(ORDER.topic, ORDER.body)
    house.post(request)
    late = receive(request, house.connection.connection_id, house.deps, NOW + timedelta(days=1))
    assert late == Answer(200, "already kept")
