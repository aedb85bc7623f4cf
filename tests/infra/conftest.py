"""The synthesised templates, once per run, with one line of code in place of every bundle."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.names import DATA_STACK, STACK
from infra.node import use_bundled_node

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly, with cdk-nag's verdict: synthesis raises on an unacknowledged finding."""
    use_bundled_node()
    from aws_cdk import aws_lambda as lambda_

    from infra.app import assemble

    out = tmp_path_factory.mktemp("assembly")
    assemble(out, lambda group: lambda_.Code.from_inline(f"# {group}")).synth()
    return out


@pytest.fixture(scope="session")
def templates(assembly: Path) -> Templates:
    """Both templates as dictionaries."""
    read = [json.loads((assembly / f"{stack}.template.json").read_text()) for stack in (DATA_STACK, STACK)]
    return Templates(*read)


def our_functions(templates: Templates) -> dict[str, dict[str, Any]]:
    """Properties of our Lambdas by file name (`ingest/receive_webhook`)."""
    found = {}
    for _, properties in templates.properties("AWS::Lambda::Function"):
        handler = properties.get("Handler", "")
        if isinstance(handler, str) and handler.startswith("functions."):
            found["/".join(handler.split(".")[1:-1])] = properties
    return found


def function_files() -> dict[str, Path]:
    """Every Lambda file by name."""
    files = (ROOT / "functions").glob("*/*.py")
    return {f"{f.parent.name}/{f.stem}": f for f in files if f.stem != "__init__"}


def settings_fields(file: Path) -> set[str]:
    """Field names of the `Settings` dataclass at the top of a Lambda file."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == "Settings":
            return {
                item.target.id
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
    return set()
