"""What was counted: the local cloud's counters (`/_matakite/calls`), read as units that have a price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.errors import RejectedError

_FUNCTIONS = (
    "ReceiveWebhook", "UpdateState", "ArchiveEvents", "ArchiveStates", "Trigger", "Sweep", "Step", "ReceiveFeedback",
    "Unsubscribe", "Reconcile", "ReceiveTracking",
)  # fmt: skip
_UNITS = {
    ("s3", "PutObject"): "object_put",
    ("s3", "GetObject"): "object_get",
    ("ses", "SendEmail"): "ses_mail",
    ("sqs", "SendMessage"): "queue_request",
    ("sqs", "ReceiveMessage"): "queue_request",
    ("sqs", "DeleteMessage"): "queue_request",
}


@dataclass(frozen=True)
class Counts:
    """Calls, DynamoDB units, transitions and executions, by who made them (`Step`, `ReceiveWebhook`, …)."""

    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(who, service, action)"""
    written: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    gigabyte_seconds: float = 0.0
    """As they passed on this machine, which is not AWS's."""
    executions: int = 0
    transitions: int = 0

    def called(self, who: str, service: str, *actions: str) -> int:
        """Calls of one function to one service."""
        return sum(
            n for (w, s, a), n in self.calls.items() if (w, s) == (who, service) and (not actions or a in actions)
        )

    def usage(self) -> dict[str, float]:
        """All of it in units that have a price."""
        usage: Counter[str] = Counter()
        for (_, service, action), count in self.calls.items():
            if unit := _UNITS.get((service, action)):
                usage[unit] += count
        found: dict[str, float] = dict(usage)
        found["write_unit"], found["read_unit"] = float(self.written.total()), float(self.read.total())
        found["lambda_request"], found["lambda_gb_second"] = float(self.invocations.total()), self.gigabyte_seconds
        # The start of an execution is a transition too.
        found["transition"] = float(self.transitions + self.executions)
        return {unit: quantity for unit, quantity in found.items() if quantity}


def read_counts(document: Mapping[str, Any]) -> Counts:
    """Counters as the local cloud answers them. Raises RejectedError when it is something else."""
    try:
        calls: Counter[tuple[str, str, str]] = Counter()
        for row in document["calls"]:
            calls[who(row["principal"]), row["service"], row["action"]] += int(row["count"])
        return Counts(
            calls=calls,
            written=_sum((row.get("principal", ""), row["write_units"]) for row in document["dynamodb"]),
            read=_sum((row.get("principal", ""), row["read_units"]) for row in document["dynamodb"]),
            invocations=_sum((row["function"], row["invocations"]) for row in document["functions"]),
            gigabyte_seconds=sum(float(row["gigabyte_seconds"]) for row in document["functions"]),
            executions=sum(int(row.get("executions", 0)) for row in document["state_machines"]),
            transitions=sum(int(row.get("transitions", 0)) for row in document["state_machines"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RejectedError(f"these are no counters of the local cloud: {error!r} is missing or no number") from None


def who(principal: str) -> str:
    """`Matakite-ScenariosStepRole…` and `Matakite-ScenariosStepC8DD…` → `Step`; what is not ours stays as it is."""
    found = [name for name in _FUNCTIONS if name in principal]
    return max(found, key=len) if found else principal


def _sum(rows: Iterable[tuple[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for principal, quantity in rows:
        total[who(principal)] += quantity
    return total
