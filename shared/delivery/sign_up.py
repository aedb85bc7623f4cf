"""The first step of a sign-up (メール登録): somebody types an address; its owner gets one mail that asks to confirm.

Typing an address is no consent: what is kept is the request. The mail is transactional and goes through the send
ledger, at most one a day to an address, whoever asks however often. The page says the same whether the address is
known, suppressed or new, so nobody learns from it who is a customer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from shared.core.clock import shop_day
from shared.core.errors import MisconfiguredError, RejectedError, UnavailableError
from shared.core.ids import CustomerId, ScenarioId
from shared.core.pages import Page, page, paragraph
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers import fold
from shared.customers.addresses import normalise_email
from shared.customers.identity import address_ref
from shared.customers.model import ConsentStatus, PersonState
from shared.customers.store import CustomerStore
from shared.delivery.model import Purpose, SendRequest
from shared.delivery.send import SendDeps, deliver
from shared.ingest import body as read
from shared.ingest.adapter import Connection
from shared.ingest.agreement import agreement_of
from shared.ingest.confirm import ConfirmToken, sign
from shared.ingest.connections import Connections
from shared.ingest.receive import request_of
from shared.ingest.registry import events_of
from shared.ingest.sources.page import sign_up_envelope
from shared.ingest.store import EventStore
from shared.ingest.tracking.receive import UnknownKeyError, authenticated

SCENARIO = ScenarioId("double_opt_in")
TEMPLATE = "double_opt_in/confirm"
EXPIRES = timedelta(hours=12)
"""A confirmation that comes later than this is no answer any more."""
MAX_BODY = 10_000
TRAP = "website"
"""A field no person sees: who fills it is a program."""


@dataclass(frozen=True, slots=True)
class SignUpDeps:
    """What signing up needs."""

    connections: Connections
    customers: CustomerStore
    events: EventStore
    send: SendDeps


def sign_up_http(event: Mapping[str, Any], deps: SignUpDeps, now: datetime) -> dict[str, Any]:
    """GET of the hosted form, POST of it or of a program (JSON); API Gateway HTTP API, payload 2.0."""
    method = event["requestContext"]["http"]["method"]
    try:
        request = request_of(event)
        said, is_json = _said(request.headers.get("content-type", ""), request.body)
        given = str((event.get("pathParameters") or {}).get("key") or "")
        connection, _ = authenticated(
            request.headers, {**said, "writeKey": given or said.get("writeKey")}, deps.connections, now
        )
        shop = deps.send.read_shop(connection.tenant)
        if method != "POST":
            return _form(shop, "", "").answer(head=method == "HEAD")
        shown = _take(connection, shop, said, deps, now)
    except UnknownKeyError:
        return page(404, "ページが見つかりません", "", paragraph("リンクが正しくありません。")).answer()
    except RejectedError as error:
        return _json(400, {"success": False, "message": str(error)})
    except UnavailableError:
        return _busy("").answer()
    return _json(shown.status, {"success": shown.status == 200}) if is_json else shown.answer()


def _take(connection: Connection, shop: Shop, said: Mapping[str, Any], deps: SignUpDeps, now: datetime) -> Page:
    email = normalise_email(read.email(said))
    if said.get(TRAP):
        return _sent(shop)
    if email is None:
        return _form(shop, str(said.get("email") or "")[:320], "メールアドレスをご確認ください。")
    try:
        _ask_owner(connection, shop, email, deps, now)
    except (UnavailableError, MisconfiguredError) as error:
        logger("delivery").error("a sign-up could not be answered", extra={"reason": type(error).__name__})
        return _busy(shop.name)
    return _sent(shop)


def _ask_owner(connection: Connection, shop: Shop, email: str, deps: SignUpDeps, now: datetime) -> None:
    form = f"{connection.store}#{agreement_of(shop).version}"
    ref = address_ref(shop.tenant, email, deps.send.keys)
    envelope = sign_up_envelope(shop.tenant, connection.store, email, ref, form, now)
    deps.events.put_once(envelope)
    (event,) = events_of(envelope)
    customer_id = fold.apply(event, deps.customers, deps.send.keys, shop).customer_id
    person = deps.customers.person(shop.tenant, customer_id) if customer_id else None
    if customer_id is None or person is None or _is_in(person, connection.store):
        return
    deliver(_request(connection, shop, customer_id, ref, deps, now), person, deps.send, now)


def _is_in(person: PersonState, store: str) -> bool:
    return any(c.channel == "email" and c.store == store and c.status is ConsentStatus.OPT_IN for c in person.consents)


def _request(
    connection: Connection, shop: Shop, customer: CustomerId, address: str, deps: SignUpDeps, now: datetime
) -> SendRequest:
    token = sign(ConfirmToken(shop.tenant, customer, connection.store, now, address), deps.send.keys)
    return SendRequest(
        tenant=shop.tenant,
        customer_id=customer,
        scenario=SCENARIO,
        scenario_version="1",
        step="confirm",
        occurrence=f"{connection.store}/{shop_day(now, shop.timezone)}",
        channel="email",
        template=TEMPLATE,
        context={"confirm_url": f"{shop.public_url}/v1/confirm/{token}", "wording": agreement_of(shop).wording},
        store=connection.store,
        purpose=Purpose.TRANSACTIONAL,
        expires_at=now + EXPIRES,
    )


def _said(content_type: str, raw: bytes) -> tuple[Mapping[str, Any], bool]:
    if len(raw) > MAX_BODY:
        raise RejectedError(f"the body is over {MAX_BODY // 1000} KB")
    if "json" in content_type.lower():
        return read.parse_object(raw), True
    return dict(parse_qsl(raw.decode("utf-8", "replace"))), False


def _form(shop: Shop, given: str, problem: str) -> Page:
    wrong = f'<p class="wrong" id="email-wrong" role="alert">{escape(problem)}</p>\n' if problem else ""
    described = ' aria-invalid="true" aria-describedby="email-wrong"' if problem else ""
    return page(
        400 if problem else 200,
        "メール登録",
        shop.name,
        paragraph("メールアドレスをご入力ください。確認のメールをお送りします。")
        + '<form method="post" accept-charset="utf-8" novalidate>\n'
        + '<label class="question" for="email">メールアドレス<span class="mark must">必須</span></label>\n'
        + f'{wrong}<input type="email" id="email" name="email" autocomplete="email" required'
        + f' value="{escape(given)}"{described}>\n'
        + f'<p class="trap" aria-hidden="true"><label>{TRAP}'
        + f'<input type="text" name="{TRAP}" tabindex="-1" autocomplete="off"></label></p>\n'
        + '<button type="submit">確認メールを受け取る</button>\n</form>\n'
        + paragraph(agreement_of(shop).wording, "note"),
    )


def _sent(shop: Shop) -> Page:
    said = "ご入力のアドレスに、確認のメールをお送りしました。メールの中のボタンを押すと、登録が完了します。"
    note = (
        "届かない場合は、迷惑メールのフォルダと、受信の設定をご確認ください。すでにご登録の方にはお送りしていません。"
    )
    return page(200, "確認メールをご覧ください", shop.name, paragraph(said) + paragraph(note, "note"))


def _busy(shop_name: str) -> Page:
    return page(503, "受け付けできませんでした", shop_name, paragraph("少し待ってから、もう一度お試しください。"))


def _json(status: int, document: Mapping[str, object]) -> dict[str, Any]:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(document)}
