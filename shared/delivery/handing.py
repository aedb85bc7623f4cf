"""What somebody of the shop's is to take: posted to the shop's endpoint, signed, or left in the tray."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.delivery.model import SendKey
from shared.delivery.outbound import Answer, Endpoint, signed_headers, taken

_TYPES = {"call": "call.task"}
"""What a message is called where that is not its kind."""


class Poster(Protocol):
    """Posts once (outbound.Outbound)."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """See Outbound.post."""
        ...


class Leave(Protocol):
    """Where it waits (tray.Tray)."""

    def put(self, kind: str, key: SendKey, document: Mapping[str, Any]) -> bool:
        """See Tray.put."""
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """That something waits in the tray, as the staff is told: ids and words, nobody's address."""

    key: SendKey
    scenario: str
    step: str
    words: str
    """The first line says what it is about."""
    fetch: str
    """The command that makes a file of what waits."""


class Staff(Protocol):
    """Who is told (staff.StaffMail)."""

    def tell(self, note: Note) -> bool:
        """Did it leave?"""
        ...


def post_or_leave(
    kind: str,
    note: Note,
    document: Mapping[str, Any],
    endpoint: Endpoint | None,
    tray: Leave,
    poster: Poster,
    now: datetime,
    staff: Staff | None = None,
) -> None:
    """Where the shop has an endpoint it is posted there under the send id; else the tray keeps it, once, and the staff
    is told. Who finds it in the tray tells nobody: whoever left it there did, or died; never twice.
    """
    if endpoint is None:
        if tray.put(kind, note.key, document) and staff is not None:
            staff.tell(note)
        return
    said = {"type": _TYPES.get(kind, kind), **document}
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    headers = signed_headers(note.key.send_id, body, endpoint.secret, now)
    taken(poster.post(endpoint.url, body, headers), f"the endpoint {kind!r}")
