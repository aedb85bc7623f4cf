"""The inbox: a file put into its bucket is imported as the command would, and answered with a report beside it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.demo.settle import settle
from infra.demo.stage import Stage
from infra.local.lifecycle import LocalCloud
from infra.local.process import LocalPaths
from shared.customers.model import ConsentStatus
from tests.system.books import books_of, people_of
from tests.system.conftest import OpenShop
from tests.system.screen import matakite

ORDERS = (
    "受注番号,会員番号,メールアドレス,氏名,受注日,合計金額\n"
    "B-1,1,ichiko@example.jp,見本　受信子,2026-05-01,1200\n"
    "B-2,1,ichiko@example.jp,見本　受信子,2026-06-01,3400\n"
    "B-3,2,fumiko@example.jp,見本　二三子,2026-13-40,500\n"
)


@pytest.fixture(scope="module")
def shop(open_shop: OpenShop) -> Stage:
    return open_shop("inbox")


class Inbox:
    """The bucket, as whoever drops files into it sees it."""

    def __init__(self, shop: Stage, cloud: LocalCloud) -> None:
        self._s3 = shop.deployment.client("s3")
        self._bucket = shop.deployment.outputs["InboxBucket"]
        self._cloud = cloud

    def put(self, key: str, content: bytes) -> dict[str, Any]:
        """Drop a file; returns the report of it."""
        before = self.read(f"{key}.report.json")
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)
        for _ in range(120):
            told = self.read(f"{key}.report.json")
            if told and told != before:
                settle(self._cloud.emulator, executions=False)
                found: dict[str, Any] = json.loads(told)
                return found
            time.sleep(0.25)
        raise AssertionError(f"no report beside {key}")

    def read(self, key: str) -> bytes | None:
        """An object, if it is there."""
        try:
            content: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return content

    def wait_for(self, execution: str, client: Any) -> None:
        """Until the import has run."""
        for _ in range(120):
            status = client.describe_execution(executionArn=execution)["status"]
            if status != "RUNNING":
                assert status == "SUCCEEDED"
                settle(self._cloud.emulator, executions=False)
                return
            time.sleep(0.25)
        raise AssertionError("the import did not end")


@pytest.fixture(scope="module")
def inbox(shop: Stage, cloud: LocalCloud) -> Inbox:
    return Inbox(shop, cloud)


@pytest.fixture(scope="module")
def first(shop: Stage, inbox: Inbox) -> dict[str, Any]:
    """The report of the first file, after its import has run."""
    told = inbox.put("inbox/inbox/orders/may.csv", ORDERS.encode("cp932"))
    inbox.wait_for(told["execution"], shop.deployment.client("stepfunctions"))
    return told


def test_a_dropped_file_is_imported_and_reported(shop: Stage, inbox: Inbox, first: dict[str, Any]) -> None:
    assert (first["state"], first["rows"], first["events"], first["refused"]) == ("started", 3, 2, 1)
    assert first["source"] == "shopify", "the shop's only cart"
    assert first["refused_rows"][0]["line"] == 4
    rejected = inbox.read("inbox/inbox/orders/may.csv.rejected.csv")
    assert rejected is not None
    assert "B-3" in rejected.decode("utf-8-sig")
    totals = {person.profile.email: person.profile.summary.total_amount for person in people_of(shop).values()}
    assert totals == {"ichiko@example.jp": 4_600}


def test_the_same_file_dropped_again_and_given_to_the_command_changes_nothing(
    shop: Stage, inbox: Inbox, first: dict[str, Any], cloud: LocalCloud, cloud_paths: LocalPaths, tmp_path: Any
) -> None:
    before = books_of(shop, cloud.emulator)
    assert inbox.put("inbox/inbox/orders/may-again.csv", ORDERS.encode("cp932"))["state"] == "imported before"
    file = tmp_path / "may.csv"
    file.write_bytes(ORDERS.encode("cp932"))
    shown = matakite(cloud_paths, "import", "orders", str(file), "--shop", "inbox")
    assert "取り込み済みのファイルです" in shown.out, shown.err
    settle(cloud.emulator, executions=False)
    assert books_of(shop, cloud.emulator) == before


@pytest.mark.parametrize(
    ("key", "content", "why"),
    [
        ("inbox/inbox/orders/poison.csv", b"\xff\x00\x81", "文字コード"),
        ("inbox/inbox/orders/empty.csv", b"", "見出し行"),
        ("inbox/inbox/nonsense/a.csv", b"a,b\n", "種類"),
        ("inbox/nobody/orders/a.csv", b"a,b\n", "no such shop"),
        ("inbox/astray.csv", b"a,b\n", "置き場所"),
    ],
)
def test_what_cannot_be_read_gets_a_report_and_no_second_try(
    shop: Stage, inbox: Inbox, key: str, content: bytes, why: str
) -> None:
    told = inbox.put(key, content)
    assert told["state"] == "refused"
    assert why in told["reason"]


def test_a_saved_mapping_is_used_by_the_command_and_the_inbox(
    shop: Stage, inbox: Inbox, cloud_paths: LocalPaths, tmp_path: Any
) -> None:
    file = tmp_path / "consents.csv"
    file.write_text("だれ,いつ,よいか\nichiko@example.jp,2026-05-01,○\n", encoding="utf-8")
    asked = ("import", "consents", str(file), "--shop", "inbox")
    assert matakite(cloud_paths, *asked).status == 1
    said = (
        "--mapping",
        "だれ=email",
        "--mapping",
        "いつ=said_at",
        "--mapping",
        "よいか=granted",
        "--value",
        "basis=同意",
    )
    dry = matakite(cloud_paths, *asked, *said, "--save-mapping", "--dry-run")
    assert dry.status == 0, dry.err
    assert "何も取り込んでいません" in dry.out
    assert matakite(cloud_paths, *asked).status == 1, "a dry run saves nothing"
    assert matakite(cloud_paths, *asked, *said, "--save-mapping").status == 0
    told = inbox.put("inbox/inbox/consents/more.csv", "だれ,いつ,よいか\nx@example.jp,2026-05-02,×\n".encode())
    assert (told["state"], told["counts"]) == ("started", {"拒否": 1})
    inbox.wait_for(told["execution"], shop.deployment.client("stepfunctions"))
    (known,) = (person for person in people_of(shop).values() if person.profile.email == "ichiko@example.jp")
    (consent,) = known.consents
    assert (consent.channel, consent.status) == ("email", ConsentStatus.OPT_IN)
