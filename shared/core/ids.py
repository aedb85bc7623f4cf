"""Typed identifiers, and the digests they are made of.

Every id is opaque: no mail address, phone number or name can be read from one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import NewType

TenantId = NewType("TenantId", str)
"""One shop (テナント). `[a-z0-9-]{1,32}`; every key, partition and query begins with it."""

ConnectionId = NewType("ConnectionId", str)
"""One connected store or channel; the unguessable part of its webhook URL (128 random bits)."""

CustomerId = NewType("CustomerId", str)
"""One person over all stores and channels (名寄せ後の顧客)."""

EventId = NewType("EventId", str)
SendId = NewType("SendId", str)
ScenarioId = NewType("ScenarioId", str)

Ref = NewType("Ref", str)
"""A strong key that points at a person, `kind:digest` (`customer:…`, `email:…`, `cart:…`)."""

_SEPARATOR = b"\x1f"


def digest(*parts: str) -> str:
    """26 lower-case letters and digits (128 bits) that stand for `parts`, in this order."""
    return _short(hashlib.sha256(_join(parts)).digest())


def keyed_digest(key: bytes, *parts: str) -> str:
    """Like `digest`, but only computable with the shop's key: for personal data used as a key."""
    return _short(hmac.new(key, _join(parts), hashlib.sha256).digest())


def _join(parts: tuple[str, ...]) -> bytes:
    # A length prefix keeps ("ab", "c") and ("a", "bc") apart whatever the parts contain.
    return _SEPARATOR.join(f"{len(part)}:{part}".encode() for part in parts)


def _short(raw: bytes) -> str:
    return base64.b32encode(raw[:16]).decode().rstrip("=").lower()
