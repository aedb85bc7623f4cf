"""The web server behind the local page: loopback only, standard library only, no build step."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.page.dashboard import DashboardPage, TimeRange, now, widget_context
from infra.local.page.mails import decoded, readable
from infra.local.process import HOST, Emulator, LocalCloudError, internal
from infra.local.session import LocalSession, local_url

_STATIC = Path(__file__).with_name("static")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; img-src * data:; style-src 'unsafe-inline'"
)
_PAGE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src * data:; "
    "frame-src 'self'; object-src 'none'; base-uri 'none'"
)


@dataclass(frozen=True)
class Reply:
    """What a page answers."""

    body: bytes
    content_type: str = "application/json; charset=utf-8"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def as_json(value: Any) -> Reply:
    """A value for the page's script."""
    return Reply(json.dumps(value, ensure_ascii=False, default=str).encode())


@dataclass(frozen=True)
class Asked:
    """A request: the groups of its path, its query, its body."""

    match: re.Match[str]
    query: dict[str, str]
    body: dict[str, Any]


class LocalPage:
    """Every page, as functions of what was asked."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._dashboards = DashboardPage(LocalSession(emulator))
        self.routes: list[tuple[str, re.Pattern[str], Callable[[Asked], Reply]]] = [
            (
                "GET",
                re.compile(r"/(?:outbox(?:/[^/]*)?|dashboard(?:/[^/]*)?)?$"),
                lambda asked: self._static("index.html"),
            ),
            ("GET", re.compile(r"/static/([a-z.]+)$"), lambda asked: self._static(asked.match[1])),
            ("GET", re.compile(r"/api/dashboards$"), lambda asked: as_json(self._dashboards.names())),
            ("GET", re.compile(r"/api/dashboards/([^/]+)$"), self._dashboard),
            ("POST", re.compile(r"/api/dashboards/([^/]+)/widgets/(\d+)$"), self._widget),
            ("POST", re.compile(r"/api/dashboards/([^/]+)/widgets/(\d+)/call$"), self._call),
            ("GET", re.compile(r"/api/outbox$"), self._outbox),
            ("GET", re.compile(r"/api/outbox/([^/]+)$"), self._mail),
            ("GET", re.compile(r"/mail/([^/]+)$"), self._rendered),
            ("GET", re.compile(r"/mail/([^/]+)/open\.gif$"), self._opened),
            ("GET", re.compile(r"/mail/([^/]+)/click$"), self._clicked),
        ]

    def _static(self, name: str) -> Reply:
        path = _STATIC / name
        if not path.is_file():
            raise LookupError(name)
        kind = f"{_TYPES[path.suffix]}; charset=utf-8"
        return Reply(path.read_bytes(), kind, headers=(("content-security-policy", _PAGE_POLICY),))

    def _dashboard(self, asked: Asked) -> Reply:
        return as_json(self._dashboards.body(unquote(asked.match[1])))

    def _shown(self, body: dict[str, Any]) -> tuple[TimeRange, tuple[int, int]]:
        size = (int(body.get("width", 600)), int(body.get("height", 300)))
        return TimeRange.last(int(body.get("seconds", 10800)), now()), size

    def _widget(self, asked: Asked) -> Reply:
        name, number = unquote(asked.match[1]), int(asked.match[2])
        widget = self._dashboards.body(name, asked.body.get("variables"))["widgets"][number]
        shown, size = self._shown(asked.body)
        return as_json({"html": self._dashboards.draw(name, number, widget, shown, size)})

    def _call(self, asked: Asked) -> Reply:
        """A button of a custom widget: only functions the dashboard itself names may be called."""
        name, number = unquote(asked.match[1]), int(asked.match[2])
        body = self._dashboards.body(name, asked.body.get("variables"))
        endpoint = str(asked.body["endpoint"])
        allowed = {w["properties"]["endpoint"] for w in body["widgets"] if w.get("type") == "custom"}
        if endpoint not in allowed:
            raise LocalCloudError(f"{endpoint} is no widget of this dashboard")
        if asked.body.get("describe"):
            return as_json({"html": self._dashboards.describe(endpoint)})
        shown, size = self._shown(asked.body)
        properties = body["widgets"][number]["properties"]
        context = widget_context(name, number, properties, shown, size, asked.body.get("forms") or {})
        return as_json({"html": self._dashboards.call(endpoint, dict(asked.body.get("params") or {}), context)})

    def _outbox(self, asked: Asked) -> Reply:
        found = internal(self._emulator, "GET", f"/_matakite/outbox?limit=200&q={quote(asked.query.get('q', ''))}")
        kept = ("message_id", "source", "to", "subject", "tags", "accepted_at")
        rows = [{**{k: m[k] for k in kept}, "events": [e["type"] for e in m["events"]]} for m in found["messages"]]
        return as_json({"count": found["count"], "messages": rows})

    def _message(self, message_id: str) -> dict[str, Any]:
        message: dict[str, Any] = internal(self._emulator, "GET", f"/_matakite/outbox/{quote(message_id)}")
        return message | {"source": decoded(message["source"])}

    def _mail(self, asked: Asked) -> Reply:
        return as_json(self._message(asked.match[1]))

    def _rendered(self, asked: Asked) -> Reply:
        html = readable(self._message(asked.match[1]))
        return Reply(html.encode(), "text/html; charset=utf-8", headers=(("content-security-policy", _MAIL_POLICY),))

    def _opened(self, asked: Asked) -> Reply:
        internal(self._emulator, "POST", f"/_matakite/outbox/{quote(asked.match[1])}/open", {})
        return Reply(_PIXEL, "image/gif", headers=(("cache-control", "no-store"),))

    def _clicked(self, asked: Asked) -> Reply:
        link = asked.query["link"]
        internal(self._emulator, "POST", f"/_matakite/outbox/{quote(asked.match[1])}/click", {"link": link})
        return Reply(b"", "text/plain", 302, (("location", local_url(self._emulator, link)),))


def handler_for(page: LocalPage) -> type[BaseHTTPRequestHandler]:
    """What answers each request of the standard library's server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}") if length else {}
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            reply = Reply(b'{"message": "not found"}', status=404)
            for route_method, pattern, respond in page.routes:
                match = pattern.match(parts.path)
                if match and route_method == method:
                    reply = self._guarded(respond, Asked(match, query, body))
                    break
            self.send_response(reply.status)
            for name, value in (
                ("content-type", reply.content_type),
                ("x-content-type-options", "nosniff"),
                *reply.headers,
            ):
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def _guarded(self, respond: Callable[[Asked], Reply], asked: Asked) -> Reply:
            try:
                return respond(asked)
            except (LookupError, LocalCloudError, ClientError, BotoCoreError, ValueError) as error:
                body = json.dumps({"message": str(error)}, ensure_ascii=False).encode()
                return Reply(body, status=404 if isinstance(error, LookupError) else 502)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet: the page asks every few seconds."""

    return Handler


def serve(emulator: Emulator, port: int) -> None:
    """Serve until the process is told to stop."""
    with ThreadingHTTPServer((HOST, port), handler_for(LocalPage(emulator))) as server:
        server.daemon_threads = True
        server.serve_forever()
