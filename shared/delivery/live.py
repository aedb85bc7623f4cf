"""The ports of `deliver` in a deployment: DynamoDB, SES, the shop's settings and keys. Built once per worker."""

from __future__ import annotations

from shared.core.aws import SINGLE_ATTEMPT, client
from shared.core.keys import load_key_ring
from shared.core.shop import load_shop
from shared.customers.store import CustomerStore
from shared.delivery.account import live_turns
from shared.delivery.channels.ses import SesChannel
from shared.delivery.render import TemplateStore
from shared.delivery.send import SendDeps
from shared.delivery.store import DynamoLedgerStore


def live_send_deps(
    deliveries_table: str, customers: CustomerStore, keys_secret: str, configuration_set: str, prefix: str
) -> SendDeps:
    """The real thing. The SES client makes a single attempt: a repeated call would be a second mail."""
    return SendDeps(
        ledger=DynamoLedgerStore(deliveries_table, client("dynamodb")),
        read_person=customers.person,
        read_shop=lambda tenant: load_shop(prefix, tenant),
        channels={"email": SesChannel(configuration_set, client("sesv2", SINGLE_ATTEMPT))},
        renderer=TemplateStore(),
        keys=load_key_ring(keys_secret),
        turns=live_turns(deliveries_table),
    )
