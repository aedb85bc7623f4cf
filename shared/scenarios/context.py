"""What a scenario brings to a template besides the person and the shop: the cart, order or contract it is about."""

from __future__ import annotations

from typing import Any

from shared.customers.model import PersonState
from shared.delivery.context import LIVE, cart_context, contract_context, order_context
from shared.scenarios.enrolment import Enrolment
from shared.scenarios.language.entries import Trigger
from shared.scenarios.language.steps import Send
from shared.scenarios.model import Scenario
from shared.scenarios.rules import carts_of

EVERYWHERE = frozenset({"person", "shop", "sender", "unsubscribe_url", "share_url", *LIVE})
"""What every message may speak of (`shared/delivery/context.py`)."""


def provided(scenario: Scenario, send: Send) -> frozenset[str]:
    """The variables the template of this message may use: a cart and a coupon have to be brought."""
    cart = {"cart"} if scenario.entry.event is Trigger.CART_ABANDONED else set()
    return EVERYWHERE | cart | ({"coupon"} if scenario.coupons_before(send.send) else set())


def context_of(enrolment: Enrolment, person: PersonState, timezone: str) -> dict[str, Any]:
    """The thing the enrolment is about, in the words of a template."""
    about = enrolment.instance
    named = (about.source, about.store, about.key)
    match about.kind:
        case "cart":
            carts = carts_of(enrolment, person)
            return {"cart": cart_context(carts[0])} if carts else {}
        case "order":
            orders = [order for order in person.orders if (order.source, order.store, order.order_id) == named]
            return {"order": order_context(orders[0], timezone)} if orders else {}
        case "contract":
            contracts = [c for c in person.subscriptions if (c.source, c.store, c.subscription_id) == named]
            return {"contract": contract_context(contracts[0])} if contracts else {}
        case _:
            return {}
