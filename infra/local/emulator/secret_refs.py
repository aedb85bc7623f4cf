"""Let `Ref` of a secret be its ARN, as on AWS.

Without it: `Ref` of an `AWS::SecretsManager::Secret` is its name, so every policy the CDK writes for a secret (it
refers to it by `Ref`) names no resource, and reading the secret is refused.
Mended by keeping the ARN as the resource's physical id, and turning it back into the name for MiniStack's handlers.
"""

from __future__ import annotations

from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

from infra.local.emulator.settings import EmulatorSettings

Attributes = dict[str, Any]


def _name(arn: str) -> str:
    for name, secret in secretsmanager._secrets.items():
        if secret.get("ARN") == arn:
            return str(name)
    return arn


def install(settings: EmulatorSettings) -> None:
    """Patch the CloudFormation resource."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def create_by_arn(logical_id: str, props: Attributes, stack_name: str) -> tuple[str, Attributes]:
        _, attributes = create(logical_id, props, stack_name)
        return str(attributes["Arn"]), attributes

    def update_by_arn(
        arn: str, old_props: Attributes, new_props: Attributes, stack_name: str, logical_id: str | None = None
    ) -> tuple[str, Attributes]:
        _, attributes = update(_name(arn), old_props, new_props, stack_name, logical_id)
        return str(attributes["Arn"]), attributes

    def delete_by_arn(arn: str, props: Attributes) -> None:
        delete(_name(arn), props)

    handlers.update(create=create_by_arn, update=update_by_arn, delete=delete_by_arn)
