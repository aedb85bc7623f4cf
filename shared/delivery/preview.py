"""A template as one person would get it (プレビュー), and as a mail to oneself (テスト送信).

What the scenario would bring is taken from the person where they have it (their open cart, last order, contract);
otherwise the sample of the template's `meta.yaml` stands in, and is named, so that nobody takes it for the real thing.
Runs on the command line: PyYAML is not in the functions' bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.shop import Shop
from shared.customers.model import PersonState
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT, mailbox, quoted
from shared.delivery.content.catalogue import EMPTY, Catalogue
from shared.delivery.context import LIVE, Drawn, cart_context, template_context
from shared.delivery.lint import GIVEN_LIVE, read_meta
from shared.delivery.lint_parts import OTHER_PARTS
from shared.delivery.policy import SECTION
from shared.delivery.render import TemplateStore
from shared.delivery.sender import sender_of

TEST_MARK = "【テスト配信】"
NOWHERE = "preview"
"""Stands where the unsubscribe token would: the page says that the link is not valid, and stops nothing."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The parts of a template as one person would get them."""

    parts: Mapping[str, str]
    samples: tuple[str, ...]
    """Variables that are samples, because the person has nothing of the kind."""


def preview(
    store: TemplateStore, template: str, person: PersonState, shop: Shop, catalogue: Catalogue = EMPTY
) -> Preview:
    """Every part there is. Raises MisconfiguredError (no such template), TemplateError (it does not fit the person)."""
    folder = store.root / template
    declared = read_meta(folder).variables if folder.is_dir() else {}
    own = _own(person)
    url = f"{shop.public_url}/v1/unsubscribe/{NOWHERE}"
    live = template_context(person, shop, sender_of(shop), url, own, lambda: catalogue, _shared(shop))
    samples = {name: value for name, value in declared.items() if not _has(live, name)}
    context = template_context(person, shop, sender_of(shop), url, {**own, **samples}, lambda: catalogue, _shared(shop))
    parts = [part for part in (SUBJECT, HTML, TEXT, *OTHER_PARTS) if (folder / part).exists()]
    return Preview(store.render(template, parts or (SUBJECT,), context), tuple(sorted(samples)))


def sample(store: TemplateStore, template: str, person: PersonState, shop: Shop) -> Preview:
    """The same for nobody in particular: everything that a scenario or a person brings is a sample."""
    meta = read_meta(store.root / template)
    given = {**GIVEN_LIVE, **meta.variables}
    url = f"{shop.public_url}/v1/unsubscribe/{NOWHERE}"
    context = template_context(person, shop, sender_of(shop), url, given, drawn=_shared(shop))
    return Preview(store.render(template, (SUBJECT, HTML, TEXT), context), tuple(sorted(given)))


def _shared(shop: Shop) -> Drawn:
    """The shop's address without anybody's token: whoever orders by it was recommended by nobody."""
    return {"share_url": lambda: shop.section(SECTION).get("shop_url")}


def mail_to_oneself(shown: Preview, shop: Shop, to: str) -> dict[str, Any]:
    """The arguments of SES's `SendEmail` for a mail to oneself: marked, and without the tags and the configuration set
    that would make its feedback count for a customer.
    """
    sender = sender_of(shop)
    body = {"Text": _part(shown, TEXT), "Html": _part(shown, HTML)}
    subject = {"Data": TEST_MARK + shown.parts[SUBJECT], "Charset": "UTF-8"}
    return {
        "FromEmailAddress": mailbox(sender.from_name, sender.from_address),
        "Destination": {"ToAddresses": [quoted(to)]},
        "Content": {"Simple": {"Subject": subject, "Body": body}},
    }


def _part(shown: Preview, part: str) -> dict[str, str]:
    return {"Data": shown.parts[part], "Charset": "UTF-8"}


def _own(person: PersonState) -> dict[str, Any]:
    carts = [cart for cart in person.carts if cart.open]
    latest = max(carts, key=lambda cart: (cart.updated_at, cart.token), default=None)
    return {"cart": cart_context(latest)} if latest else {}


def _has(live: Mapping[str, Any], name: str) -> bool:
    return bool(live[name]) if name in LIVE else name in live
