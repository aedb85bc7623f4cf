"""The second step of a sign-up (ダブルオプトイン): the owner of the address confirms on a page of ours.

GET shows a button and changes nothing, because mail scanners follow every link; POST keeps the consent with what was
shown. The token names the person by our own id; it works for LIVES, and again and again is the same as once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from shared.core.clock import from_iso, to_iso
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, TenantId, keyed_digest
from shared.core.keys import KeyRing
from shared.core.pages import Page, page, paragraph
from shared.core.shop import Shop
from shared.core.signed_tokens import sign_fields, verify_fields
from shared.ingest.agreement import agreement_of
from shared.ingest.sources.page import confirm_envelope
from shared.ingest.store import EventStore

LIVES = timedelta(days=7)
_KIND = "confirm"
FORM = "/v1/subscribe"


@dataclass(frozen=True, slots=True)
class ConfirmToken:
    """Who asked to be written to by which store, and when."""

    tenant: TenantId
    customer_id: CustomerId
    store: str
    requested_at: datetime
    address: str = ""
    """Keyed digest of the address the mail went to: part of the evidence."""


def sign(token: ConfirmToken, keys: KeyRing) -> str:
    """The token as text that may stand in a URL path."""
    fields = (token.tenant, token.customer_id, token.store, to_iso(token.requested_at), token.address)
    return sign_fields(_KIND, fields, keys)


def verify(text: str, keys: KeyRing) -> ConfirmToken | None:
    """The token that one of our keys signed, or None for anything else."""
    fields = verify_fields(text, _KIND, 5, keys)
    if fields is None:
        return None
    tenant, customer, store, requested_at, address = fields
    return ConfirmToken(TenantId(tenant), CustomerId(customer), store, from_iso(requested_at), address)


@dataclass(frozen=True, slots=True)
class ConfirmDeps:
    """What the page needs."""

    keys: Callable[[], KeyRing]
    read_shop: Callable[[TenantId], Shop]
    events: EventStore


def confirm_http(event: Mapping[str, Any], deps: ConfirmDeps, now: datetime) -> dict[str, Any]:
    """One request of an API Gateway HTTP API (payload 2.0)."""
    http = event["requestContext"]["http"]
    token = verify(str((event.get("pathParameters") or {}).get("token") or ""), deps.keys())
    if token is None or now - token.requested_at > LIVES:
        shown = _invalid()
    elif http["method"] == "POST":
        shown = _confirm(token, str(http.get("sourceIp") or ""), deps, now)
    else:
        shown = _ask(deps.read_shop(token.tenant))
    return shown.answer(head=http["method"] == "HEAD")


def _confirm(token: ConfirmToken, address: str, deps: ConfirmDeps, now: datetime) -> Page:
    shop = deps.read_shop(token.tenant)
    agreement = agreement_of(shop)
    agreed = {
        "wording": agreement.digest,
        "wording_text": agreement.wording,
        "form": f"{FORM}#{agreement.version}",
        "requested_at": to_iso(token.requested_at),
        "address": token.address,
        "network": keyed_digest(deps.keys().personal, token.tenant, "network", address) if address else "",
    }
    try:
        deps.events.put_once(confirm_envelope(token.tenant, token.customer_id, token.store, agreed, now))
    except UnavailableError:
        return page(503, "登録できませんでした", shop.name, paragraph("少し待ってから、もう一度お試しください。"))
    done = paragraph("ご登録ありがとうございます。お知らせをお届けします。")
    return page(
        200,
        "登録が完了しました",
        shop.name,
        done + paragraph("お届けするメールの末尾から、いつでも停止できます。", "note"),
    )


def _ask(shop: Shop) -> Page:
    return page(
        200,
        "メール登録の確認",
        shop.name,
        paragraph("下のボタンを押すと、登録が完了します。")
        + f'<p class="agreed">{escape(agreement_of(shop).wording)}</p>\n'
        + '<form method="post"><button type="submit">同意して登録する</button></form>\n'
        + paragraph("お心当たりのない場合は、このページを閉じてください。何も登録されません。", "note"),
    )


def _invalid() -> Page:
    said = "リンクの期限（7日間）が過ぎているか、途中で切れています。お手数ですが、もう一度お申し込みください。"
    return page(400, "リンクを確認できませんでした", "", paragraph(said))
