"""One place through which every AWS call passes, for the patches that count calls or make them fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.iam_actions import extract_iam_action
from ministack.core.responses import get_account_id
from ministack.core.router import detect_service, extract_access_key_id

from infra.local.emulator.grant_recorder import principal_name

Response = tuple[int, dict[str, Any], Any]

#: The id MiniStack's front door is given for calls a state machine makes; these have no connection to lose.
STATE_MACHINE = "state-machine"


@dataclass(frozen=True)
class ApiCall:
    """One call of an AWS API, before it is authorised."""

    service: str
    action: str
    principal: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, list[str]]
    request_id: str

    @property
    def from_outside(self) -> bool:
        """Whether it came over a connection of its own."""
        return self.request_id != STATE_MACHINE


Proceed = Callable[[ApiCall], Awaitable[Response | None]]
Interceptor = Callable[[ApiCall, Proceed], Awaitable[Response | None]]
_interceptors: list[Interceptor] = []


def around_calls(interceptor: Interceptor) -> None:
    """Let the interceptor decide what happens around every call; the one added last is outermost."""
    if not _interceptors:
        app._dispatch_service_request = _intercepted(app._dispatch_service_request, ses_only=False)
        app._handle_ses_v2_request = _intercepted(app._handle_ses_v2_request, ses_only=True)
    _interceptors.append(interceptor)


def _intercepted(serve: Callable[..., Any], *, ses_only: bool) -> Callable[..., Any]:
    async def last(call: ApiCall) -> Response | None:
        answer: Response | None = await serve(
            call.method, call.path, call.headers, call.body, call.query, call.request_id
        )
        return answer

    async def intercepted(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]], request_id: str
    ) -> Response | None:
        if ses_only and not path.startswith("/v2/email"):
            return None
        call = _described(method, path, headers, body, query, request_id)
        proceed: Proceed = last
        for interceptor in _interceptors:
            proceed = _bound(interceptor, proceed)
        return await proceed(call)

    return intercepted


def _bound(interceptor: Interceptor, proceed: Proceed) -> Proceed:
    async def step(call: ApiCall) -> Response | None:
        return await interceptor(call, proceed)

    return step


def _described(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]], request_id: str
) -> ApiCall:
    service = "ses" if path.startswith("/v2/email") else detect_service(method, path, headers, query)
    operation = headers.get("x-amz-target", "").rpartition(".")[2] or method
    full = extract_iam_action(service, method, path, headers, body, query) or f"{service}:{operation}"
    namespace, _, action = full.partition(":")
    return ApiCall(namespace, action, _principal(headers, query), method, path, headers, body, query, request_id)


def _principal(headers: dict[str, str], query: dict[str, list[str]]) -> str:
    key = extract_access_key_id(headers, query)
    found = iam_evaluator.resolve_credential(key, get_account_id()) if key else None
    if found is None or isinstance(found, iam_evaluator.CredentialResolutionError):
        return "anonymous"
    return principal_name(found.principal_arn)


def with_body(call: ApiCall, body: bytes) -> ApiCall:
    """The same call with another body (its signature was already pinned to the one sent)."""
    return replace(call, body=body)
