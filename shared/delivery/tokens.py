"""Signed links that name a person without saying who it is: `v1.<key id>.<payload>.<HMAC-SHA256, 128 bits>`.

The payload holds opaque ids only. An unsubscribe token never expires: the law gives the right for as long as the mail
exists. Its first word keeps it apart from tokens of other kinds, which are signed with the same keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.keys import KeyRing

_VERSION = "v1"
_KIND = "unsubscribe"
_MAX_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    """Who stops receiving what: one channel of one store, because of one send."""

    tenant: TenantId
    customer_id: CustomerId
    send_id: SendId
    channel: str
    store: str


def sign(token: UnsubscribeToken, keys: KeyRing) -> str:
    """The token as text that may stand in a URL path, signed with the newest key."""
    fields = [_KIND, token.tenant, token.customer_id, token.send_id, token.channel, token.store]
    payload = _encode(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())
    signed = f"{_VERSION}.{keys.signing_kid}.{payload}"
    return f"{signed}.{_encode(_mac(keys.links[keys.signing_kid], signed))}"


def verify(text: str, keys: KeyRing) -> UnsubscribeToken | None:
    """The token that one of our keys signed, or None for anything else."""
    if len(text) > _MAX_LENGTH or text.count(".") != 3 or not text.isascii():
        return None
    signed, _, mac = text.rpartition(".")
    version, kid, payload = signed.split(".")
    key = keys.links.get(kid)
    if version != _VERSION or key is None or not hmac.compare_digest(mac, _encode(_mac(key, signed))):
        return None
    return _read(payload)


def _read(payload: str) -> UnsubscribeToken | None:
    try:
        kind, tenant, customer, send, channel, store = json.loads(_decode(payload))
    except (ValueError, binascii.Error):
        return None
    if kind != _KIND:
        return None
    return UnsubscribeToken(TenantId(tenant), CustomerId(customer), SendId(send), channel, store)


def _mac(key: bytes, signed: str) -> bytes:
    return hmac.new(key, signed.encode(), hashlib.sha256).digest()[:16]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
