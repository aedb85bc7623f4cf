"""Where the links of messages lead: table `deliveries`.

    pk {tenant}#click#{code}     sk link               whose, of which send, on which channel; no address of any page
    pk {tenant}#{customer_id}    sk links#{send_id}    code → URL; beside the person's sends, so an erasure takes it

A cart's link is a secret of its buyer: it stands only in the second row. 1 + n write units for a message with n links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.ids import CustomerId, SendId, TenantId
from shared.delivery.links.link import Link
from shared.delivery.model import SendKey


@dataclass(frozen=True, slots=True)
class Followed:
    """What a code stands for: one link of one message."""

    key: SendKey
    channel: str
    scenario: str
    step: str
    link: Link


class LinkStore(Protocol):
    """Keeps links and finds them again. Every method may raise UnavailableError and be called again."""

    def keep(self, links: Sequence[Followed]) -> None:
        """The links of one message, before it leaves. Repeated: the same."""
        ...

    def find(self, tenant: TenantId, code: str) -> Followed | None:
        """None for a code nobody made, and once its person was erased."""
        ...

    def of_customer(self, tenant: TenantId, customer: CustomerId) -> Mapping[SendId, Mapping[str, str]]:
        """Every link in a person's messages: send → code → URL."""
        ...


class MemoryLinks:
    """Links in memory."""

    def __init__(self) -> None:
        self.rows: dict[tuple[TenantId, str], Followed] = {}

    def keep(self, links: Sequence[Followed]) -> None:
        """See LinkStore."""
        self.rows |= {(each.key.tenant, each.link.code): each for each in links}

    def find(self, tenant: TenantId, code: str) -> Followed | None:
        """See LinkStore."""
        return self.rows.get((tenant, code))

    def of_customer(self, tenant: TenantId, customer: CustomerId) -> Mapping[SendId, Mapping[str, str]]:
        """See LinkStore."""
        found: dict[SendId, dict[str, str]] = {}
        for each in self.rows.values():
            if (each.key.tenant, each.key.customer_id) == (tenant, customer):
                found.setdefault(each.key.send_id, {})[each.link.code] = each.link.url
        return found


class DynamoLinks:
    """Links in DynamoDB."""

    def __init__(self, table: str, client: Any) -> None:
        self._table = table
        self._client = client

    def keep(self, links: Sequence[Followed]) -> None:
        """See LinkStore."""
        if not links:
            return
        key = links[0].key
        sets = ", ".join(f"#{number} = :{number}" for number in range(len(links)))
        with domain_errors("keep the links of a message"):
            self._client.update_item(
                TableName=self._table,
                Key=_urls_key(key.tenant, key.customer_id, key.send_id),
                UpdateExpression=f"SET {sets}",
                ExpressionAttributeNames={f"#{n}": _name(each.link.code) for n, each in enumerate(links)},
                ExpressionAttributeValues={f":{n}": {"S": each.link.url} for n, each in enumerate(links)},
            )
            for each in links:
                self._client.put_item(TableName=self._table, Item=_item(each))

    def find(self, tenant: TenantId, code: str) -> Followed | None:
        """See LinkStore."""
        item = self._get(_code_key(tenant, code))
        if item is None:
            return None
        said = {name: str(value["S"]) for name, value in item.items() if "S" in value}
        key = SendKey(tenant, CustomerId(said["customer_id"]), SendId(said["send_id"]))
        urls = self._get(_urls_key(tenant, key.customer_id, key.send_id)) or {}
        if _name(code) not in urls:
            return None
        link = Link(code, str(urls[_name(code)]["S"]), int(item["number"]["N"]))
        return Followed(key, said["channel"], said["scenario"], said["step"], link)

    def of_customer(self, tenant: TenantId, customer: CustomerId) -> Mapping[SendId, Mapping[str, str]]:
        """See LinkStore."""
        with domain_errors("read somebody's links"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                ExpressionAttributeValues={":pk": {"S": f"{tenant}#{customer}"}, ":sk": {"S": _LINKS}},
                ConsistentRead=True,
            )
            return {
                SendId(item["sk"]["S"].removeprefix(_LINKS)): _urls(item) for page in pages for item in page["Items"]
            }

    def _get(self, key: dict[str, Any]) -> dict[str, Any] | None:
        with domain_errors("find a link"):
            answer = self._client.get_item(TableName=self._table, Key=key)
        found: dict[str, Any] | None = answer.get("Item")
        return found


_LINKS = "links#"
_TO = "to_"


def _name(code: str) -> str:
    return f"{_TO}{code}"


def _urls(item: Mapping[str, Any]) -> dict[str, str]:
    return {name.removeprefix(_TO): str(value["S"]) for name, value in item.items() if name.startswith(_TO)}


def _code_key(tenant: TenantId, code: str) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#click#{code}"}, "sk": {"S": "link"}}


def _urls_key(tenant: TenantId, customer: CustomerId, send: SendId) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#{customer}"}, "sk": {"S": f"{_LINKS}{send}"}}


def _item(each: Followed) -> dict[str, Any]:
    words = {
        "customer_id": each.key.customer_id,
        "send_id": each.key.send_id,
        "channel": each.channel,
        "scenario": each.scenario,
        "step": each.step,
    }
    fields = {name: {"S": value} for name, value in words.items()}
    return {**_code_key(each.key.tenant, each.link.code), **fields, "number": {"N": str(each.link.number)}}
