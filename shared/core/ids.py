"""Typed identifiers, and the digests they are made of.

Every id is opaque: no mail address, phone number or name can be read from one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
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
    return _short(hmac.digest(key, _join(parts), "sha256"))


def is_digest(text: str) -> bool:
    """May this be one of ours: a customer id, as exports and call tasks write it?"""
    return _DIGEST.fullmatch(text) is not None


_DIGEST = re.compile(r"[a-z2-7]{26}", re.ASCII)


def _join(parts: tuple[str, ...]) -> bytes:
    # A length prefix keeps ("ab", "c") and ("a", "bc") apart whatever the parts contain.
    return _SEPARATOR.join(f"{len(part)}:{part}".encode() for part in parts)


_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [one + other for one in _LETTERS for other in _LETTERS]
_SHIFTS = range(120, -1, -10)


def _short(raw: bytes) -> str:
    # Base32 by ten bits at a time: a third of the time of the standard library's, and every event has several.
    number = int.from_bytes(raw[:16], "big") << 2
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
