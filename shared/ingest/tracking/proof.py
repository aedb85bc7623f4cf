"""Who a browser says it is, proven by the shop's own server: HMAC-SHA256 of the user id with the connection's secret.

A write key stands in every page, so anybody can call `identify` with anybody's number. Where the connection wants
proof, the page passes what its server made: `analytics.identify(id, traits, {context: {userProof: "…"}})`. Without it
the call counts as an unknown visitor's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.ingest.adapter import Connection
from shared.ingest.signing import is_any, live_secrets

FIELD = "userProof"


def proof_of(user_id: str, secret: str) -> str:
    """What the shop's server puts into the page of a customer who is logged in."""
    return hmac.new(secret.encode(), f"user:{user_id}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def is_proven(call: Mapping[str, Any], connection: Connection, now: datetime) -> bool:
    """Does the call prove its user id with one of the connection's live secrets?"""
    context, user = call.get("context"), call.get("userId")
    given = context.get(FIELD) if isinstance(context, Mapping) else None
    if not isinstance(given, str) or isinstance(user, bool) or not isinstance(user, str | int):
        return False
    return is_any(given, [proof_of(str(user), secret).encode() for secret in live_secrets(connection, now)])
