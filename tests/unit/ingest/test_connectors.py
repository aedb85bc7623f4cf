"""The connector matrix tells the truth, and a webhook loads its own cart only."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

from shared.ingest.adapter import About
from shared.ingest.connectors import BEGIN, COLUMNS, END, NOT_YET, README, matrix, rewritten
from shared.ingest.registry import about, sources


def test_the_readme_holds_the_matrix_of_the_registry() -> None:
    page = README.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    assert page == rewritten(page), "write it anew: python -m shared.ingest.connectors"


def test_every_source_has_a_row_and_none_is_both_there_and_not() -> None:
    rows = [line for line in matrix().splitlines() if line.startswith("| ")]
    assert set(COLUMNS) == {field.name for field in fields(About)} - {"title", "webhook"}
    assert sum(about(source).title in rows_of for source in sources() for rows_of in rows) >= len(sources())
    assert not set(sources()) & set(NOT_YET), "read by now: its reason why not can go"
    widths = {row.count(" | ") for row in rows}
    assert len(widths) == 2, "a cell with a bar in it would break its table"


PROGRAM = """
import base64, hashlib, hmac, sys
from datetime import UTC, datetime
from functions.ingest import receive_webhook
from shared.core.ids import ConnectionId, TenantId
from shared.ingest.adapter import Connection
from shared.ingest.connections import MemoryConnections
from shared.ingest.oversize import MemoryOversize
from shared.ingest.receive import ReceiveDeps, receive_http
from shared.ingest.store import MemoryEventStore

body = '{"id":1,"updated_at":"2026-11-03T00:00:00Z"}'
signed = base64.b64encode(hmac.new(b"s", body.encode(), hashlib.sha256).digest()).decode()
headers = {"x-shopify-topic": "products/update", "x-shopify-shop-domain": "a.myshopify.com",
           "x-shopify-hmac-sha256": signed, "x-shopify-webhook-id": "delivery-1"}
connection = Connection(ConnectionId("c"), TenantId("t"), "shopify", "a.myshopify.com", "s")
deps = ReceiveDeps(MemoryConnections(connection), MemoryEventStore(MemoryOversize()))
event = {"headers": headers, "pathParameters": {"connection": "c"}, "body": body}
answer = receive_http(event, deps, datetime(2026, 11, 21, tzinfo=UTC))
assert answer["statusCode"] == 200, answer
print({name.split(".")[3] for name in sys.modules if name.startswith("shared.ingest.sources.")})
"""


def test_a_webhook_of_one_cart_loads_no_other() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "{'shopify'}"
