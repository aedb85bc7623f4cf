"""The synthesised templates, once per process, with one line of code in place of every bundle."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.names import DATA_STACK, STACK
from infra.node import use_bundled_node

Resource = dict[str, Any]


@dataclass(frozen=True)
class Templates:
    """Both stacks' templates."""

    data: Resource
    main: Resource

    def of_type(self, kind: str) -> Iterator[tuple[str, Resource]]:
        """Every resource of a CloudFormation type, by logical id."""
        for template in (self.data, self.main):
            for logical_id, resource in template["Resources"].items():
                if resource["Type"] == kind:
                    yield logical_id, resource

    def properties(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The properties of every resource of a type."""
        for logical_id, resource in self.of_type(kind):
            yield logical_id, resource.get("Properties", {})

    def policies(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(role, document) of every policy; beyond 10,240 letters CDK puts a role's statements into a managed one."""
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for _, policy in self.properties(kind):
                yield from ((role["Ref"], policy["PolicyDocument"]) for role in policy["Roles"])

    def resource(self, logical_id: str) -> Resource:
        """One resource of either stack."""
        found: Resource = (self.data["Resources"] | self.main["Resources"])[logical_id]
        return found


@cache
def assembly() -> Path:
    """The cloud assembly, with cdk-nag's verdict: synthesis raises on an unacknowledged finding."""
    use_bundled_node()
    from aws_cdk import aws_lambda as lambda_

    from infra.app import assemble

    out = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    assemble(out, lambda group: lambda_.Code.from_inline(f"# {group}")).synth()
    return out


@cache
def templates() -> Templates:
    """Both templates as dictionaries."""
    read = [json.loads((assembly() / f"{stack}.template.json").read_text()) for stack in (DATA_STACK, STACK)]
    return Templates(*read)
