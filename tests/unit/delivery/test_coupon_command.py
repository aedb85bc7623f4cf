"""Codes of a campaign: what a file may hold, that no code is in two campaigns, and what the orders say of them."""

from __future__ import annotations

from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra.cli import coupon
from infra.cli.coupon import CouponDesk, listed
from shared.analytics.lake import MemoryObjects
from shared.analytics.parquet import decode
from shared.analytics.schema import COUPON_CODES
from shared.core.errors import RejectedError
from shared.core.keys import KeyRing, derive_key_ring
from shared.delivery.coupons.codes import make_codes, read_codes
from shared.delivery.coupons.issue import Book, Coupons, Terms, checked_campaign
from shared.delivery.coupons.store import MemoryCoupons
from tests.sql.lake_in_duckdb import lake_of
from tests.unit.delivery.world import HANAKO, KEYS, NOON, TENANT, a_shop

TERMS = Terms("10%引き")


@pytest.fixture
def desk() -> CouponDesk:
    return CouponDesk(a_shop(), MemoryCoupons(), MemoryObjects())


def told(desk: CouponDesk) -> dict[str, str]:
    lake: Any = desk.lake
    rows = [row for stored in lake.list("coupon_codes/") for row in decode(lake.get(stored.key)).to_pylist()]
    return {row["code"]: row["campaign"] for row in rows}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
@pytest.mark.parametrize(
    "text",
    [
        "AKI-1\nAKI-2\n",
        "code\nAKI-1\nAKI-2",
        "名前,クーポンコード\n春,AKI-1\n春, AKI-2 \n\n",
        "Discount Code\tn\nAKI-1\t1\nAKI-2\t1\n",
    ],
)
def test_a_file_is_read_as_a_cart_writes_it(text: str, encoding: str) -> None:
    assert read_codes(text.encode(encoding)) == ["AKI-1", "AKI-2"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\n1,2\n", "needs a heading"),
        ("code\nAKI-1\naki-1\n", "line 3: 'aki-1' is there twice"),
        ("code\nhanako@example.com\n", "line 2: 'hanako@example.com' is no code"),
        ("code\n090-0000-0000\n", "is no code"),
        ("code\nAKI 1\n", "is no code"),
        ("name,code\nx\n", "line 2: '' is no code"),
        ("code\n", "1 to 200000"),
    ],
)
def test_what_is_no_code_is_named_line_by_line(text: str, complaint: str) -> None:
    with pytest.raises(RejectedError, match=complaint):
        read_codes(text.encode())


def test_made_codes_differ_by_shop_and_campaign_and_cannot_be_guessed() -> None:
    first = make_codes(TENANT, "autumn", "AKI", range(3), KEYS)
    assert first == make_codes(TENANT, "autumn", "AKI", range(5), KEYS)[:3]
    assert not set(first) & set(make_codes(TENANT, "winter", "AKI", range(3), KEYS))
    assert all(len(code) == 14 and not set(code[4:]) & set("ILOU") for code in first)
    for prefix, count in (("aki", 1), ("", 1), ("A" * 13, 1), ("AKI", 0), ("AKI", 200_001)):
        with pytest.raises(RejectedError):
            make_codes(TENANT, "autumn", prefix, range(count), KEYS)


@pytest.mark.parametrize("name", ["", "Autumn", "秋", "a#b", "a" * 41])
def test_a_campaign_has_a_plain_name(name: str) -> None:
    with pytest.raises(RejectedError):
        checked_campaign(name)


def test_codes_are_known_by_campaign_in_the_lake_and_in_one_campaign_only(desk: CouponDesk) -> None:
    assert desk.add("autumn", ["AKI-1", "aki-2"], TERMS).left == 2
    assert desk.add("autumn", ["AKI-3"], TERMS).size == 3
    assert told(desk) == {"AKI-1": "autumn", "AKI-2": "autumn", "AKI-3": "autumn"}
    with pytest.raises(RejectedError, match="1 codes are in campaign 'autumn' already: aki-2"):
        desk.add("winter", ["AKI-2"], TERMS)
    assert told(desk)["AKI-2"] == "autumn"
    assert lake_of(desk.lake).rows(f"SELECT COUNT(*) AS codes FROM {COUPON_CODES.name}") == [{"codes": 3}]  # noqa: S608


def test_a_coupon_that_ended_before_it_is_given_is_refused(desk: CouponDesk) -> None:
    with pytest.raises(RejectedError, match="2020-01-01 is over"):
        desk.terms("10%引き", "", datetime(2020, 1, 1), None)  # noqa: DTZ001 - a day, as the command reads it
    assert desk.terms(" 10%引き ", "", None, 30) == Terms("10%引き", valid_days=30)


def test_a_list_says_what_a_campaign_did() -> None:
    books = [Book("autumn", Terms("10%引き", last_on=date(2026, 12, 31)), 100, 40), Book("new", Terms("送料無料"), 5)]
    row = {"campaign": "autumn", "used": 10, "orders": 12, "amount": 54_000, "reused": 1}
    console = Console(width=160, record=True, file=StringIO())
    console.print(listed(books, [row], "JPY"))
    autumn, new = (line for line in console.export_text().splitlines() if "autumn" in line or "new" in line)
    assert [cell.strip() for cell in autumn.strip("│").split("│")] == [
        "autumn", "10%引き", "2026-12-31", "100", "40", "10", "25.0%", "12", "¥54,000", "1",
    ]  # fmt: skip
    assert "-" in new


def test_made_codes_are_in_the_carts_file_before_anybody_gets_one(
    desk: CouponDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cloud:
        def keys(self) -> KeyRing:
            return derive_key_ring("a master key that exists in tests only")

    monkeypatch.setattr(coupon, "connect", Cloud)
    monkeypatch.setattr(coupon, "open_coupons", lambda _deployment, _shop: desk)
    out = tmp_path / "codes.csv"
    arguments = ["make", "autumn", "--prefix", "AKI", "--count", "3", "--out", str(out), "--benefit", "10%引き"]
    for total in (3, 6):
        assert CliRunner().invoke(coupon.app, [*arguments, "--days", "14"]).exit_code == 0
        made = read_codes(out.read_bytes())
        assert list(desk.store.codes(TENANT, "autumn"))[-3:] == made
        assert len(told(desk)) == total
    given = Coupons(desk.store, lambda _tenant: "Asia/Tokyo").issue(TENANT, "autumn", HANAKO, "once", NOON)
    assert (given.benefit, given.expires_on) == ("10%引き", date(2026, 12, 3))
