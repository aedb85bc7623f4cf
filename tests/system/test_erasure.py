"""Somebody is erased by one command, somebody by one webhook: then every store is searched, byte by byte."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import secrets
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from infra.cli.connection import add_connection
from infra.cli.session import Deployment
from infra.demo import shopify
from infra.demo.post import post_all
from infra.demo.settle import settle, wait_until
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP, Call
from infra.local.lifecycle import LocalCloud
from infra.local.process import LocalPaths
from shared.admin.erase import certificates
from shared.analytics.parquet import decode
from shared.core.ids import ScenarioId, SendId
from shared.customers.identity import address_ref
from shared.customers.store import CustomerStore
from shared.delivery.model import Outcome, Purpose, Reason, SendKey, SendRequest, SendState
from shared.delivery.store import Attempt, DynamoLedgerStore
from shared.delivery.tray import S3Tray
from shared.ingest import packing
from shared.ingest.store import MAX_BODY_BYTES
from tests.system.books import keys_of, people_of, scan
from tests.system.conftest import OpenShop, fire_schedule
from tests.system.screen import Screen, matakite
from tests.system.test_privacy import executions, keys_in, logs, metrics

KESUKO, KIETARO, NOKOKO = "kesu.kesuko@example.jp", "kieta.kietaro@example.jp", "nokoru.nokoko@example.jp"
COMMANDED = Buyer(9_401, KESUKO, "消須", "希恵子")
WEBHOOKED = Buyer(9_402, KIETARO, "消田", "希恵太郎")
STAYING = Buyer(9_403, NOKOKO, "残留", "乃子")
PHONES = {9_401: "05000000941", 9_402: "05000000942", 9_403: "05000000943"}
GONE = re.compile("kesu\\.kesuko|kieta\\.kietaro|消須|希恵|50[- ]?0000[- ]?094[12]|架空町940[12]番")
TABLES = ("EventsTable", "CustomersTable", "ScenariosTable", "DeliveriesTable", "ReportsTable", "PullsTable")


def bodies(buyer: Buyer, at: datetime) -> list[Call]:
    """Everything a cart says of a buyer: consent, a checkout, an order, names, telephone and address."""
    number = buyer.number
    person = shopify._customer(buyer) | {
        "phone": PHONES[number],
        "default_address": {"address1": f"架空町{number}番", "zip": "1000001", "province_code": "JP-13"},
    }
    more: dict[str, Any] = {"phone": PHONES[number], "customer": person, "shipping_address": person["default_address"]}
    said = {
        "customers/update": person,
        "checkouts/update": shopify.checkout(f"erase-{number}", buyer, PRODUCTS[:2], at, SHOP) | more,
        "orders/create": shopify.order(10_000 + number, f"erase-{number}", buyer, PRODUCTS[:2], at) | more,
    }
    return [Call(topic, shopify.encode(body), f"erase-{number}-{topic}", at) for topic, body in said.items()]


@pytest.fixture(scope="module")
def told(open_shop: OpenShop, cloud: LocalCloud, cloud_paths: LocalPaths, tmp_path_factory: Any) -> Stage:
    """A shop that knows three people, from its cart and from a file."""
    stage = open_shop("erasure")
    at = datetime.now(UTC) - timedelta(minutes=5)
    calls = [call for buyer in (COMMANDED, WEBHOOKED, STAYING) for call in bodies(buyer, at)]
    said = shopify.email_consent(COMMANDED, granted=True, at=at)
    calls.append(Call("customers_email_marketing_consent/update", shopify.encode(said), "erase-consent", at))
    asks = {"shop_domain": SHOP, "customer": {"id": COMMANDED.customer_id, "email": KESUKO}, "orders_requested": []}
    calls.append(Call("customers/data_request", shopify.encode(asks), "erase-asks", at))
    assert post_all(stage.endpoint, calls).surprises == []
    rows = "".join(
        f"E-{b.number},{b.number},{b.email},{b.last_name},{b.first_name},{PHONES[b.number]},2026-10-01,900\n"
        for b in (COMMANDED, STAYING)
    )
    file = Path(tmp_path_factory.mktemp("erasure")) / "orders.csv"
    file.write_text(f"order_id,customer_id,email,last_name,first_name,phone,ordered_at,amount\n{rows}", "utf-8")
    assert matakite(cloud_paths, "import", "orders", str(file), "--shop", "erasure").status == 0
    browse(stage)
    settle(cloud.emulator)
    wait_until(lambda: {b.email for b in (COMMANDED, WEBHOOKED, STAYING)} <= emails(stage), "three buyers", 60)
    return stage


def browse(stage: Stage) -> None:
    """A visitor who says who they are."""
    site = add_connection(stage.deployment, stage.shop.tenant, "track", "www.example.jp")
    call = {"writeKey": site.connection_id, "anonymousId": "erase-visitor", "traits": {"email": NOKOKO}}
    url = f"{stage.deployment.outputs['ApiUrl']}/v1/identify"
    answer = urllib3.PoolManager().request("POST", url, json={**call, "messageId": "erase-identify"})
    assert answer.status == 200, answer.data


def emails(stage: Stage) -> set[str | None]:
    return {person.profile.email for person in people_of(stage).values()}


def unpacked(item: dict[str, Any]) -> str:
    """A row as text, with what is compressed in it opened."""
    text = json.dumps(item, ensure_ascii=False, default=lambda raw: base64.b64encode(raw).decode())
    if "raw" in item:
        raw = packing.unpack(bytes(item["raw"]["B"]), int(item.get("words", {"N": "0"})["N"]), MAX_BODY_BYTES)
        text += raw.decode() + _told(raw)
    if "packed" in item:
        text += zlib.decompress(bytes(item["packed"]["B"])).decode()
    return text


def _told(raw: bytes) -> str:
    try:
        return json.dumps(json.loads(raw), ensure_ascii=False)
    except ValueError:
        return ""


def rows(deployment: Deployment) -> Iterator[str]:
    for table in TABLES:
        yield from (f"{table} {unpacked(item)}" for item in scan(deployment, table))


def objects(deployment: Deployment) -> Iterator[str]:
    s3 = deployment.client("s3")
    for bucket in ("LakeBucket", "WorkBucket", "InboxBucket"):
        for key in keys_in(deployment, bucket):
            raw = s3.get_object(Bucket=deployment.outputs[bucket], Key=key)["Body"].read()
            if raw[:4] == b"PAR1":
                raw = json.dumps(decode(raw).to_pylist(), ensure_ascii=False, default=str).encode()
            elif raw[:2] == b"\x1f\x8b":
                raw = zlib.decompress(raw, wbits=31)
            yield f"{bucket}/{key} {raw.decode('utf-8', 'replace')}"


def found_in(texts: Iterator[str]) -> list[str]:
    return [f"{text[:60]}: {hit[0]}" for text in texts if (hit := GONE.search(text))]


def test_it_would_be_found_and_a_disclosure_has_all_of_it(told: Stage, cloud_paths: LocalPaths, tmp_path: Path) -> None:
    assert {place.partition(" ")[0] for place in found_in(rows(told.deployment))} >= {"EventsTable", "CustomersTable"}
    assert found_in(objects(told.deployment)), "the imported chunk"
    out = tmp_path / "person.json"
    done = matakite(cloud_paths, "privacy", "export", KESUKO, "--shop", "erasure", "--out", str(out))
    assert done.status == 0, done.err
    document = json.loads(out.read_text("utf-8"))
    assert document["contact"]["email"] == KESUKO
    assert len(document["orders"]) == 2
    assert {each["topic"] for each in document["deliveries"]} >= {"orders/create", "checkouts/update"}
    assert NOKOKO not in json.dumps(document)
    assert "開示請求 erase-asks を対応済みにしました。" in done.err


def test_what_customers_ask_their_cart_for_waits_until_it_is_done(told: Stage, cloud_paths: LocalPaths) -> None:
    asked = matakite(cloud_paths, "privacy", "requests", "--all", "--shop", "erasure")
    assert re.search(r"開示請求\s+erase-asks\s.*対応済み", asked.err), asked.err
    assert not GONE.search(asked.err), "by our id, not by the address"


def leave_letters(stage: Stage) -> None:
    """A letter for each of them waits to be printed."""
    tray = S3Tray(stage.deployment.outputs["WorkBucket"], stage.deployment.client("s3"))
    for customer_id, person in people_of(stage).items():
        key = SendKey(stage.shop.tenant, customer_id, SendId(f"letter-{customer_id}"))
        tray.put("postal", key, {"send_id": key.send_id, "to": person.profile.email})


@pytest.fixture(scope="module")
def erased(told: Stage, cloud: LocalCloud, cloud_paths: LocalPaths) -> Screen:
    """One by the command, one by the cart's compliance webhook."""
    now = datetime.now(UTC)
    redact = {
        "shop_domain": SHOP,
        "customer": {"id": WEBHOOKED.customer_id, "email": KIETARO, "phone": PHONES[9_402]},
        "orders_to_redact": [],
    }
    call = Call("customers/redact", shopify.encode(redact), "erase-redact", now)
    leave_letters(told)
    assert post_all(told.endpoint, [call]).surprises == []
    settle(cloud.emulator)
    wait_until(lambda: KIETARO not in emails(told), "the webhook's erasure", 60)
    done = matakite(cloud_paths, "privacy", "erase", KESUKO, "--yes", "--shop", "erasure", "--actor", "owner")
    settle(cloud.emulator)
    return done


def test_a_certificate_says_what_was_deleted_and_what_stays(erased: Screen, cloud_paths: LocalPaths) -> None:
    assert erased.status == 0, erased.err
    assert "消去証明" in erased.err
    assert re.search(r"受信データの本文\s+[3-9] 件", erased.err)
    assert re.search(r"取り込みファイルの行\s+[1-9] 件", erased.err)
    shown = matakite(cloud_paths, "privacy", "certificate", "--shop", "erasure")
    assert shown.err.count("■ 消去証明") == 3, "one of them is known by a number of the cart and one of a file"


def test_byte_by_byte_nothing_is_left(told: Stage, erased: Screen) -> None:
    for place in (rows, objects, logs, metrics, executions):
        texts = list(place(told.deployment))
        assert len(texts) > 5
        assert found_in(iter(texts)) == [], place.__name__
    assert NOKOKO in emails(told)


def test_orders_stay_in_the_books_and_evidence_under_digests(
    told: Stage, erased: Screen, cloud_paths: LocalPaths, tmp_path: Path
) -> None:
    gone = [person for person in people_of(told).values() if person.profile.erased]
    assert sorted(person.profile.summary.order_count for person in gone) == [1, 2]
    out = tmp_path / "evidence.csv"
    assert matakite(cloud_paths, "privacy", "evidence", "--all", "--shop", "erasure", "--out", str(out)).status == 0
    table = list(csv.DictReader(io.StringIO(out.read_text("utf-8-sig"), newline="")))
    digest = address_ref(told.shop.tenant, KESUKO, keys_of(told.deployment)).partition(":")[2]
    assert digest in {row["宛先（ダイジェスト）"] for row in table}
    assert not GONE.search(out.read_text("utf-8"))


def test_replays_and_late_webhooks_bring_nobody_back(told: Stage, erased: Screen, cloud: LocalCloud) -> None:
    at = datetime.now(UTC) - timedelta(minutes=5)
    again = [call for buyer in (COMMANDED, WEBHOOKED) for call in bodies(buyer, at)]
    late = Call("customers/update", again[0].body, "erase-late", at)
    assert post_all(told.endpoint, [*again, late]).surprises == []
    settle(cloud.emulator)
    wait_until(lambda: not found_in(rows(told.deployment)), "the late bodies to go", 30)
    assert emails(told) & {KESUKO, KIETARO} == set()


def test_the_night_does_what_the_command_did_not(told: Stage, erased: Screen, cloud: LocalCloud) -> None:
    """The third of them by webhook, with a mail on record and a body too large for a row; then the schedule."""
    now = datetime.now(UTC)
    large = shopify._customer(STAYING) | {"note": secrets.token_hex(400_000)}
    redact = {"shop_domain": SHOP, "customer": {"id": STAYING.customer_id, "email": NOKOKO}}
    calls = [
        Call("customers/update", shopify.encode(large), "erase-large", now - timedelta(minutes=1)),
        Call("customers/redact", shopify.encode(redact), "erase-last", now),
    ]
    (stays,) = {person.profile.customer_id for person in people_of(told).values() if person.profile.email}
    ledger = DynamoLedgerStore(told.deployment.outputs["DeliveriesTable"], told.deployment.client("dynamodb"))
    request = SendRequest(
        told.shop.tenant, stays, ScenarioId("s"), "1", "first", "o", "email", "t", {}, SHOP, Purpose.MARKETING
    )
    ledger.hold(request, Outcome(SendState.SENT, Reason.NONE, "m"), Attempt("test", now), now)
    assert post_all(told.endpoint, calls).surprises == []
    settle(cloud.emulator)
    wait_until(lambda: not emails(told) - {None}, "the last erasure", 60)
    wait_until(lambda: not ledger.rows(told.shop.tenant, stays), "the mail on record to go", 30)
    fire_schedule(cloud, "ForgettingEveryNight")
    everything = re.compile(f"{GONE.pattern}|{re.escape(NOKOKO)}|残留|乃子")
    wait_until(
        lambda: not [t for t in rows(told.deployment) if "erasure#" in t and everything.search(t)], "the night", 90
    )
    left = [text for text in objects(told.deployment) if everything.search(text)]
    assert left == []
    store = CustomerStore(told.deployment.outputs["CustomersTable"], told.deployment.client("dynamodb"))
    wait_until(lambda: all(each.swept_at for each in certificates(store.erasures(told.shop.tenant))), "proof", 30)


def test_a_whole_shop_is_erased_and_only_its_proofs_stay(
    told: Stage, erased: Screen, cloud_paths: LocalPaths, tmp_path: Path
) -> None:
    """The last of this shop. Every other shop's rows are as many as before."""
    others = Counter(key.partition("#")[0] for key in keys_of_rows(told.deployment)) - Counter({"erasure": 10**9})
    out = tmp_path / "evidence.csv"
    command = ("privacy", "erase-shop", "--evidence", str(out), "--confirm", "erasure", "--shop", "erasure")
    done = matakite(cloud_paths, *command)
    assert done.status == 0, done.err
    assert "削除しました" in done.err
    assert len(out.read_text("utf-8-sig").splitlines()) > 1
    stays = {key for key in keys_of_rows(told.deployment) if key.startswith("erasure#")}
    assert stays
    assert all("consentlog" in key or "#suppressed#" in key or "#command" in key for key in stays), stays
    assert [key for key in keys_in(told.deployment, "WorkBucket") if "/erasure/" in key] == []
    now = Counter(key.partition("#")[0] for key in keys_of_rows(told.deployment))
    assert all(now[tenant] >= count for tenant, count in others.items()), "nobody else's"


def keys_of_rows(deployment: Deployment) -> Iterator[str]:
    for table in TABLES:
        yield from (f"{item['pk']['S']} {item['sk']['S']}" for item in scan(deployment, table))
