"""Signed links that name things without saying who it is: `v1.<key id>.<payload>.<HMAC-SHA256, 128 bits>`.

The payload is a short list of opaque ids. Its first word, the kind, keeps tokens of one use apart from those of
another, which are signed with the same keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from shared.core.keys import KeyRing

_VERSION = "v1"
_MAX_LENGTH = 1024


def sign_fields(kind: str, fields: tuple[str, ...], keys: KeyRing) -> str:
    """The fields as text that may stand in a URL path, signed with the newest key."""
    payload = _encode(json.dumps([kind, *fields], ensure_ascii=False, separators=(",", ":")).encode())
    signed = f"{_VERSION}.{keys.signing_kid}.{payload}"
    return f"{signed}.{_encode(_mac(keys.links[keys.signing_kid], signed))}"


def verify_fields(text: str, kind: str, count: int, keys: KeyRing) -> tuple[str, ...] | None:
    """The `count` fields of a token of this kind that one of our keys signed, or None for anything else."""
    if len(text) > _MAX_LENGTH or text.count(".") != 3 or not text.isascii():
        return None
    signed, _, mac = text.rpartition(".")
    version, kid, payload = signed.split(".")
    key = keys.links.get(kid)
    if version != _VERSION or key is None or not hmac.compare_digest(mac, _encode(_mac(key, signed))):
        return None
    return _read(payload, kind, count)


def _read(payload: str, kind: str, count: int) -> tuple[str, ...] | None:
    try:
        said, *fields = json.loads(_decode(payload))
    except (ValueError, TypeError, binascii.Error):
        return None
    return tuple(fields) if said == kind and len(fields) == count else None


def _mac(key: bytes, signed: str) -> bytes:
    return hmac.new(key, signed.encode(), hashlib.sha256).digest()[:16]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
