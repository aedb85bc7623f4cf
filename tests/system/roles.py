"""Takes a permission away from a deployed role, and gives it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.cli.session import Deployment


@contextmanager
def without(deployment: Deployment, role: str, action: str) -> Iterator[None]:
    """While inside, the one role whose name contains `role` may not do `action`."""
    iam = deployment.client("iam")
    names = [each["RoleName"] for page in iam.get_paginator("list_roles").paginate() for each in page["Roles"]]
    (name,) = [each for each in names if role in each]
    policies = {
        policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    }
    reduced = {policy: _without(document, action) for policy, document in policies.items()}
    assert reduced != policies, f"{name} was never allowed {action}"
    _put(iam, name, reduced)
    try:
        yield
    finally:
        _put(iam, name, policies)


def _put(iam: Any, role: str, policies: dict[str, Any]) -> None:
    for policy, document in policies.items():
        if document["Statement"]:
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
        else:
            iam.delete_role_policy(RoleName=role, PolicyName=policy)


def _without(document: dict[str, Any], action: str) -> dict[str, Any]:
    kept = [
        {**statement, "Action": [each for each in listed(statement["Action"]) if each != action]}
        for statement in document["Statement"]
    ]
    return {**document, "Statement": [statement for statement in kept if statement["Action"]]}


def listed(value: Any) -> list[Any]:
    """An action or resource of a policy is one or many."""
    return list(value) if isinstance(value, list) else [value]
