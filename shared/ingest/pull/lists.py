"""What APIs have in common: bearer tokens and how they are refreshed, offset pages, a page's records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from shared.core.clock import to_iso
from shared.core.errors import UnavailableError
from shared.ingest.adapter import Connection
from shared.ingest.pull import rules
from shared.ingest.pull.model import Answer, Call, Document, Page, Record


def bearer(connection: Connection, token: str) -> Mapping[str, str]:
    """The header of most APIs."""
    return {"authorization": f"Bearer {token}"}


def refresh_call(path: str, connection: Connection, refresh_token: str, **more: str) -> Call:
    """The next access token for a refresh token (RFC 6749 §6)."""
    fields = {
        "grant_type": "refresh_token",
        "client_id": connection.client_id or "",
        "client_secret": connection.client_secret or "",
        "refresh_token": refresh_token,
        **more,
    }
    return Call(path=path, body=urlencode(fields).encode(), content_type="application/x-www-form-urlencoded")


def records(document: Document, name: str, key: str = "id") -> tuple[Record, ...]:
    """The list of an answer; a row without its key is left out. Raises UnavailableError when there is no list."""
    listed = document.get(name)
    if not isinstance(listed, list):
        raise UnavailableError(f"an answer without its list {name!r}")
    rows = (each for each in listed if isinstance(each, dict))
    return tuple(Record(str(row[key]), row) for row in rows if row.get(key) not in (None, ""))


def offset_page(answer: Answer, position: str | None, name: str, limit: int, key: str = "id") -> Page:
    """A page of offset paging, whose successor overlaps it."""
    found = records(answer.document, name, key)
    listed = len(answer.document[name])
    meta = answer.document.get("meta")
    total = meta.get("total") if isinstance(meta, dict) else None
    return Page(found, rules.next_offset(position, listed, limit), total if isinstance(total, int) else None)


def shop_time(at: datetime, connection: Connection) -> str:
    """`2026-11-21 12:00:00` of the shop's clock."""
    return at.astimezone(ZoneInfo(connection.timezone)).strftime("%Y-%m-%d %H:%M:%S")


def second(at: datetime) -> str:
    """`2026-11-21T03:00:00Z`."""
    return f"{to_iso(at)[:19]}Z"
