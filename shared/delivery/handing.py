"""What somebody of the shop's is to take: posted to the shop's endpoint, signed, or left in the tray."""

from __future__ import annotations

import json
from collections.abc import Mapping
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


def post_or_leave(
    kind: str,
    key: SendKey,
    document: Mapping[str, Any],
    endpoint: Endpoint | None,
    tray: Leave,
    poster: Poster,
    now: datetime,
) -> bool:
    """Where the shop has an endpoint it is posted there under the send id; else the tray keeps it, once.

    False: the tray had it.
    """
    if endpoint is None:
        return tray.put(kind, key, document)
    said = {"type": _TYPES.get(kind, kind), **document}
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    headers = signed_headers(key.send_id, body, endpoint.secret, now)
    taken(poster.post(endpoint.url, body, headers), f"the endpoint {kind!r}")
    return True
