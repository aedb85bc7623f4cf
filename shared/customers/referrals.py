"""Recommending the shop (口コミ・紹介): a link of one's own, and whose link brought the buyer of an order. Pure.

The link leads straight to the shop, so nothing of ours stands between and no cookie is set: the cart says with an order
on which page the visit began (Shopify `landing_site`, WooCommerce's order attribution). Its token names the customer
without saying who it is, and never expires. Its utm words make `referral/share` the order's medium (広告媒体), so what
recommendations bring stands in every analysis by medium.
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.core.signed_tokens import sign_fields, verify_fields
from shared.ingest.media import REFERRAL

_KIND = "referral"
_UTM = {"utm_source": "referral", "utm_medium": "share"}


def share_url(shop_url: str, tenant: TenantId, customer: CustomerId, keys: KeyRing) -> str:
    """The shop's address as this customer passes it on."""
    words = urlencode({**_UTM, REFERRAL: sign_fields(_KIND, (tenant, customer), keys)})
    parts = urlsplit(shop_url)
    return urlunsplit(parts._replace(query=f"{parts.query}&{words}" if parts.query else words))


def referrer_of(token: str | None, tenant: TenantId, keys: KeyRing) -> CustomerId | None:
    """Whose link of this shop it is; None for anything that none of our keys signed."""
    fields = verify_fields(token, _KIND, 2, keys) if token else None
    return CustomerId(fields[1]) if fields and fields[0] == tenant else None
