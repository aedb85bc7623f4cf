"""The way out of every mail (配信停止): RFC 8058 one-click for mail programs, a page with one button for people.

GET and HEAD never change anything: link scanners follow every link. POST acts at once and says so only when the
opt-out is committed, so a gate that reads from then on holds the person back (I3). No cookie, no login, no redirect.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from shared.core.errors import NotFoundError, UnavailableError
from shared.core.ids import TenantId
from shared.core.keys import KeyRing
from shared.core.pages import Page
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers import fold
from shared.customers.model import ConsentStatus, PersonState
from shared.customers.rules import EVERY_STORE
from shared.customers.store import CustomerStore
from shared.delivery.render import TemplateStore
from shared.delivery.tokens import UnsubscribeToken, verify
from shared.ingest.registry import events_of
from shared.ingest.sources.page import unsubscribe_envelope
from shared.ingest.store import EventStore

CHANNEL_NAMES = {"email": "メール", "sms": "SMS", "line": "LINE"}

_ONE_CLICK = ("list-unsubscribe", "one-click")
_BUTTON = ("said", "page")
_MAX_BODY = 10_000
_TITLES = {
    "ask": "お知らせの配信停止",
    "done": "配信を停止しました",
    "busy": "お手続きが完了していません",
    "invalid": "リンクを確認できませんでした",
}


@dataclass(frozen=True, slots=True)
class UnsubscribeDeps:
    """What the page needs."""

    keys: Callable[[], KeyRing]
    read_shop: Callable[[TenantId], Shop]
    customers: CustomerStore
    events: EventStore
    pages: TemplateStore = field(default_factory=TemplateStore)


@dataclass(frozen=True, slots=True)
class Submission:
    """The body of a POST."""

    content_type: str
    body: bytes


def show(text: str, deps: UnsubscribeDeps) -> Page:
    """GET: a page with a button. Changes nothing."""
    token = verify(text, deps.keys())
    return _page(200, "ask", token, deps) if token else _page(400, "invalid", None, deps)


def act(text: str, submission: Submission, deps: UnsubscribeDeps, now: datetime) -> Page:
    """POST: the opt-out, committed before it is confirmed. Again and again is the same as once."""
    token = verify(text, deps.keys())
    if token is None:
        return _page(400, "invalid", None, deps)
    method = said_by(submission)
    if method is None:
        return _page(400, "ask", token, deps)
    try:
        opt_out(token, method, deps, now)
    except UnavailableError:
        return _page(503, "busy", token, deps)
    return _page(200, "done", token, deps)


def answer_http(event: Mapping[str, Any], deps: UnsubscribeDeps, now: datetime) -> dict[str, Any]:
    """One request of an API Gateway HTTP API (payload 2.0)."""
    method = event["requestContext"]["http"]["method"]
    token = str(event.get("pathParameters", {}).get("token", ""))
    page = act(token, submission_of(event), deps, now) if method == "POST" else show(token, deps)
    return page.answer(head=method == "HEAD")


def said_by(submission: Submission) -> str | None:
    """`one_click` for a mail program, `page` for our own button, None when the body does not ask to stop.

    Both say `List-Unsubscribe=One-Click`, urlencoded or multipart (RFC 8058 allows either).
    """
    if len(submission.body) > _MAX_BODY:
        return None
    pairs = _multipart(submission) if "multipart/" in submission.content_type.lower() else _urlencoded(submission)
    said = {(name.strip().lower(), value.strip().lower()) for name, value in pairs}
    if _ONE_CLICK not in said:
        return None
    return "page" if _BUTTON in said else "one_click"


def opt_out(token: UnsubscribeToken, method: str, deps: UnsubscribeDeps, now: datetime) -> None:
    """They said no: kept as an event, and in force when this returns. Raises UnavailableError."""
    person = deps.customers.person(token.tenant, token.customer_id)
    if person is None or person.profile.erased or _is_out(person, token):
        return
    envelope = unsubscribe_envelope(
        token.tenant,
        token.customer_id,
        token.channel,
        token.store,
        token.send_id,
        method,
        now,
        deps.customers.address_of(token.tenant, token.customer_id, token.channel),
    )
    deps.events.put_once(envelope)
    for event in events_of(envelope):
        try:
            fold.apply(event, deps.customers, deps.keys(), deps.read_shop(token.tenant))
        except NotFoundError:
            # Erased in this very moment: nobody is left to write to.
            logger("delivery").info("unsubscribed person is gone", extra={"send_id": token.send_id})


def _is_out(person: PersonState, token: UnsubscribeToken) -> bool:
    said = {c.store: c.status for c in person.consents if c.channel == token.channel}
    return (said.get(token.store) or said.get(EVERY_STORE)) is ConsentStatus.OPT_OUT


def submission_of(event: Mapping[str, Any]) -> Submission:
    """The body of an API Gateway request; what is no base64 is no body."""
    headers = {str(name).lower(): str(value) for name, value in event.get("headers", {}).items()}
    body = str(event.get("body") or "").encode()
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True)
        except binascii.Error:
            body = b""
    return Submission(headers.get("content-type", ""), body)


def _urlencoded(submission: Submission) -> list[tuple[str, str]]:
    return parse_qsl(submission.body.decode("utf-8", "replace"), keep_blank_values=True)


def _multipart(submission: Submission) -> list[tuple[str, str]]:
    head = f"content-type: {submission.content_type}\r\n\r\n".encode("utf-8", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + submission.body)
    return [
        (str(part.get_param("name", "", "content-disposition")), str(part.get_payload()))
        for part in message.walk()
        if not part.is_multipart()
    ]


def _page(status: int, state: str, token: UnsubscribeToken | None, deps: UnsubscribeDeps) -> Page:
    context = {
        "state": state,
        "title": _TITLES[state],
        "shop_name": deps.read_shop(token.tenant).name if token else "",
        "channel_name": CHANNEL_NAMES.get(token.channel, "") if token else "",
    }
    return deps.pages.page(status, "unsubscribe", context)
