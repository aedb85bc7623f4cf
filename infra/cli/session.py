"""Which deployment the command talks to: the local cloud while it runs, else the AWS account of the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from infra.names import DATA_STACK, PREFIX, STACK
from shared.core.errors import MisconfiguredError
from shared.core.keys import KeyRing, parse_key_ring


@dataclass(frozen=True)
class Deployment:
    """One deployed Matakite: its clients and the outputs of its stack."""

    session: boto3.Session
    local_url: str | None = None
    """Endpoint of the local cloud; None for an AWS account."""
    prefix: str = PREFIX

    def client(self, service: str) -> Any:
        """A boto3 client that talks to this deployment."""
        return self.session.client(service)  # type: ignore[call-overload]

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of both stacks; `ApiUrl` and `HooksUrl` are addresses a browser or cart can really reach."""
        outputs = {**self._outputs_of(DATA_STACK), **self._outputs_of(STACK)}
        if self.local_url:
            outputs["ApiUrl"] = f"{self.local_url}/_aws/execute-api/{outputs['ApiId']}"
            address = urlsplit(outputs["HooksUrl"]).hostname or ""
            outputs["HooksUrl"] = f"{self.local_url}/_aws/lambda-url/{address.partition('.')[0]}"
        return outputs

    def keys(self) -> KeyRing:
        """The deployment's own secret keys."""
        secret = self.client("secretsmanager").get_secret_value(SecretId=self.outputs["KeysSecret"])
        return parse_key_ring(secret["SecretString"])

    def machine(self, name: str) -> str:
        """The ARN of a state machine. Raises MisconfiguredError for one that is not deployed."""
        pages = self.client("stepfunctions").get_paginator("list_state_machines").paginate()
        for machine in (each for page in pages for each in page["stateMachines"]):
            if machine["name"] == name:
                return str(machine["stateMachineArn"])
        raise MisconfiguredError(self._deploy_first(f"state machine {name} does not exist"))

    def _outputs_of(self, stack: str) -> dict[str, str]:
        try:
            found = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise MisconfiguredError(self._deploy_first(f"stack {stack} does not exist")) from None
        outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
        if not outputs:
            raise MisconfiguredError(self._deploy_first(f"stack {stack} is {found['StackStatus']}"))
        return outputs

    def _deploy_first(self, why: str) -> str:
        how = "`matakite local up`" if self.local_url else "`cdk deploy --all`"
        return f"Matakite is not deployed there ({why}): run {how} and wait for its end"


def connect() -> Deployment:
    """The deployment to work on: `MATAKITE_TARGET=aws` forces the AWS account, `local` the local cloud."""
    # Imported late: infra.local is not needed (nor complete) where only an AWS account is used.
    from infra.local.process import running
    from infra.local.session import LocalSession

    target = os.environ.get("MATAKITE_TARGET", "")
    emulator = running() if target != "aws" else None
    if emulator is not None:
        return Deployment(LocalSession(emulator), emulator.endpoint)
    if target == "local" or not _has_credentials():
        raise MisconfiguredError(
            "no deployment found: start the local cloud (`matakite local up`), "
            "or set AWS credentials and MATAKITE_TARGET=aws"
        )
    session = boto3.Session()
    if not session.region_name:
        raise MisconfiguredError("which region was it deployed to? Set AWS_DEFAULT_REGION, such as ap-northeast-1")
    return Deployment(session)


def _has_credentials() -> bool:
    return boto3.Session().get_credentials() is not None
