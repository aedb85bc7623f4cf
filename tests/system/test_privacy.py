"""Addresses, names and phone numbers stay in DynamoDB: everything else the deployment wrote is searched for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.cli.session import Deployment
from infra.demo import cdnow, shopify, verify
from infra.demo.post import post_all
from infra.demo.settle import settle, wait_until
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP, Call
from infra.local.process import LocalPaths, internal
from shared.analytics.parquet import decode
from shared.customers.rows import decode_item
from shared.ingest import history, oversize
from tests.system.books import people_of, scan
from tests.system.conftest import OpenShop, Played
from tests.system.screen import matakite

BUYER = Buyer(9_300, "himitsu.hitomi@example.jp", "秘守", "瞳美")
PHONES = ("05000000931", "05000000932")
IMPORTED = "himitsu.mamoru@example.com"
FILE = f"""order_id,customer_id,email,last_name,first_name,phone,ordered_at,amount
P-1,77,{IMPORTED},秘守,衛雄,{PHONES[1]},2026-10-01,1200
"""
# Every address in this suite ends like this; the shop's own sender does not.
ADDRESS = re.compile(r"[\w.+-]+(?:@|%40)(?:example\.(?:jp|com)|simulator\.amazonses\.com)")
NAMES = re.compile("|".join(["秘守", "瞳美", "衛雄", *cdnow._FIRST_NAMES]))
PHONE = re.compile("0?50[- ]?0000[- ]?0?93[12]")
BEARER = re.compile(r"recover\?key")
"""The link in a mail that opens the buyer's checkout."""

MAY_HOLD = (history.PREFIX, oversize.PREFIX)
"""Of the work bucket: raw files and bodies on their way in, encrypted and expired."""


@pytest.fixture(scope="module")
def shop(
    played: Played, open_shop: OpenShop, cloud_paths: LocalPaths, tmp_path_factory: pytest.TempPathFactory
) -> Stage:
    """A shop that was told everything about two people, and a reader of the day's mails who clicks."""
    stage, emulator = open_shop("privacy"), played.cloud.emulator
    at = datetime.now(UTC) - timedelta(minutes=2)
    person: dict[str, Any] = {
        "phone": PHONES[0],
        "customer": shopify._customer(BUYER) | {"phone": PHONES[0]},
        "browser_ip": "192.0.2.7",
    }
    checkout = shopify.checkout("secret-token", BUYER, PRODUCTS[:2], at, SHOP) | person
    order = shopify.order(9_300, "secret-token", BUYER, PRODUCTS[:2], at) | person
    bodies = {"checkouts/update": checkout, "orders/create": order, "customers/update": person["customer"]}
    calls = [Call(topic, shopify.encode(body), f"privacy-{topic}", at) for topic, body in bodies.items()]
    assert post_all(stage.endpoint, calls).surprises == []
    file = Path(tmp_path_factory.mktemp("privacy")) / "history.csv"
    file.write_text(FILE, encoding="utf-8")
    assert matakite(cloud_paths, "import", "orders", str(file), "--shop", "privacy").status == 0
    mail = next(m for m in verify.outbox(emulator, played.stage.shop.tenant) if BEARER.search(m["html"]))
    link = next(url for url in re.findall(r'href="([^"]+)"', mail["html"]) if BEARER.search(url))
    internal(emulator, "POST", f"/_matakite/outbox/{mail['message_id']}/open", {})
    internal(emulator, "POST", f"/_matakite/outbox/{mail['message_id']}/click", {"link": link.replace("&amp;", "&")})
    settle(emulator)
    wait_until(lambda: {BUYER.email, IMPORTED} <= {p.profile.email for p in people_of(stage).values()}, "both", 20)
    return stage


def test_the_search_would_find_them_where_they_may_be(shop: Stage) -> None:
    held = json.dumps([decode_item(item).body for item in scan(shop.deployment, "CustomersTable")], ensure_ascii=False)
    assert {BUYER.email, IMPORTED} <= set(ADDRESS.findall(held))
    assert {"瞳美", "衛雄", "太郎"} <= set(NAMES.findall(held))
    assert PHONE.search(held)
    assert BEARER.search(held)


def lake(deployment: Deployment) -> Iterator[str]:
    s3, bucket = deployment.client("s3"), deployment.outputs["LakeBucket"]
    for key in keys_in(deployment, "LakeBucket"):
        rows = decode(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).to_pylist()
        yield key + json.dumps(rows, ensure_ascii=False, default=str)


def keys_in(deployment: Deployment, bucket: str) -> Iterator[str]:
    pages = deployment.client("s3").get_paginator("list_objects_v2").paginate(Bucket=deployment.outputs[bucket])
    for page in pages:
        yield from (found["Key"] for found in page.get("Contents", []))


def work(deployment: Deployment) -> Iterator[str]:
    """Cohorts and query results, and the names of everything."""
    s3, bucket = deployment.client("s3"), deployment.outputs["WorkBucket"]
    for key in keys_in(deployment, "WorkBucket"):
        body = b"" if key.startswith(MAY_HOLD) else s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        yield key + body.decode("utf-8", "replace")


def logs(deployment: Deployment) -> Iterator[str]:
    client = deployment.client("logs")
    for groups in client.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            yield from (event["message"] for page in pages for event in page["events"])


def metrics(deployment: Deployment) -> Iterator[str]:
    for page in deployment.client("cloudwatch").get_paginator("list_metrics").paginate():
        yield from (json.dumps(metric, ensure_ascii=False) for metric in page["Metrics"])


def executions(deployment: Deployment) -> Iterator[str]:
    """Names, inputs, outputs and every step in between."""
    states = deployment.client("stepfunctions")
    for machines in states.get_paginator("list_state_machines").paginate():
        for machine in machines["stateMachines"]:
            found = states.list_executions(stateMachineArn=machine["stateMachineArn"], maxResults=1000)["executions"]
            for each in found:
                arn = each["executionArn"]
                yield _text(states.describe_execution(executionArn=arn))
                pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
                yield from (_text(event) for page in pages for event in page["events"])


def _text(answer: Any) -> str:
    return json.dumps(answer, ensure_ascii=False, default=str).encode().decode(
        "unicode_escape", "replace"
    ) + json.dumps(answer, ensure_ascii=False, default=str)


def tables(deployment: Deployment) -> Iterator[str]:
    """Tables that need nobody's address, whole; and the keys of those that hold them: a key is in every log of AWS."""
    for table in ("ScenariosTable", "DeliveriesTable", "ReportsTable"):
        yield from (json.dumps(item, ensure_ascii=False, default=str) for item in scan(deployment, table))
    for table in ("CustomersTable", "EventsTable"):
        yield from (f"{item['pk']['S']} {item['sk']['S']}" for item in scan(deployment, table))


PLACES = {
    "the lake": (lake, 10),
    "cohorts and query results": (work, 10),
    "the logs": (logs, 500),
    "the metrics": (metrics, 5),
    "the executions": (executions, 50),
    "other tables, and keys": (tables, 500),
}


@pytest.mark.parametrize("place", PLACES)
def test_nobodys_address_name_or_phone_is_in(shop: Stage, place: str) -> None:
    read, at_least = PLACES[place]
    texts = list(read(shop.deployment))
    assert len(texts) >= at_least, "the search has looked at something"
    for what in (ADDRESS, NAMES, PHONE, BEARER):
        assert [found[0] for text in texts if (found := what.search(text))] == []


def test_the_shops_words_are_found_so_japanese_would_be(shop: Stage) -> None:
    assert any(PRODUCTS[0].title in text for text in lake(shop.deployment))
