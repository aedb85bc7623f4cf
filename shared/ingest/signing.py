"""What carts' signatures have in common: which secrets are live, and comparing in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

from shared.ingest.adapter import Connection


def live_secrets(connection: Connection, now: datetime) -> tuple[str, ...]:
    """The secrets a request may be signed with now: the current one, and the previous one while a rotation lasts.

    Empty ones are left out: an empty key signs too, and everybody knows it.
    """
    previous, until = connection.previous_secret, connection.previous_until
    live = (connection.secret, previous if until is not None and now < until else None)
    return tuple(secret for secret in live if secret)


def hmac_base64(secret: str, message: bytes) -> bytes:
    """base64(HMAC-SHA256(secret, message)), the way most carts write it."""
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest())


def hmac_hex(secret: str, message: bytes) -> bytes:
    """HMAC-SHA256(secret, message) in lower-case hexadecimal."""
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest().encode()


def is_any(given: str, expected: Iterable[bytes]) -> bool:
    """Is what a header says one of these? All are compared, so that time tells nothing."""
    found = False
    for each in expected:
        found |= hmac.compare_digest(each, given.encode("utf-8", "replace"))
    return found
