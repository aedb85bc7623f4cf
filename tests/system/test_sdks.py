"""The vendor's own SDKs, unchanged, against the deployed tracking API: Python, Node, and a page in a browser."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cli.connection import add_connection
from infra.cli.customer import open_desk
from infra.cli.session import Deployment
from infra.demo.stage import Stage
from infra.node import node_path
from shared.core.ids import TenantId
from shared.customers.model import PersonState
from shared.ingest.adapter import Connection
from shared.ingest.model import Event, EventType, PageFacts, ProfileFacts, TrackedFacts
from shared.ingest.registry import events_of
from shared.ingest.store import decode_image
from tests.sdk.browser import chromium, served, visit
from tests.sdk.packages import HERE, npm_packages, python_sdk

SHOP = TenantId("websites")
STORE = "www.example.jp"


@pytest.fixture(scope="module")
def site(open_shop: Callable[[str], Stage]) -> tuple[Deployment, Connection]:
    """A website of a shop of its own."""
    deployment = open_shop(SHOP).deployment
    return deployment, add_connection(deployment, SHOP, "track", STORE)


def kept(deployment: Deployment, user: str, count: int) -> list[Event]:
    """The events of a user once `count` of them are there."""
    deadline = time.monotonic() + 30
    while True:
        pages = (
            deployment.client("dynamodb").get_paginator("scan").paginate(TableName=deployment.outputs["EventsTable"])
        )
        rows = [row for page in pages for row in page["Items"] if row["pk"]["S"].startswith(f"{SHOP}#track/")]
        events = [event for row in rows for event in events_of(decode_image(row))]
        mine = {anonymous for event in events for anonymous in anonymous_of(event, user)}
        found = [e for e in events if e.person.source_customer_id == user or mine & set(e.person.anonymous_ids)]
        if len(found) >= count or time.monotonic() > deadline:
            return sorted(found, key=lambda event: event.occurred_at)
        time.sleep(0.3)


def anonymous_of(event: Event, user: str) -> tuple[str, ...]:
    """The visitor ids a user is known by."""
    return event.person.anonymous_ids if event.person.source_customer_id == user else ()


def person_of(deployment: Deployment, address: str) -> PersonState:
    """The person with this address, once the fold knows them."""
    from shared.core.errors import NotFoundError

    deadline = time.monotonic() + 30
    while True:
        try:
            return open_desk(deployment, SHOP).person(address)[1]
        except NotFoundError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def check_server_calls(deployment: Deployment, user: str, address: str) -> None:
    """What both server SDKs were told to say."""
    events = kept(deployment, user, 5)
    types = {event.event_type for event in events}
    assert types >= {EventType.CUSTOMER_UPDATED, EventType.LOGGED_IN, EventType.TRACKED, EventType.PAGE_VIEWED}
    assert types >= {EventType.CUSTOMERS_MERGED}, "alias from the shop's own server"
    pages = [event.facts for event in events if isinstance(event.facts, PageFacts)]
    assert "https://www.example.jp/products/tea" in {page.url for page in pages}
    assert not any(page.machine for page in pages)
    assert [e.facts.properties for e in events if isinstance(e.facts, TrackedFacts)] == [
        {"order_id": "1", "total": 3980}
    ]
    attributes = [event.facts.attributes for event in events if isinstance(event.facts, ProfileFacts)]
    assert {"custom/plan": "gold"} in attributes
    assert not any(event.person.claimed for event in events)
    assert person_of(deployment, address).profile.email == address


def test_the_python_sdk(site: tuple[Deployment, Connection]) -> None:
    deployment, connection = site
    key = f"{connection.connection_id}_{connection.secret}"
    command = [str(python_sdk()), str(HERE / "python_sdk.py"), deployment.outputs["ApiUrl"], key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    check_server_calls(deployment, "python-1", "python@example.com")


def test_the_node_sdk(site: tuple[Deployment, Connection]) -> None:
    deployment, connection = site
    key = f"{connection.connection_id}_{connection.secret}"
    command = [
        str(node_path()),
        str(HERE / "node_sdk.mjs"),
        str(npm_packages().parent),
        deployment.outputs["ApiUrl"],
        key,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    check_server_calls(deployment, "node-1", "node@example.com")


@pytest.mark.parametrize("strategy", ["", "batching"], ids=["one-by-one", "batching"])
def test_the_browser_sdk_in_a_page(site: tuple[Deployment, Connection], strategy: str, tmp_path: Path) -> None:
    chromium()
    deployment, _ = site
    connection = add_connection(deployment, SHOP, "track", f"{strategy or 'single'}.example.jp")
    protocol, _, host = deployment.outputs["ApiUrl"].partition("://")
    sdk = npm_packages() / "@segment" / "analytics-next" / "dist" / "umd" / "index.js"
    files = {"/products/tea": (HERE / "page.html").read_bytes(), "/sdk.js": sdk.read_bytes()}
    with served(files) as (address, said):
        settings = f"writeKey={connection.connection_id}&protocol={protocol}&host={host}&strategy={strategy}"
        assert visit(f"{address}/products/tea?utm_source=google#{settings}", said, tmp_path) == "/done?left=true"
    events = [event for event in kept(deployment, "browser-1", 5) if event.store == connection.store]
    assert [event.event_type for event in events] == [
        EventType.PAGE_VIEWED,
        EventType.TRACKED,
        EventType.CUSTOMER_UPDATED,
        EventType.LOGGED_IN,
        EventType.TRACKED,
    ]
    page = events[0].facts
    assert isinstance(page, PageFacts)
    assert (page.url, page.page_type, page.campaign) == ("http://127.0.0.1/products/tea", "product", "google")
    assert events[0].person.source_customer_id is None, "nobody was logged in yet"
    assert all(event.person.claimed for event in events)
    assert len({event.person.anonymous_ids for event in events}) == 1
    person = person_of(deployment, "browser@example.com")
    assert ("page", "/products/tea", "product") in {(v.kind, v.path, v.page_type) for v in person.visits}, (
        "what the visitor saw before logging in is the customer's"
    )
    assert person.last_login_at is not None
