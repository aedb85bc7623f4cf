"""What a shop's tables hold, as something that can be compared before and after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from infra.cli.session import Deployment
from infra.demo import verify
from infra.demo.stage import Stage
from infra.local.process import Emulator
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing, parse_key_ring
from shared.customers.model import PersonState
from shared.customers.store import CustomerStore

Books = dict[str, Any]


def scan(deployment: Deployment, table: str) -> Iterator[dict[str, Any]]:
    """Every item of a table, by the output that names it."""
    pages = deployment.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=deployment.outputs[table], ConsistentRead=True):
        yield from page["Items"]


def table_of(deployment: Deployment, table: str, tenant: TenantId) -> dict[str, str]:
    """A shop's items, attribute by attribute: nothing is left out."""
    return {
        f"{item['pk']['S']} {item['sk']['S']}": json.dumps(item, sort_keys=True, default=repr)
        for item in scan(deployment, table)
        if item["pk"]["S"].startswith(f"{tenant}#")
    }


def books_of(stage: Stage, emulator: Emulator) -> Books:
    """Everything a replay could spoil: state, enrolments, ledger, events and mails of a shop."""
    tenant = stage.shop.tenant
    books: Books = {
        name: table_of(stage.deployment, name, tenant)
        for name in ("CustomersTable", "ScenariosTable", "DeliveriesTable", "EventsTable")
    }
    return books | {"mails": sorted(mail["message_id"] for mail in verify.outbox(emulator, tenant))}


def keys_of(deployment: Deployment) -> KeyRing:
    """The deployment's keys."""
    secrets = deployment.client("secretsmanager")
    return parse_key_ring(secrets.get_secret_value(SecretId=deployment.outputs["KeysSecret"])["SecretString"])


def people_of(stage: Stage) -> dict[CustomerId, PersonState]:
    """Everybody of a shop as the product reads them, each under one id."""
    store = CustomerStore(stage.deployment.outputs["CustomersTable"], stage.deployment.client("dynamodb"))
    tenant = stage.shop.tenant
    ids = [
        CustomerId(item["pk"]["S"].removeprefix(f"{tenant}#"))
        for item in scan(stage.deployment, "CustomersTable")
        if item["sk"]["S"] == "profile" and item["pk"]["S"].startswith(f"{tenant}#") and "merged_into" not in item
    ]
    found = (store.person(tenant, each) for each in ids)
    return {person.profile.customer_id: person for person in found if person is not None}
