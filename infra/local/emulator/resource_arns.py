"""Name the resource a call is about as AWS does when it asks IAM.

Without it: MiniStack asks for ``*`` where Athena's calls name no workgroup (AWS: the primary or the query's own
workgroup), for the database where Glue's calls name a table, for ``*`` where SSM lists the parameters below a path
(AWS: the path), for a log group without the ``:*`` that policies carry, and for `sqs:SendMessageBatch`, which is no
permission of AWS's (it asks for `sqs:SendMessage`); so a grant as narrow as it should be is refused.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions
from ministack.services import athena

from infra.local.emulator.settings import ACCOUNT, REGION, EmulatorSettings


def _body(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def athena_resource(data: dict[str, Any]) -> str:
    """The workgroup a call is about."""
    execution = athena._executions.get(data.get("QueryExecutionId")) or {}
    group = data.get("WorkGroup") or execution.get("WorkGroup") or "primary"
    return f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{group}"


def glue_resource(action: str, data: dict[str, Any]) -> str | None:
    """The table a call is about, when it names one."""
    table = data.get("TableName") or (data.get("Name") if action in ("GetTable", "DeleteTable") else None)
    table = table or (data.get("TableInput") or {}).get("Name")
    if not (table and data.get("DatabaseName")):
        return None
    return f"arn:aws:glue:{REGION}:{ACCOUNT}:table/{data['DatabaseName']}/{table}"


def logs_resource(data: dict[str, Any]) -> str | None:
    """The log group or stream a call is about."""
    group = data.get("logGroupName") or str(data.get("logGroupIdentifier", "")).rpartition("log-group:")[2]
    if not group:
        return None
    stream = data.get("logStreamName")
    base = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group.removesuffix(':*')}"
    return f"{base}:log-stream:{stream}" if stream else f"{base}:*"


def parameters_resource(data: dict[str, Any]) -> str | None:
    """The path whose parameters a call lists."""
    path = str(data.get("Path", "")).rstrip("/")
    return f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{path}" if path else None


def install(settings: EmulatorSettings) -> None:
    """Answer for these services before MiniStack does."""
    extract = iam_actions.extract_resource_arn

    def extract_as_aws(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], *rest: Any
    ) -> str:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        found: str | None = None
        if service == "athena":
            found = athena_resource(_body(body))
        elif service == "glue":
            found = glue_resource(action, _body(body))
        elif service == "ssm" and action == "GetParametersByPath":
            found = parameters_resource(_body(body))
        elif service == "logs" and "Tag" not in action:
            found = logs_resource(_body(body))
        return found or str(extract(service, method, path, headers, body, query, *rest))

    iam_actions.extract_resource_arn = extract_as_aws
    name_action = iam_actions.extract_iam_action

    def action_as_aws(service: str, *rest: Any, **named: Any) -> str | None:
        """SQS has no permissions of its own for batches: `sqs:SendMessage` allows SendMessageBatch too."""
        action: str | None = name_action(service, *rest, **named)
        return action.removesuffix("Batch") if action and service == "sqs" else action

    iam_actions.extract_iam_action = action_as_aws
