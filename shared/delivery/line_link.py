"""Linking a customer with their LINE account (LINE ID連携): our page between the shop's link and LINE's own dialog.

https://developers.line.biz/en/docs/messaging-api/linking-accounts/

    the person taps 連携 in LINE → a link token of LINE (10 minutes, once) → the shop knows who they are, by login or
    mail, and sends them here: /v1/line/link/{our token}?linkToken=… → a button → nonce kept, off to LINE → LINE's
    webhook brings the nonce back with the LINE user id (sources/line.py): one person from then on

GET changes nothing: programs follow links too. Our token names the customer for a day; whoever has it may link their
LINE account to that customer, so it is given only where the customer is known. A person is joined by their mail
address; one without an address of their own (a mall's masked one) cannot be linked here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from shared.core.clock import from_iso, to_iso
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.core.pages import Page, headers
from shared.core.shop import Shop
from shared.core.signed_tokens import sign_fields, verify_fields
from shared.customers.addresses import names_one_person, normalise_email
from shared.customers.store import CustomerStore
from shared.delivery.channels.line import LineAccount
from shared.delivery.render import TemplateStore
from shared.ingest.sources.line import link_envelope
from shared.ingest.store import EventStore

DIALOG = "https://access.line.me/dialog/bot/accountLink"
LIFE = timedelta(days=1)
_KIND = "line_link"
_MAX_TOKEN = 300

HEADERS: Mapping[str, str] = headers(form_action="'self' https://access.line.me")
"""The form's answer is a redirect to LINE, which browsers hold to form-action as well."""

_TITLES = {
    "ask": "LINEとの連携",
    "start": "LINEから始めてください",
    "invalid": "リンクを確認できませんでした",
    "no_address": "連携できませんでした",
    "busy": "お手続きが完了していません",
}


@dataclass(frozen=True, slots=True)
class LinkToken:
    """Which customer sets out to link themselves, until when."""

    tenant: TenantId
    customer_id: CustomerId
    until: datetime


@dataclass(frozen=True, slots=True)
class LinkDeps:
    """What the page needs."""

    keys: Callable[[], KeyRing]
    read_shop: Callable[[TenantId], Shop]
    read_account: Callable[[TenantId], LineAccount]
    customers: CustomerStore
    events: EventStore
    pages: TemplateStore = field(default_factory=TemplateStore)
    new_nonce: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    """256 random bits: LINE asks for at least 128."""


def link_path(tenant: TenantId, customer: CustomerId, keys: KeyRing, now: datetime) -> str:
    """The page's path for a customer who is known to be in front of the screen."""
    return f"/v1/line/link/{sign_fields(_KIND, (tenant, customer, to_iso(now + LIFE)), keys)}"


def read_token(text: str, keys: KeyRing, now: datetime) -> LinkToken | None:
    """The token if we signed it and its day is not over."""
    fields = verify_fields(text, _KIND, 3, keys)
    if fields is None:
        return None
    tenant, customer, until = fields
    token = LinkToken(TenantId(tenant), CustomerId(customer), from_iso(until))
    return token if now < token.until else None


def answer_http(event: Mapping[str, Any], deps: LinkDeps, now: datetime) -> dict[str, Any]:
    """One request of an API Gateway HTTP API (payload 2.0)."""
    method = event["requestContext"]["http"]["method"]
    token = read_token(str((event.get("pathParameters") or {}).get("token", "")), deps.keys(), now)
    line_token = str((event.get("queryStringParameters") or {}).get("linkToken", ""))
    if token is None:
        return _page(400, "invalid", None, deps, method)
    if not line_token or len(line_token) > _MAX_TOKEN or not line_token.isascii():
        return _page(200, "start", token, deps, method)
    if method != "POST":
        return _page(200, "ask", token, deps, method)
    try:
        return _link(token, line_token, deps, now)
    except UnavailableError:
        return _page(503, "busy", token, deps, method)


def _link(token: LinkToken, line_token: str, deps: LinkDeps, now: datetime) -> dict[str, Any]:
    person = deps.customers.person(token.tenant, token.customer_id)
    email = normalise_email(person.profile.email) if person and not person.profile.erased else None
    if email is None or not names_one_person(email):
        return _page(409, "no_address", token, deps, "POST")
    account = deps.read_account(token.tenant)
    if not account.bot:
        raise MisconfiguredError("the LINE account does not say whose it is: run `matakite line connect --bot`")
    nonce = deps.new_nonce()
    deps.events.put_once(link_envelope(token.tenant, account.bot, email, nonce, now))
    target = f"{DIALOG}?{urlencode({'linkToken': line_token, 'nonce': nonce})}"
    return Page(303, "", {**HEADERS, "location": target}).answer()


def _page(status: int, state: str, token: LinkToken | None, deps: LinkDeps, method: str) -> dict[str, Any]:
    shop = deps.read_shop(token.tenant).name if token else ""
    page = deps.pages.page(status, "line_link", {"state": state, "title": _TITLES[state], "shop_name": shop})
    return replace(page, headers=HEADERS).answer(head=method == "HEAD")
