"""Starting the state machine of a scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from shared.core.aws import domain_errors


class Machines(Protocol):
    """The scenarios' state machines."""

    def start(self, scenario: str, execution: str, document: Mapping[str, Any]) -> bool:
        """Start an execution of that name. False: it was started before."""
        ...


class StepFunctions:
    """State machines in AWS; `prefix` and the scenario's id make the ARN."""

    def __init__(self, prefix: str, client: Any) -> None:
        self._prefix = prefix
        self._client = client

    def start(self, scenario: str, execution: str, document: Mapping[str, Any]) -> bool:
        """Start an execution of that name. False: it was started before."""
        arn = f"{self._prefix}{scenario.replace('_', '-')}"
        try:
            with domain_errors(f"start scenario {scenario}"):
                self._client.start_execution(stateMachineArn=arn, name=execution, input=json.dumps(document))
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True
