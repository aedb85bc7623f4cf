"""A channel in memory: for tests and replay. Takes the same messages, fails in the same ways, keeps what it accepts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum

from shared.delivery.channels.channel import (
    Accepted,
    AmbiguousError,
    Message,
    NotSentError,
    RefusedError,
    StoppedError,
)


class Fault(StrEnum):
    """How one call fails."""

    NONE = "none"
    THROTTLE = "throttle"
    UNREACHABLE = "unreachable"
    PAUSE = "pause"
    REJECT = "reject"
    FAIL_BEFORE = "5xx_before"
    """500, and the message was not taken"""
    FAIL_AFTER = "5xx_after"
    """500, and the message was taken"""
    LOSE_REPLY = "lose_reply"
    """taken, and the connection reset"""
    HANG = "accept_then_hang"
    """taken, and no answer until the caller's timeout"""


MAIL = ("subject.txt", "mail.html", "mail.txt")
"""The parts of a mail."""

ACCEPTING = frozenset({Fault.NONE, Fault.FAIL_AFTER, Fault.LOSE_REPLY, Fault.HANG})


class FakeChannel:
    """A channel that keeps what it accepts. `plan` is the fault of each next call; afterwards all succeed.

    With `repeats` it knows a send it already accepted and answers as it did, like LINE's retry key.
    """

    def __init__(
        self,
        plan: Iterable[Fault] = (),
        *,
        parts: tuple[str, ...] = MAIL,
        repeats: timedelta | None = None,
    ) -> None:
        self.accepted: list[Message] = []
        self.parts = parts
        self.repeats = repeats
        self._plan = deque(plan)

    def plan(self, *faults: Fault) -> None:
        """What the next calls meet."""
        self._plan.extend(faults)

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        fault = self._plan.popleft() if self._plan else Fault.NONE
        known = next((n for n, old in enumerate(self.accepted, 1) if old.key == message.key), 0) if self.repeats else 0
        if fault in ACCEPTING and not known:
            self.accepted.append(message)
        match fault:
            case Fault.NONE:
                return Accepted(f"fake-{known or len(self.accepted):06d}")
            case Fault.THROTTLE | Fault.UNREACHABLE:
                raise NotSentError(f"fake: {fault}")
            case Fault.PAUSE:
                raise StoppedError(f"fake: {fault}")
            case Fault.REJECT:
                raise RefusedError(f"fake: {fault}")
            case Fault.FAIL_BEFORE | Fault.FAIL_AFTER | Fault.LOSE_REPLY | Fault.HANG:
                raise AmbiguousError(f"fake: {fault}")
