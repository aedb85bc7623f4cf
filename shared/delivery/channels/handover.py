"""A step of a scenario hands people to the shop: a word to its staff (社内通知), or a line of a list (リスト出力).

Posted to the shop's endpoint of that name, signed, where it has one; else left in the tray, from which
`matakite scenario handed ID` makes a file, and the staff is mailed that it is there. Ids only: who they are is read
when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.core.clock import Clock, SystemClock
from shared.core.ids import TenantId
from shared.delivery.channels.channel import Accepted, Message
from shared.delivery.handing import Leave, Note, Poster, Staff, post_or_leave
from shared.delivery.outbound import Endpoint, Outbound
from shared.delivery.tray import REPEATS

TEXT = "notify.txt"
"""What the staff reads."""


def _nowhere(_: TenantId) -> Endpoint | None:
    return None


@dataclass(frozen=True)
class HandoverChannel:
    """One person for the shop. `repeats`: the tray keeps one object a send, an endpoint knows a message by its id."""

    kind: str
    """`notify` or `export`; what it is called in the tray and to the endpoint."""
    tray: Leave
    parts: tuple[str, ...] = ()
    endpoint_of: Callable[[TenantId], Endpoint | None] = _nowhere
    poster: Poster = field(default_factory=Outbound)
    clock: Clock = field(default_factory=SystemClock)
    staff: Staff | None = None
    repeats = REPEATS

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        key = message.key
        said = {
            "send_id": key.send_id,
            "customer_id": key.customer_id,
            "scenario": message.scenario,
            "step": message.step,
            "at": f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}",
            **{part.partition(".")[0]: text for part, text in message.parts.items()},
        }
        endpoint = self.endpoint_of(key.tenant)
        fetch = f"matakite scenario handed {message.scenario} --kind {self.kind} --out ."
        note = Note(key, message.scenario, message.step, message.parts.get(TEXT, ""), fetch)
        post_or_leave(self.kind, note, said, endpoint, self.tray, self.poster, self.clock.now(), self.staff)
        return Accepted(f"{self.kind}-{key.send_id}")
