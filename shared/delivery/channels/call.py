"""A task for the call centre (架電タスク): posted to its system, signed, or left in the tray for the CSV file, of which
the shop's staff is told by mail (without name and number: those are in the file).

The task's id is the send id. What came of the call returns with it (sources/callcentre.py, or the file `calls`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.clock import Clock, SystemClock
from shared.core.ids import TenantId
from shared.delivery.channels.channel import Accepted, Message, RefusedError
from shared.delivery.handing import Leave, Note, Poster, Staff, post_or_leave
from shared.delivery.outbound import Endpoint, Outbound
from shared.delivery.tray import REPEATS

PART = "call.json"
"""What the agent needs: a JSON object with `reason` and `script`, and `name`, `ltv`, `deadline`, `title`."""
KIND = "call"
FIELDS = ("title", "name", "reason", "ltv", "deadline", "script")
_NEEDED = ("reason", "script")


@dataclass(frozen=True)
class CallChannel:
    """One task for one person. `repeats`: the tray keeps one object a task, a call centre knows it by its id."""

    endpoint_of: Callable[[TenantId], Endpoint | None]
    """None: the shop fetches its tasks as a file."""
    tray: Leave
    poster: Poster = field(default_factory=Outbound)
    clock: Clock = field(default_factory=SystemClock)
    staff: Staff | None = None
    parts = (PART,)
    repeats = REPEATS

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        task = _task(message)
        endpoint = self.endpoint_of(message.key.tenant)
        note = Note(message.key, message.scenario, message.step, _words(task), "matakite call export --out .")
        post_or_leave(KIND, note, task, endpoint, self.tray, self.poster, self.clock.now(), self.staff)
        return Accepted(f"call-{message.key.send_id}")


def _words(task: Mapping[str, str]) -> str:
    """What the staff reads of it."""
    deadline = f"\n期限: {task['deadline']}" if "deadline" in task else ""
    return f"お電話のお願い（{task.get('title', '架電依頼')}）\n\n理由: {task['reason']}{deadline}"


def _task(message: Message) -> dict[str, Any]:
    return {
        "send_id": message.key.send_id,
        "task_id": message.key.send_id,
        "customer_id": message.key.customer_id,
        "scenario": message.scenario,
        "step": message.step,
        "shop": message.sender.from_name,
        "phone": message.to,
        **read_task(message.parts[PART]),
    }


def read_task(part: str) -> dict[str, str]:
    """The rendered part as text fields. Raises RefusedError saying what is missing or not known."""
    try:
        document = json.loads(part)
    except ValueError:
        raise RefusedError(f"{PART} is no JSON once it is rendered: write every variable with `| json`") from None
    if not isinstance(document, dict) or not set(document) <= set(FIELDS):
        raise RefusedError(f"{PART} must be a JSON object of {', '.join(FIELDS)}")
    task = {name: str(document[name]) for name in FIELDS if document.get(name) is not None}
    if missing := [name for name in _NEEDED if not task.get(name)]:
        raise RefusedError(f"{PART} lacks {', '.join(missing)}: why this call, and what to say")
    return task
