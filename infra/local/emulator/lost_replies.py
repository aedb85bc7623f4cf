"""Plan failures of AWS calls, to test that nothing is lost or done twice.

Without it: every call here succeeds, and the failures a ledger exists for (a reply lost after the work was done, a
throttle, an error before or after) never happen.
``POST /_matakite/faults`` plans one: ``{"service": "ses", "action": "SendEmail", "kind": …, "times": 1, "skip": 0,
"contains": "text in path or body, or a list of texts", "principal": "part of the role's name", "share": 1.0,
"seconds": 60}``; of the calls that match, a random ``share`` fails, at most ``times`` of them. Kinds:

- ``throttle``, ``error_500_before``: refused, nothing done
- ``error_500_after``: done, yet answered 500
- ``lose_reply``: done, then the connection is reset
- ``hang``: done, then silent for ``seconds``
- ``kill_before``, ``kill_after``: the calling process (not its neighbours) is killed before or after the work is done

``GET`` lists what is planned and how often each came true; ``DELETE`` forgets all.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from uuid import uuid4

from infra.local.emulator import function_worker
from infra.local.emulator.gateway import BadInternalRequestError, InternalRequest, ReplyLostError, route
from infra.local.emulator.interception import ApiCall, Proceed, Response, around_calls
from infra.local.emulator.settings import EmulatorSettings

KINDS = (
    "throttle",
    "error_500_before",
    "error_500_after",
    "lose_reply",
    "hang",
    "kill_before",
    "kill_after",
)
_THROTTLES = {"dynamodb": (400, "ThrottlingException"), "ses": (429, "TooManyRequestsException")}
_JSON = {"Content-Type": "application/json"}


@dataclass
class Fault:
    """One planned failure."""

    service: str
    kind: str
    action: str = ""
    contains: str | list[str] = ""
    principal: str = ""
    times: int = 1
    share: float = 1.0
    skip: int = 0
    seconds: float = 60.0
    id: str = field(default_factory=lambda: uuid4().hex[:8])
    happened: int = 0

    def matches(self, call: ApiCall) -> bool:
        """Whether the plan names this call."""
        return (
            call.from_outside
            and call.service == self.service
            and self.action in ("", call.action)
            and self.principal in call.principal
            and all(text.encode() in call.body or text in call.path for text in self._texts())
        )

    def _texts(self) -> Iterator[str]:
        yield from [self.contains] if isinstance(self.contains, str) else self.contains


_lock = threading.Lock()
_planned: list[Fault] = []
_dice = random.Random(20)  # noqa: S311 - which calls fail must only be the same in every run


def _next_fault(call: ApiCall) -> Fault | None:
    """The failure due for this call, counted down."""
    with _lock:
        for fault in _planned:
            if fault.happened < fault.times and fault.matches(call):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.share < 1 and _dice.random() >= fault.share:
                    continue
                fault.happened += 1
                return fault
    return None


def _failure(call: ApiCall, status: int, code: str, message: str) -> Response:
    if call.service == "s3":
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        return status, {"Content-Type": "application/xml"}, body
    body = json.dumps({"__type": code, "message": message}).encode()
    return status, {**_JSON, "x-amzn-ErrorType": code}, body


async def _fail_as_planned(call: ApiCall, proceed: Proceed) -> Response | None:
    fault = _next_fault(call)
    if fault is None:
        return await proceed(call)
    if fault.kind == "throttle":
        status, code = _THROTTLES.get(call.service, (400, "ThrottlingException"))
        return _failure(call, status, code, "Rate exceeded (planned)")
    if fault.kind == "error_500_before":
        return _failure(call, 500, "InternalServerError", "planned failure before the work")
    if fault.kind == "kill_before":
        function_worker.kill_caller(call.headers, call.principal)
        raise ReplyLostError
    await proceed(call)
    if fault.kind == "error_500_after":
        return _failure(call, 500, "InternalServerError", "planned failure after the work")
    if fault.kind == "hang":
        await asyncio.sleep(fault.seconds)
    if fault.kind == "kill_after":
        function_worker.kill_caller(call.headers, call.principal)
    raise ReplyLostError


def _plan(request: InternalRequest) -> dict[str, Any]:
    given = request.json()
    known = {f.name for f in fields(Fault)} - {"id", "happened"}
    if unknown := set(given) - known:
        raise BadInternalRequestError(f"unknown fields {sorted(unknown)}; known: {sorted(known)}")
    if given.get("kind") not in KINDS or not given.get("service"):
        raise BadInternalRequestError(f"a fault needs a service and a kind of {KINDS}")
    fault = Fault(**given)
    with _lock:
        _planned.append(fault)
    return asdict(fault)


def _list(request: InternalRequest) -> list[dict[str, Any]]:
    with _lock:
        return [asdict(fault) for fault in _planned]


def _forget(request: InternalRequest) -> dict[str, Any]:
    with _lock:
        _planned.clear()
    return {}


def install(settings: EmulatorSettings) -> None:
    """Let faults be planned."""
    around_calls(_fail_as_planned)
    route("POST", "faults", _plan)
    route("GET", "faults", _list)
    route("DELETE", "faults", _forget)
