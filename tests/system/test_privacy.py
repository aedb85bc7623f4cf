"""Addresses, names and phone numbers stay in DynamoDB: everything else the deployment wrote is searched for them."""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from infra.cli.connection import add_connection
from infra.cli.session import Deployment
from infra.cli.survey import given_answers, read_survey
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
from shared.ingest.surveys.book import SurveyBook
from tests.system.books import scan
from tests.system.conftest import OpenShop, Played
from tests.system.screen import matakite

BUYER = Buyer(9_300, "himitsu.hitomi@example.jp", "秘守", "瞳美")
PHONES = ("05000000931", "05000000932")
IMPORTED = "himitsu.mamoru@example.com"
FILE = f"""order_id,customer_id,email,last_name,first_name,phone,ordered_at,amount
P-1,77,{IMPORTED},秘守,衛雄,{PHONES[1]},2026-10-01,1200
"""
PEOPLE, BY_WEBHOOK = 3_400, 200
"""Planted beside those two: 3,400 × (address, telephone, name) are over 10,000 values, with kana and street as well."""
BY_SURVEY = 100
"""Of them, who name themselves in the free text of a survey."""
SURVEY = """
id: voices
title: ご意見
questions:
  - {id: nps, title: ご友人にすすめたいですか？, kind: rating, from: 0, to: 10}
  - {id: voice, title: ご意見・ご感想, kind: text}
"""
SCAN_SECONDS = 60
"""For everything the local cloud stored."""
# Every address in this suite ends like this; the shop's own sender does not.
ADDRESS = re.compile(r"[\w.+-]+(?:@|%40)(?:example\.(?:jp|com)|simulator\.amazonses\.com)")
NAMES = re.compile(
    "|".join(["秘守", "瞳美", "衛雄", "植[〇一二三四五六七八九]{4}", "ヒモリ", "秘匿町", *cdnow._FIRST_NAMES])
)
PHONE = re.compile(r"0?50[- ]?0000[- ]?0?93[12](?!\d)|(?<!\d)(?:\+81|0)50[- ]?0000[- ]?\d{4}(?!\d)")
BEARER = re.compile(r"recover\?key")
"""The link in a mail that opens the buyer's checkout."""
LINKS = re.compile(r'"links#')
"""The one row that may hold it: where the links of a LINE message lead, beside the person's sends, erased with them."""

PARQUET = b"PAR1"
"""How such a file begins; feeds in the lake are packed JSON."""
MAY_HOLD = (history.PREFIX, oversize.PREFIX)
"""Of the work bucket: raw files and bodies on their way in, encrypted and expired."""


@dataclass(frozen=True)
class Planted:
    """One of many people, every value their own."""

    number: int

    @property
    def email(self) -> str:
        return f"planted.{self.number:05}@example.jp"

    @property
    def phone(self) -> str:
        return f"0500000{self.number:04}"

    @property
    def first_name(self) -> str:
        return "植" + "".join("〇一二三四五六七八九"[int(digit)] for digit in f"{self.number:04}")

    @property
    def row(self) -> str:
        names = f"秘守,{self.first_name},ヒモリ,ウエ{self.number}"
        return f"{self.number},{self.email},{self.phone},{names},100-0001,東京都,秘匿町{self.number}番"

    @property
    def body(self) -> dict[str, Any]:
        buyer = Buyer(100_000 + self.number, self.email, "秘守", self.first_name)
        address = {"address1": f"秘匿町{self.number}番", "phone": self.phone, "zip": "1000001"}
        return shopify._customer(buyer) | {"phone": self.phone, "default_address": address}

    @property
    def voice(self) -> str:
        return f"秘守{self.first_name}です。{self.phone} か {self.email} へご連絡ください。秘匿町{self.number}番まで。"


def plant(stage: Stage, paths: LocalPaths, folder: Path) -> None:
    """Some by webhook, most by a file."""
    people = [Planted(number) for number in range(PEOPLE)]
    at = datetime.now(UTC) - timedelta(minutes=2)
    calls = [
        Call("customers/update", shopify.encode(each.body), f"planted-{each.number}", at)
        for each in people[:BY_WEBHOOK]
    ]
    assert post_all(stage.endpoint, calls).surprises == []
    heading = (
        "customer_id,email,phone,last_name,first_name,last_name_kana,first_name_kana,postal_code,prefecture,address"
    )
    file = folder / "customers.csv"
    file.write_text("\n".join([heading, *(each.row for each in people[BY_WEBHOOK:])]) + "\n", encoding="utf-8")
    done = matakite(paths, "import", "customers", str(file), "--shop", "privacy")
    assert done.status == 0, done.err


def ask(stage: Stage, folder: Path) -> None:
    """Some of them answer a survey, and say in it who they are."""
    file = folder / "voices.yaml"
    file.write_text(SURVEY, "utf-8")
    deployment, tenant = stage.deployment, stage.shop.tenant
    SurveyBook(deployment.client("ssm"), deployment.prefix).save(tenant, read_survey(file))
    site = add_connection(deployment, tenant, "track", "www.example.jp")
    http = urllib3.PoolManager(retries=False, timeout=30)
    headers = urllib3.make_headers(basic_auth=f"{site.connection_id}_{site.secret}:")

    def answer(each: Planted) -> int:
        body = {"email": each.email, "answerId": str(each.number), "answers": {"nps": 7, "voice": each.voice}}
        url = f"{deployment.outputs['ApiUrl']}/v1/surveys/voices/answers"
        return http.request("POST", url, json=body, headers=headers).status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(answer, map(Planted, range(BY_SURVEY)))) == {200}


def held(deployment: Deployment) -> str:
    """What the customers table holds of the shop, opened."""
    items = scan(deployment, "CustomersTable")
    return "\n".join(decode_item(item).body for item in items if item["pk"]["S"].startswith("privacy#"))


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
    plant(stage, cloud_paths, file.parent)
    ask(stage, file.parent)
    mail = next(m for m in verify.outbox(emulator, played.stage.shop.tenant) if BEARER.search(m["html"]))
    link = next(url for url in re.findall(r'href="([^"]+)"', mail["html"]) if BEARER.search(url))
    internal(emulator, "POST", f"/_matakite/outbox/{mail['message_id']}/open", {})
    internal(emulator, "POST", f"/_matakite/outbox/{mail['message_id']}/click", {"link": link.replace("&amp;", "&")})
    settle(emulator)
    wait_until(lambda: len(set(ADDRESS.findall(held(stage.deployment)))) >= PEOPLE + 2, "everybody", 60)
    return stage


def test_the_search_would_find_them_where_they_may_be(shop: Stage) -> None:
    everything = "\n".join(decode_item(item).body for item in scan(shop.deployment, "CustomersTable"))
    assert {BUYER.email, IMPORTED} <= set(ADDRESS.findall(everything))
    assert {"瞳美", "衛雄", "太郎"} <= set(NAMES.findall(everything))
    found = ADDRESS.findall(everything), PHONE.findall(everything), NAMES.findall(everything)
    planted = [
        len({each for each in values if "planted" in each or "50000" in each or "植" in each}) for values in found
    ]
    assert min(planted) >= PEOPLE, planted
    assert sum(planted) >= 10_000
    assert BEARER.search(everything)
    given = given_answers(shop.deployment, shop.shop.tenant, "voices")
    voices = [each["text"] for each in given if each["question"] == "voice"]
    assert sorted(voices) == sorted(Planted(number).voice for number in range(BY_SURVEY))


def lake(deployment: Deployment) -> Iterator[str]:
    s3, bucket = deployment.client("s3"), deployment.outputs["LakeBucket"]
    for key in keys_in(deployment, "LakeBucket"):
        raw = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        rows = decode(raw).to_pylist() if raw[:4] == PARQUET else json.loads(gzip.decompress(raw))
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


def queues(deployment: Deployment) -> Iterator[str]:
    """Their names and every attribute."""
    sqs = deployment.client("sqs")
    for url in sqs.list_queues(MaxResults=1000).get("QueueUrls", []):
        yield url + json.dumps(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]), default=str)


def inbox(deployment: Deployment) -> Iterator[str]:
    """The names of the files: what is in them was put there by the shop, and expires."""
    for bucket in ("InboxBucket", "LakeBucket", "WorkBucket"):
        yield from keys_in(deployment, bucket)


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
    for table in ("ScenariosTable", "DeliveriesTable", "ReportsTable", "PullsTable"):
        yield from (json.dumps(item, ensure_ascii=False, default=str) for item in scan(deployment, table))
    for table in ("CustomersTable", "EventsTable"):
        yield from (f"{item['pk']['S']} {item['sk']['S']}" for item in scan(deployment, table))


PLACES = {
    "the lake": (lake, 10),
    "cohorts and query results": (work, 10),
    "the logs": (logs, 500),
    "the metrics": (metrics, 5),
    "the queues": (queues, 5),
    "names of files": (inbox, 10),
    "the executions": (executions, 50),
    "other tables, and keys": (tables, 500),
}


@pytest.fixture(scope="module")
def searched() -> dict[str, float]:
    """Place → seconds its search took."""
    return {}


@pytest.mark.parametrize("place", PLACES)
def test_nobodys_address_name_or_phone_is_in(shop: Stage, place: str, searched: dict[str, float]) -> None:
    began = time.monotonic()
    read, at_least = PLACES[place]
    texts = list(read(shop.deployment))
    assert len(texts) >= at_least, "the search has looked at something"
    for what in (ADDRESS, NAMES, PHONE):
        assert [found[0] for text in texts if (found := what.search(text))] == []
    assert [found[0] for text in texts if not LINKS.search(text) and (found := BEARER.search(text))] == []
    searched[place] = time.monotonic() - began


def test_searching_everything_takes_less_than_a_minute(
    shop: Stage, searched: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sum(searched.values())
    told = ", ".join(f"{place} {seconds:.1f}" for place, seconds in searched.items())
    with capsys.disabled():
        sys.stdout.write(f"\nsearched in {whole:.1f} s: {told}\n")
    assert whole < SCAN_SECONDS


def test_the_shops_words_are_found_so_japanese_would_be(shop: Stage) -> None:
    assert any(PRODUCTS[0].title in text for text in lake(shop.deployment))
