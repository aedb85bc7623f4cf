"""Signed links that name a person without saying who it is (see `shared.core.signed_tokens`).

An unsubscribe token never expires: the law gives the right for as long as the mail exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.keys import KeyRing
from shared.core.signed_tokens import sign_fields, verify_fields

_KIND = "unsubscribe"


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
    fields = (token.tenant, token.customer_id, token.send_id, token.channel, token.store)
    return sign_fields(_KIND, fields, keys)


def verify(text: str, keys: KeyRing) -> UnsubscribeToken | None:
    """The token that one of our keys signed, or None for anything else."""
    fields = verify_fields(text, _KIND, 5, keys)
    if fields is None:
        return None
    tenant, customer, send, channel, store = fields
    return UnsubscribeToken(TenantId(tenant), CustomerId(customer), SendId(send), channel, store)
