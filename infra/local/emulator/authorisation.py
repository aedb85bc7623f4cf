"""Ask IAM whether a role, or an AWS service itself, may do something: the questions AWS asks inside its services."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext
from ministack.services import iam, lambda_svc, sns, sqs, sts

from infra.local.emulator.settings import ACCOUNT, REGION


class NotAuthorisedError(Exception):
    """The role (or service) has no permission for the action; the message is worded as AWS words it."""


@dataclass(frozen=True)
class ServiceCall:
    """A call an AWS service makes in its own name, let in by the resource's own policy."""

    service: str
    action: str
    resource: str
    source_arn: str


_lock = threading.Lock()
_let_in: Counter[tuple[str, str, int]] = Counter()


def role_name(role_arn: str) -> str:
    """The role's name out of its ARN, with or without a path."""
    return role_arn.rsplit("/", 1)[-1]


def role_allows(role_arn: str, action: str, resource: str, context: dict[str, Any] | None = None) -> bool:
    """Whether the role's policies allow the action."""
    name = role_name(role_arn)
    policies = iam_evaluator._gather_role_policies(name, ACCOUNT)
    question = EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/service",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        service_context={key.lower(): value for key, value in (context or {}).items()},
    )
    return bool(iam_evaluator.evaluate(question, policies).decision == "Allow")


def require_role(role_arn: str, action: str, resource: str, context: dict[str, Any] | None = None) -> None:
    """Raise unless the role's policies allow the action."""
    if not role_arn:
        raise NotAuthorisedError(f"no role was given to perform: {action} on resource: {resource}")
    if not role_allows(role_arn, action, resource, context):
        raise NotAuthorisedError(
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{role_name(role_arn)}/service is not authorized to perform: "
            f"{action} on resource: {resource} because no identity-based policy allows the {action} action"
        )


def role_access_key(role_arn: str) -> str:
    """An access key of a session of this role, for calls a service makes in the role's name."""
    name = role_name(role_arn)
    digest = hashlib.sha256(f"service:{role_arn}".encode()).hexdigest()
    access_key = f"ASIA{digest[:16].upper()}"
    if sts._sessions.get(access_key) is None:
        sts.register_session(
            access_key,
            {
                "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/service",
                "UserId": f"{name}:service",
                "SecretAccessKey": digest,
                "SessionToken": digest[::-1],
            },
        )
    return access_key


def require_trust(role_arn: str, service: str) -> None:
    """Raise unless the role lets this AWS service assume it."""
    role = iam._roles.get(role_name(role_arn)) or {}
    document = role.get("AssumeRolePolicyDocument") or {}
    if isinstance(document, str):
        document = json.loads(document)
    statements = document.get("Statement", [])
    for statement in [statements] if isinstance(statements, dict) else statements:
        named = iam_evaluator._service_principal_matches(statement.get("Principal", {}), service)
        if statement.get("Effect") == "Allow" and named:
            return
    raise NotAuthorisedError(f"{service} is not authorized to assume {role_arn}")


def require_service(call: ServiceCall) -> None:
    """Raise unless the resource's own policy lets the AWS service in."""
    statements = list(_resource_statements(call.resource))
    question = EvalContext(
        principal_arn="",
        principal_type="Service",
        principal_account=ACCOUNT,
        action=call.action,
        resource_arn=call.resource,
        region=REGION,
        service_context={"aws:sourcearn": call.source_arn, "aws:sourceaccount": ACCOUNT},
    )
    denied = iam_evaluator.evaluate_resource_policy({"Statement": statements}, question, service=call.service)
    if denied.decision == "Deny":
        raise NotAuthorisedError(f"{call.service} is denied {call.action} on {call.resource} by its policy")
    for index, statement in enumerate(statements):
        answer = iam_evaluator.evaluate_resource_policy({"Statement": [statement]}, question, service=call.service)
        if answer.decision == "Allow":
            with _lock:
                _let_in[call.resource, str(statement.get("Sid", "")), index] += 1
            return
    raise NotAuthorisedError(
        f"{call.service} is not authorized to perform: {call.action} on resource: {call.resource} "
        f"because no resource-based policy allows it from {call.source_arn}"
    )


def _resource_statements(arn: str) -> Iterator[dict[str, Any]]:
    found: Any = None
    service = arn.split(":")[2]
    if service == "lambda":
        func, _config, _name = lambda_svc._get_func_record_for_ref(arn)
        found = (func or {}).get("policy")
    elif service == "sqs":
        found = (sqs.queue_policy_for_arn(arn) or ("",))[0]
    elif service == "sns":
        found = (sns.topic_policy_for_arn(arn) or ("",))[0]
    if isinstance(found, str):
        found = json.loads(found) if found else {}
    statements = (found or {}).get("Statement", [])
    yield from [statements] if isinstance(statements, dict) else statements


def service_permissions() -> list[dict[str, Any]]:
    """Every statement in a function's or queue's own policy that lets an AWS service in, and how often it did."""
    with _lock:
        counted = Counter(_let_in)
    arns = [f["config"]["FunctionArn"] for _, f in list(lambda_svc._functions.items())]
    arns += [q["attributes"]["QueueArn"] for _, q in list(sqs._queues.items())]
    return [
        {
            "resource": arn,
            "sid": statement.get("Sid", ""),
            "service": statement["Principal"]["Service"],
            "action": statement.get("Action"),
            "condition": statement.get("Condition", {}),
            "calls": counted[arn, str(statement.get("Sid", "")), index],
        }
        for arn in arns
        for index, statement in enumerate(_resource_statements(arn))
        if statement.get("Effect") == "Allow"
        and isinstance(statement.get("Principal"), dict)
        and "Service" in statement["Principal"]
    ]


def forget_permissions() -> None:
    """Start counting anew."""
    with _lock:
        _let_in.clear()
