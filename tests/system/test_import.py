"""`matakite import orders`: once is as good as twice, bad rows are named, and nobody is enrolled in anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.demo.settle import settle
from infra.demo.stage import Stage
from infra.local.lifecycle import LocalCloud
from infra.local.process import LocalPaths
from tests.system.books import books_of, people_of, scan, table_of
from tests.system.conftest import CUSTOMERS, OpenShop, Played
from tests.system.screen import Screen, matakite

FILE = """注文番号,顧客番号,メールアドレス,姓,名,電話番号,注文日,合計金額
A-1,1,ichiro@example.jp,見本,輸一郎,050-0000-0101,2026-05-01,1200
A-2,1,ichiro@example.jp,見本,輸一郎,050-0000-0101,2026-06-01,3400
A-3,2,,見本,輸二子,,2026-06-02,99999999999999999999
A-4,3,saburo@example.jp,見本,輸三郎,,2026-13-40,500
A-5,4,shiro@example.jp,見本,輸四郎,,2026-07-01,いくら
,5,goro@example.jp,見本,輸五郎,,2026-07-02,800
A-7,,,見本,輸六郎,,2026-07-03,900
A-8,8,hachi@example.jp,見本,輸八子,,2026-07-04,"1,000"
"""


@pytest.fixture(scope="module")
def shop(open_shop: OpenShop) -> Stage:
    return open_shop("imports")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("import") / "orders.csv"
    path.write_text(FILE, encoding="cp932")
    return path


@pytest.fixture(scope="module")
def first(cloud: LocalCloud, shop: Stage, cloud_paths: LocalPaths, file: Path) -> Screen:
    """The screen after the first import."""
    shown = matakite(cloud_paths, "import", "orders", str(file), "--shop", "imports")
    settle(cloud.emulator, executions=False)
    return shown


def test_good_rows_go_in_and_bad_rows_are_listed_with_line_and_reason(shop: Stage, first: Screen, file: Path) -> None:
    assert first.status == 0, first.err
    assert "3 orders, 3 of them new or changed" in first.out
    refused = dict(line.strip().split(": ", 1) for line in first.out.splitlines() if " 行目" in line)
    assert list(refused) == ["2 行（4・6 行目）", "5 行目", "7 行目", "8 行目"]
    assert all(" / " in reason for reason in refused.values()), "a reason in both languages"
    assert "shopify / matakite-demo.myshopify.com の番号として読みます" in first.out, "the shop's only cart"
    known = {person.profile.email: person for person in people_of(shop).values()}
    assert set(known) == {"ichiro@example.jp", "hachi@example.jp"}
    assert known["ichiro@example.jp"].profile.summary.total_amount == 4_600
    assert known["hachi@example.jp"].profile.summary.total_amount == 1_000


def test_the_refused_rows_are_written_beside_the_file_to_be_corrected(first: Screen, file: Path) -> None:
    rejected = file.with_name("orders.csv.rejected.csv")
    assert str(rejected) in first.out.replace("\n", "")
    text = rejected.read_bytes().decode("utf-8-sig")
    assert "A-4" in text
    assert "A-1" not in text


def test_the_same_file_again_changes_nothing(
    cloud: LocalCloud, shop: Stage, first: Screen, cloud_paths: LocalPaths, file: Path
) -> None:
    assert first.status == 0
    before = books_of(shop, cloud.emulator)
    again = matakite(cloud_paths, "import", "orders", str(file), "--shop", "imports")
    settle(cloud.emulator, executions=False)
    assert again.status == 0, again.err
    assert "nothing changed" in again.out
    assert "3 orders, 0 of them new or changed" in again.out
    assert books_of(shop, cloud.emulator) == before


def test_a_longer_export_of_the_same_orders_adds_only_what_is_new(
    cloud: LocalCloud, shop: Stage, first: Screen, cloud_paths: LocalPaths, tmp_path: Path
) -> None:
    assert first.status == 0
    before = table_of(shop.deployment, "CustomersTable", shop.shop.tenant)
    longer = tmp_path / "longer.csv"
    good = [line for line in FILE.splitlines() if line.split(",")[0] in ("注文番号", "A-1", "A-2", "A-8")]
    longer.write_text("\n".join([*good, "A-9,9,kyu@example.jp,見本,輸九子,,2026-07-05,700"]), encoding="utf-8")
    shown = matakite(cloud_paths, "import", "orders", str(longer), "--shop", "imports")
    settle(cloud.emulator, executions=False)
    assert "4 orders, 1 of them new or changed" in shown.out, shown.err
    after = table_of(shop.deployment, "CustomersTable", shop.shop.tenant)
    assert {key: after[key] for key in before} == before
    assert len({key.split(" ")[0] for key in after.keys() - before.keys() if " ref" not in key}) == 1


def test_an_order_that_names_two_known_people_joins_them(
    cloud: LocalCloud, shop: Stage, first: Screen, cloud_paths: LocalPaths, tmp_path: Path
) -> None:
    """Customer number 1 and the address of number 8 on one order: they are one person (名寄せ)."""
    assert first.status == 0
    joining = tmp_path / "joining.csv"
    joining.write_text(
        "order_id,customer_id,email,ordered_at,amount\nA-20,1,hachi@example.jp,2026-08-01,10\n", encoding="utf-8"
    )
    shown = matakite(cloud_paths, "import", "orders", str(joining), "--shop", "imports")
    settle(cloud.emulator, executions=False)
    assert "1 orders, 1 of them new or changed" in shown.out, shown.err
    totals = [person.profile.summary.total_amount for person in people_of(shop).values()]
    assert 1_200 + 3_400 + 1_000 + 10 in totals


def test_a_guest_of_one_file_becomes_the_customer_of_the_next(
    cloud: LocalCloud, shop: Stage, first: Screen, cloud_paths: LocalPaths, tmp_path: Path
) -> None:
    """A guest is known by the address alone; whoever has a number and that address is them, under their number."""
    assert first.status == 0
    for order, number, amount in (("G-1", "", 300), ("G-2", "10", 500)):
        file = tmp_path / f"{order}.csv"
        row = f"{order},{number},guest@example.jp,2026-07-10,{amount}"
        file.write_text(f"order_id,customer_id,email,ordered_at,amount\n{row}\n", encoding="utf-8")
        shown = matakite(cloud_paths, "import", "orders", str(file), "--shop", "imports")
        assert "1 orders, 1 of them new or changed" in shown.out, shown.err
    settle(cloud.emulator, executions=False)
    guests = [each for each in people_of(shop).values() if each.profile.email == "guest@example.jp"]
    assert [each.profile.summary.total_amount for each in guests] == [800]


def test_a_file_that_is_no_order_file_is_refused_in_a_sentence(
    shop: Stage, cloud_paths: LocalPaths, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n", encoding="utf-8")
    shown = matakite(cloud_paths, "import", "orders", str(wrong), "--shop", shop.shop.tenant)
    assert shown.status == 1
    assert shown.err.startswith("matakite: ")
    assert "Traceback" not in shown.err


def test_nobody_is_enrolled_by_an_import(shop: Stage, first: Screen, played: Played) -> None:
    assert first.status == 0
    assert table_of(shop.deployment, "ScenariosTable", shop.shop.tenant) == {}
    enrolled = [
        item
        for item in scan(played.stage.deployment, "ScenariosTable")
        if item["sk"]["S"] == "enrolment" and item["pk"]["S"].startswith("default#cart_abandoned#")
    ]
    assert len(enrolled) < len(played.day.shoppers) < CUSTOMERS
