"""LINE through the Messaging API: one push per person, known by its retry key, so a send in doubt may be repeated.

https://developers.line.biz/en/reference/messaging-api/#send-push-message

The key of a send is a UUID made of its send id, so every repeat has the one of the first call. LINE keeps it for 24
hours and answers a repeat with 409: the first call was accepted. After that the same key would send again, so the
ledger repeats nothing that is older (`REPEATS`).

A push to somebody who blocked the account is answered 200 as well: only `unfollow` tells (sources/line.py).

No multicast, although one call takes 500 people: they would share one retry key and one answer, so a send in doubt
would be 500 in doubt, none of whom could be repeated without the others; and an opt-out of the last second would have
to take somebody out of a list whose key is fixed. It costs the same (LINE counts people, not calls), and 2,000 pushes a
second reach a million people in nine minutes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import urllib3

from shared.core.errors import MisconfiguredError
from shared.core.ids import SendId, TenantId
from shared.delivery.channels.channel import (
    Accepted,
    AmbiguousError,
    Message,
    NotSentError,
    RefusedError,
    StoppedError,
)
from shared.delivery.endpoints import secure_parameter

MESSAGES = "line.json"
"""What a message on LINE is made of: a JSON list of 1 to 5 message objects."""

API = "https://api.line.me"
REPEATS = timedelta(hours=23)
"""LINE knows a retry key for 24 hours; an hour is kept for clocks that differ and calls under way."""

MAX_MESSAGES = 5
"""Objects in one push; LINE counts them as one message of the month."""

_NAMESPACE = uuid.UUID("5f1f7a0e-6c39-4d0a-9a41-6e2f0f7d9b11")
_TIMEOUT = urllib3.Timeout(connect=3, read=10)
_MONTHLY_LIMIT = "monthly limit"


@dataclass(frozen=True, slots=True)
class LineAccount:
    """A shop's LINE official account, as far as sending goes."""

    access_token: str = field(repr=False)
    """Channel access token (チャネルアクセストークン)."""
    api: str = API
    """Base URL: another one for tests."""
    bot: str = ""
    """The account's own user id (U…): the store its webhooks arrive for."""


class LineChannel:
    """Pushes to one person at a time through the shop's own account."""

    parts = (MESSAGES,)
    repeats = REPEATS

    def __init__(self, account_of: Callable[[TenantId], LineAccount], http: urllib3.PoolManager | None = None) -> None:
        self._account_of = account_of
        # No retries and no redirects: what becomes of a lost answer is the ledger's to decide.
        self._http = http or urllib3.PoolManager(retries=False, timeout=_TIMEOUT, maxsize=8)

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        body = {"to": message.to, "messages": read_messages(message.parts[MESSAGES])}
        account = self._account_of(message.key.tenant)
        headers = {
            "authorization": f"Bearer {account.access_token}",
            "content-type": "application/json",
            "x-line-retry-key": retry_key(message.key.send_id),
        }
        try:
            answer = self._http.request(
                "POST",
                f"{account.api}/v2/bot/message/push",
                body=json.dumps(body, ensure_ascii=False).encode(),
                headers=headers,
            )
        except (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError) as error:
            raise NotSentError(f"LINE could not be reached ({type(error).__name__})") from error
        except urllib3.exceptions.HTTPError as error:
            raise AmbiguousError(f"LINE's answer was lost ({type(error).__name__})") from error
        return _read_answer(answer.status, answer.data, answer.headers)


def retry_key(send_id: SendId) -> str:
    """`X-Line-Retry-Key` of a send: the same for every attempt."""
    return str(uuid.uuid5(_NAMESPACE, send_id))


def read_messages(part: str) -> list[Mapping[str, Any]]:
    """The message objects of a rendered part. Raises RefusedError when LINE could not take them."""
    try:
        messages: Any = json.loads(part)
    except ValueError:
        raise RefusedError(f"{MESSAGES} is no JSON once it is rendered: write every variable with `| json`") from None
    found = messages if isinstance(messages, list) and 1 <= len(messages) <= MAX_MESSAGES else []
    if not found or not all(isinstance(message, dict) and "type" in message for message in found):
        raise RefusedError(f"{MESSAGES} must be a list of 1 to {MAX_MESSAGES} message objects, each with its 'type'")
    return found


def parse_account(text: str) -> LineAccount:
    """From the parameter `{prefix}/line/{tenant}`: `{"access_token": "…", "bot": "U…"}`, for tests also `"api"`."""
    try:
        document = json.loads(text)
        return LineAccount(
            str(document["access_token"]), str(document.get("api") or API), str(document.get("bot") or "")
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MisconfiguredError("a LINE account is JSON with 'access_token'; see `matakite line connect`") from None


def parameter_name(prefix: str, tenant: TenantId) -> str:
    """The SSM SecureString of a shop's account."""
    return f"{prefix}/line/{tenant}"


def load_account(prefix: str, tenant: TenantId) -> LineAccount:
    """The shop's account from SSM, cached for 5 minutes. Raises MisconfiguredError where there is none."""
    text = secure_parameter(parameter_name(prefix, tenant))
    if text is None:
        raise MisconfiguredError(f"shop {tenant!r} has no LINE account: run `matakite line connect`")
    return parse_account(text)


def _read_answer(status: int, data: bytes, headers: Mapping[str, str]) -> Accepted:
    """What LINE's answer leaves certain. Whatever is not known to be harmless is ambiguous."""
    match status:
        case 200:
            return Accepted(_request_id(headers, "x-line-request-id"))
        case 409:
            return Accepted(_request_id(headers, "x-line-accepted-request-id"))
        case 429 if _MONTHLY_LIMIT in _said(data):
            raise StoppedError("LINE's messages of this month are used up (今月の配信数の上限)")
        case 429:
            raise NotSentError("LINE asks to slow down")
        case 401 | 403:
            raise MisconfiguredError(f"LINE refuses the channel access token ({status}): run `matakite line connect`")
        case 400 | 404 | 413 | 415 | 422:
            raise RefusedError(f"LINE refused the message ({status})")
        case _:
            raise AmbiguousError(f"LINE failed while it had the message ({status})")


def _request_id(headers: Mapping[str, str], name: str) -> str:
    return str(headers.get(name) or headers.get("x-line-request-id") or "")


def _said(data: bytes) -> str:
    try:
        document = json.loads(data)
    except ValueError:
        return ""
    return str(document.get("message", "")) if isinstance(document, dict) else ""
