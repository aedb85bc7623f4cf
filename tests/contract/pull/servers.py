"""Vendors' APIs on loopback: the documented paths, filters, pages and errors, with faults on demand.

Each shop keeps its records in a dict; a test changes them as a merchant would. `faults` are answered first.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from zoneinfo import ZoneInfo

TOKYO = ZoneInfo("Asia/Tokyo")


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)


@dataclass
class Said:
    """One answer. `cut` sends half of it; `drip` sends it a byte at a time; `drop` hangs up instead."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    drip: float = 0.0
    drop: bool = False


class Api:
    """A vendor's API of one shop."""

    token = "live-token"

    def __init__(self) -> None:
        self.faults: deque[Said | Callable[[], Said | None]] = deque()
        self.asked: list[Asked] = []
        self.between: Callable[[Asked], None] | None = None
        """Runs after each answer was made: the world moves on between two pages."""
        self.lock = threading.Lock()

    def answer(self, asked: Asked) -> Said:
        with self.lock:
            self.asked.append(asked)
            if self.faults:
                fault = self.faults.popleft()
                said = fault() if callable(fault) else fault
                if said is not None:
                    return said
            said = self.serve(asked)
            if self.between:
                self.between(asked)
            return said

    def serve(self, asked: Asked) -> Said:
        raise NotImplementedError

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {self.token}"


@contextmanager
def serving(api: Api) -> Iterator[str]:
    """The API on a port of its own; its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = api.answer(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body))
            self.close_connection = True
            if said.drop:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            raw = said.document if isinstance(said.document, bytes) else json.dumps(said.document).encode()
            self.send_response(said.status)
            for name, value in {"content-type": "application/json", "connection": "close", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            try:
                if said.drip:
                    for byte in raw:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(said.drip)
                else:
                    self.wfile.write(raw[: len(raw) // 2] if said.cut else raw)
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def jst(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=TOKYO).timestamp())


def utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class ColorMe(Api):
    """api.shop-pro.jp/v1: lists sorted by change, oldest first; a cancelled sale loses its amounts."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, dict[Any, dict[str, Any]]] = {"sales": {}, "customers": {}, "products": {}}

    @property
    def sales(self) -> dict[Any, dict[str, Any]]:
        return self.lists["sales"]

    def serve(self, asked: Asked) -> Said:
        if not self.authorised(asked):
            return Said(401, {"errors": [{"code": 401001, "message": "アクセストークンが不正です", "status": 401}]})
        name = asked.path.removeprefix("/v1/")
        limit, offset = int(asked.query.get("limit", 10)), int(asked.query.get("offset", 0))
        rows = sorted(self.lists[name].values(), key=lambda row: (row.get("update_date", 0), row["id"]))
        if "update_date_min" in asked.query:
            since = jst(asked.query["update_date_min"])
            rows = [row for row in rows if row.get("update_date", since) >= since]
        meta = {"total": len(rows), "limit": limit, "offset": offset}
        return Said(200, {name: rows[offset : offset + limit], "meta": meta})


class Base(Api):
    """api.thebase.in: list by order time, newest first, and one detail per order; tokens rotate.

    `grace`: the old refresh token works until its successor has been used; without it, it dies at once.
    """

    def __init__(self, now: Callable[[], datetime], *, grace: bool = True) -> None:
        super().__init__()
        self.orders: dict[str, dict[str, Any]] = {}
        self.now = now
        self.grace = grace
        self.refresh_tokens = ["refresh-0"]
        self.access: dict[str, datetime] = {}
        self.issued = 0
        self.trades: list[str] = []

    def serve(self, asked: Asked) -> Said:
        if asked.path == "/1/oauth/token":
            return self.trade({name: values[0] for name, values in parse_qs(asked.body.decode()).items()})
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.access or self.now() >= self.access[token]:
            error = {"error": "invalid_request", "error_description": "アクセストークンが無効です。"}
            return Said(400, error)
        if asked.path.startswith("/1/orders/detail/"):
            found = self.orders.get(asked.path.rpartition("/")[2])
            return Said(200, {"order": found}) if found else Said(400, {"error": "no_order"})
        since = jst(asked.query["start_ordered"])
        rows = sorted(self.orders.values(), key=lambda order: -order["ordered"])
        rows = [order for order in rows if order["ordered"] >= since]
        offset, limit = int(asked.query.get("offset", 0)), int(asked.query.get("limit", 20))
        kept = ("unique_key", "ordered", "cancelled", "total", "dispatch_status", "modified", "subscription")
        return Said(200, {"orders": [{name: row[name] for name in kept} for row in rows[offset : offset + limit]]})

    def trade(self, fields: Mapping[str, str]) -> Said:
        self.trades.append(fields.get("refresh_token", ""))
        wanted = {"grant_type", "client_id", "client_secret", "refresh_token", "redirect_uri"}
        if wanted - set(fields):
            return Said(400, {"error": "invalid_request", "error_description": "不正なパラメーターです。"})
        if fields["refresh_token"] not in self.refresh_tokens:
            error = {"error": "invalid_request", "error_description": "不正なリフレッシュトークンです。"}
            return Said(400, error)
        self.issued += 1
        fresh, access = f"refresh-{self.issued}", f"access-{self.issued}"
        # Using a token proves that it arrived: what came before it is dead now.
        spent = fields["refresh_token"]
        self.refresh_tokens = [spent, fresh] if self.grace else [fresh]
        self.access[access] = datetime.fromtimestamp(self.now().timestamp() + 3600, UTC)
        answer = {"access_token": access, "token_type": "bearer", "expires_in": 3600, "refresh_token": fresh}
        return Said(200, answer)


class Stores(Api):
    """api.stores.dev: orders by order time, no updated_at."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, dict[str, Any]] = {}

    def serve(self, asked: Asked) -> Said:
        if not self.authorised(asked):
            return Said(401, {"errors": [{"code": "unauthorized"}]})
        since = utc(asked.query["ordered_at_from"])
        rows = [row for row in self.orders.values() if utc(row["ordered_at"]) >= since]
        offset, limit = int(asked.query.get("offset", 0)), int(asked.query.get("limit", 10))
        return Said(200, {"orders": rows[offset : offset + limit]})


class EcCube(Api):
    """The Web API plugin's GraphQL. `uncommitted` are objects the webhook told of before the shop committed."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, dict[str, dict[str, Any]]] = {"order": {}, "customer": {}, "product": {}}
        self.refresh_tokens = ["first-refresh-token"]

    def serve(self, asked: Asked) -> Said:
        if asked.path == "/token":
            fields = dict(parse_qsl(asked.body.decode()))
            if fields.get("grant_type") != "refresh_token" or fields.get("refresh_token") not in self.refresh_tokens:
                return Said(401, {"error": "invalid_grant"})
            self.refresh_tokens = [f"{fields['refresh_token']}+"]
            said = {"token_type": "Bearer", "expires_in": 3600, "access_token": self.token}
            return Said(200, {**said, "refresh_token": self.refresh_tokens[0]})
        if not self.authorised(asked):
            return Said(401, {"error": "access_denied", "hint": "Access token could not be verified"})
        query = json.loads(asked.body)["query"]
        one = re.match(r"\{ (order|customer|product)\(id: (\d+)\)", query)
        if one:
            return Said(200, {"data": {one[1]: self.objects[one[1]].get(one[2])}})
        many = re.match(r'\{ (order|customer)s\(update_datetime_start: "([^"]+)", page: (\d+), limit: (\d+)\)', query)
        if many is None:
            return Said(200, {"errors": [{"message": "Syntax Error"}]})
        since, page, limit = utc(many[2]), int(many[3]), int(many[4])
        rows = [row for row in self.objects[many[1]].values() if utc(row["update_date"]) >= since]
        rows.sort(key=lambda row: utc(row["update_date"]), reverse=True)
        nodes = rows[(page - 1) * limit : page * limit]
        info = {"hasNextPage": page * limit < len(rows), "hasPreviousPage": page > 1}
        return Said(200, {"data": {f"{many[1]}s": {"nodes": nodes, "totalCount": len(rows), "pageInfo": info}}})


class Shopify(Api):
    """Admin REST: pages by a Link header whose page_info takes no other filter beside it, and knows the last row."""

    def __init__(self, page: int = 250) -> None:
        super().__init__()
        self.lists: dict[str, list[dict[str, Any]]] = {"orders": [], "customers": [], "webhooks": []}
        self.page = page

    def serve(self, asked: Asked) -> Said:
        if asked.headers.get("x-shopify-access-token") != self.token:
            return Said(401, {"errors": "[API] Invalid API key or access token"})
        name = asked.path.rpartition("/")[2].removesuffix(".json")
        cursor = asked.query.get("page_info")
        if cursor and set(asked.query) - {"limit", "page_info"}:
            return Said(400, {"errors": {"page_info": "Invalid value."}})
        since, last = cursor.split("|") if cursor else (asked.query.get("updated_at_min", ""), "")
        rows = self.lists[name]
        if since:
            rows = sorted((r for r in rows if utc(r["updated_at"]) >= utc(since)), key=self._place)
        rows = [row for row in rows if not last or self._place(row) > self._place_of(last)]
        headers = {}
        if self.page < len(rows):
            shown = rows[self.page - 1]
            following = f"{since}%7C{shown.get('updated_at', '')}~{shown['id']}"
            headers["link"] = f'<https://elsewhere.example.com/x.json?limit=250&page_info={following}>; rel="next"'
        return Said(200, {name: rows[: self.page]}, headers)

    @staticmethod
    def _place(row: dict[str, Any]) -> tuple[datetime, int]:
        return utc(row["updated_at"]), int(row["id"])

    @staticmethod
    def _place_of(last: str) -> tuple[datetime, int]:
        at, _, number = last.partition("~")
        return utc(at), int(number)


class WooCommerce(Api):
    """wp-json/wc/v3, basic authentication; no subscriptions plugin."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, list[dict[str, Any]]] = {"orders": [], "customers": [], "webhooks": []}

    def serve(self, asked: Asked) -> Said:
        if not asked.headers.get("authorization", "").startswith("Basic "):
            return Said(401, {"code": "woocommerce_rest_cannot_view", "data": {"status": 401}})
        name = asked.path.rpartition("/")[2]
        if name not in self.lists:
            return Said(404, {"code": "rest_no_route", "data": {"status": 404}})
        rows = self.lists[name]
        if "modified_after" in asked.query:
            since = utc(asked.query["modified_after"])
            rows = sorted(
                (r for r in rows if utc(r["date_modified_gmt"]) >= since), key=lambda r: str(r["date_modified_gmt"])
            )
        offset, limit = int(asked.query.get("offset", 0)), int(asked.query.get("per_page", 10))
        return Said(200, rows[offset : offset + limit])


class Stripe(Api):
    """/v1/events: the webhooks' own events, newest first."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def serve(self, asked: Asked) -> Said:
        if not self.authorised(asked):
            return Said(401, {"error": {"type": "invalid_request_error"}})
        since, limit = int(asked.query["created[gte]"]), int(asked.query["limit"])
        rows = sorted((e for e in self.events if e["created"] >= since), key=lambda e: -e["created"])
        after = asked.query.get("starting_after")
        first = [e["id"] for e in rows].index(after) + 1 if after else 0
        page = rows[first : first + limit]
        return Said(200, {"object": "list", "data": page, "has_more": first + limit < len(rows)})


class Square(Api):
    """/v2 searches with a cursor in the body, and single orders."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, dict[str, dict[str, Any]]] = {"customers": {}, "orders": {}}

    def serve(self, asked: Asked) -> Said:
        if not self.authorised(asked):
            return Said(401, {"errors": [{"category": "AUTHENTICATION_ERROR", "code": "UNAUTHORIZED"}]})
        if asked.method == "GET":
            order = self.lists["orders"].get(asked.path.rpartition("/")[2])
            return Said(200, {"order": order}) if order else Said(404, {"errors": [{"code": "NOT_FOUND"}]})
        name = asked.path.split("/")[2]
        body = json.loads(asked.body)
        narrowed = body["query"]["filter"]
        since = utc(narrowed.get("date_time_filter", narrowed)["updated_at"]["start_at"])
        places = body.get("location_ids")
        if places is not None and not 0 < len(places) <= 10:
            return Said(400, {"errors": [{"category": "INVALID_REQUEST_ERROR", "code": "ARRAY_LENGTH_TOO_LONG"}]})
        rows = [row for row in self.lists[name].values() if utc(row["updated_at"]) >= since]
        rows = [row for row in rows if places is None or row["location_id"] in places]
        start, limit = int(body.get("cursor", 0)), body["limit"]
        said: dict[str, Any] = {name: rows[start : start + limit]} if rows else {}
        if start + limit < len(rows):
            said["cursor"] = str(start + limit)
        return Said(200, said)
