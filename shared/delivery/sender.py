"""Who a message is from (送信者情報), as 特定電子メール法 wants it shown: name, postal address, contact for complaints.

Section `delivery` of the shop's settings:

    {"from_address": "news@shop.example.com", "from_name": "見本商店", "reply_to": "support@shop.example.com",
     "company": "株式会社見本", "postal_address": "〒100-0001 東京都…", "contact": "support@shop.example.com / 03-…",
     "unsubscribe_mailto": "unsubscribe@shop.example.com",
     "shop_url": "https://shop.example.com/", "guide_url": "https://shop.example.com/guide"}

`from_address`, `postal_address` and `contact` are duties; names default to the shop's, `reply_to` to `from_address`.
`ses_tenant`, if set, is sent as SES's `TenantName`: shops of one account then have a reputation each ($0.005 a month).
`shop_url` and `guide_url` (ご利用ガイド) are for the templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.core.errors import MisconfiguredError
from shared.core.shop import Shop
from shared.delivery.policy import SECTION


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a shop's messages are from."""

    from_address: str
    from_name: str
    """Shown as the sender (送信者名)."""
    company: str
    """The business that answers for the message (送信責任者)."""
    postal_address: str
    """住所"""
    contact: str
    """Where complaints and questions go (苦情・問合せ先): mail address, phone number or URL."""
    reply_to: str = ""
    unsubscribe_mailto: str = ""
    """A mailbox that is read by a program; empty: only the one-click link is offered."""
    ses_tenant: str = ""
    """Name of the SES tenant this shop's mail is kept apart in (テナント分離); empty: none."""

    @property
    def domain(self) -> str:
        """The domain the mail is authenticated for."""
        return self.from_address.rpartition("@")[2]


def sender_of(shop: Shop) -> Sender:
    """The shop's sender. Raises MisconfiguredError naming what is missing: the law wants it in every mail."""
    section = shop.section(SECTION)
    sender = Sender(
        from_address=_text(section, "from_address"),
        from_name=_text(section, "from_name", shop.name),
        company=_text(section, "company", shop.name),
        postal_address=_text(section, "postal_address"),
        contact=_text(section, "contact"),
        reply_to=_text(section, "reply_to", _text(section, "from_address")),
        unsubscribe_mailto=str(section.get("unsubscribe_mailto", "")),
        ses_tenant=str(section.get("ses_tenant") or ""),
    )
    if "@" not in sender.from_address:
        raise MisconfiguredError(f"{SECTION}.from_address is not a mail address: {sender.from_address!r}")
    return sender


def _text(section: Mapping[str, object], name: str, default: str = "") -> str:
    text = str(section.get(name) or default).strip()
    if not text:
        raise MisconfiguredError(f"{SECTION}.{name} is missing in the shop's settings: no mail may go out without it")
    return text
