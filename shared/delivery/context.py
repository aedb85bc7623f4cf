"""What a mail template may speak of: the person, the shop, the sender, and what the scenario brings (`cart`, …).

Every name a template uses must be here or in `SendRequest.context`; a value that is not known is None, never absent,
so that a template can ask for it and a misspelt name is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shared.core.money import format_amount
from shared.core.shop import Shop
from shared.customers.model import Cart, Profile
from shared.delivery.policy import SECTION
from shared.delivery.sender import Sender
from shared.ingest.model import Line


def cart_context(cart: Cart) -> dict[str, Any]:
    """`cart` of a template: its lines, its total and the way back to it (カートに戻るリンク)."""
    currency = cart.currency or "JPY"
    return {
        "lines": [_line(line, currency) for line in cart.lines],
        "total": format_amount(cart.total, currency),
        "recovery_url": cart.recovery_url,
    }


def person_context(profile: Profile) -> dict[str, Any]:
    """`person` of a template. `name` is the family name Japanese mail greets with, or None."""
    return {
        "name": profile.last_name or profile.first_name,
        "last_name": profile.last_name,
        "first_name": profile.first_name,
        "order_count": profile.summary.order_count,
        "ltv_tier": profile.scores.ltv_tier.value if profile.scores else None,
        "status": profile.scores.status.value if profile.scores else None,
    }


def template_context(
    profile: Profile, shop: Shop, sender: Sender, unsubscribe_url: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything a template may use. The scenario's own variables cannot hide ours."""
    return {
        **given,
        "person": person_context(profile),
        "shop": _shop(shop),
        "sender": asdict(sender),
        "unsubscribe_url": unsubscribe_url,
    }


def _shop(shop: Shop) -> dict[str, Any]:
    section = shop.section(SECTION)
    return {"name": shop.name, "url": section.get("shop_url"), "guide_url": section.get("guide_url")}


def _line(line: Line, currency: str) -> dict[str, Any]:
    return {
        "title": line.title,
        "quantity": line.quantity,
        "price": format_amount(line.unit_amount, currency),
        "amount": format_amount(line.unit_amount * line.quantity, currency),
        "image_url": line.image_url,
    }
