"""The AWS call of each step of the send protocol, for one person: where a fault can be aimed (reliability.md §1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.delivery.model import SendState
from tests.system.faults.cohort import FIRST, SCENARIO, Cohort, Someone

ENTER, READ, CONTACT, RESERVE = "enter", "read person", "read contact", "reserve"
CLAIM, MARK, SEND, RECORD, STAND, FUNNEL = "claim slot", "mark", "send", "record", "enrolment", "funnel"
SDK_ATTEMPTS = 5
"""What the SDK tries before it gives up: fewer failures than that, nobody but the SDK sees."""


def aim(call: str, cohort: Cohort, one: Someone) -> dict[str, Any]:
    """The calls of the step function that are this person's `call` of the first mail."""
    tables = cohort.stage.deployment.outputs
    person, send = f"{cohort.tenant}#{cohort.ids[one.occurrence]}", f"send#{cohort.send(one)}"
    match call:
        case "enter":
            return _dynamodb("UpdateItem", one.occurrence, _sets("state", "entered"))
        case "read person":
            return _dynamodb("Query", tables["CustomersTable"], person)
        case "read contact":
            return _dynamodb("GetItem", person, '"contact"')
        case "reserve":
            return _dynamodb("UpdateItem", send, _sets("state", SendState.RESERVED))
        case "claim slot":
            return _dynamodb("PutItem", person, '"contact"')
        case "mark":
            return _dynamodb("UpdateItem", send, _sets("state", SendState.SENDING))
        case "send":
            return {"service": "ses", "action": "SendEmail", "contains": one.email}
        case "record":
            return _dynamodb("UpdateItem", send, _sets("state", SendState.SENT))
        case "enrolment":
            return _dynamodb("UpdateItem", one.occurrence, _sets("step", FIRST))
        case "funnel":
            return _dynamodb("PutItem", f"{cohort.tenant}#{SCENARIO}", f"#{FIRST}#")
    raise ValueError(call)


def _dynamodb(action: str, *texts: str) -> dict[str, Any]:
    contains: Sequence[str] = texts
    return {"service": "dynamodb", "action": action, "contains": list(contains), "principal": "ScenariosStep"}


def _sets(name: str, value: str) -> str:
    return f'":{name}": {{"S": "{value}"}}'
