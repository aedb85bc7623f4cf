"""`matakite analysis run`: what is typed after `--customers` and `--set`, and what an empty answer says."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from infra.cli.analysis import nothing_found, row_keys, with_settings
from infra.cli.as_of import read_as_of
from shared.analytics.definitions import definitions_of
from shared.analytics.meaning import meaning
from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.ids import TenantId
from shared.core.shop import Shop

SHOP = Shop(tenant=TenantId("shop"), name="見本", sections={"analytics": {"f2_days": 60}, "delivery": {"a": 1}})


def test_a_rows_keys_are_names_and_values() -> None:
    assert row_keys("r=6,f=1") == {"r": "6", "f": "1"}
    assert row_keys("segment=status:loyal,list=churned") == {"segment": "status:loyal", "list": "churned"}
    assert row_keys("") == {}


def test_a_value_may_hold_commas_and_equals_and_be_blank() -> None:
    assert row_keys("title=a, b,product=x=y,to_product=") == {"title": "a, b", "product": "x=y", "to_product": ""}


@pytest.mark.parametrize("text", ["r", "=6", " =6"])
def test_a_key_without_a_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(RejectedError, match="NAME=VALUE"):
        row_keys(text)


def test_a_setting_holds_for_this_run_beside_the_shops_own() -> None:
    changed = with_settings(
        SHOP, ["ltv_days=180", "base_products=A,B", "r_limits=1,2,3,4,5", "amount_basis=goods_total"]
    )
    found = definitions_of(changed)
    assert (found.ltv_days, found.f2_days, found.amount_basis) == (180, 60, "goods_total")
    assert found.base_products == ("A", "B")
    assert found.r_limits == (1, 2, 3, 4, 5)
    assert changed.section("delivery") == {"a": 1}
    assert definitions_of(SHOP).ltv_days == 360


@pytest.mark.parametrize(
    "text", ["ltv_days=many", "ltv_days=-1", "nonsense=1", "amount_basis=profit", "base_products="]
)
def test_a_setting_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(MisconfiguredError):
        definitions_of(with_settings(SHOP, [text]))


def test_lists_of_texts_reach_the_queries_as_lines() -> None:
    values = definitions_of(with_settings(SHOP, ["base_products=A,B"])).parameters()
    assert values["base_products"] == "A\nB"
    assert definitions_of(SHOP).parameters()["base_products"] == ""


def test_an_empty_answer_says_so_and_what_makes_predictions() -> None:
    day = date(2026, 11, 21)
    assert nothing_found(meaning("cpm_v1"), day) == "2026-11-21 時点で該当する行はありません"
    assert nothing_found(meaning("customer_predictions_v1"), day).endswith("matakite nightly run --as-of 2026-11-21")


LATE = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
"""Half past midnight of the 21st in Tokyo."""


@pytest.mark.parametrize("written", ["2026-11-21", "２０２６－１１－２１"])
def test_as_of_today_is_the_shops_today(written: str) -> None:
    assert read_as_of(written, SHOP, LATE) == date(2026, 11, 21)


def test_without_as_of_no_day_was_named() -> None:
    assert read_as_of(None, SHOP, LATE) is None


@pytest.mark.parametrize(("written", "why"), [("2026-11-22", "has not been yet"), ("11/21", "2026-01-31 のように")])
def test_as_of_a_day_that_is_none_or_yet_to_come_is_refused(written: str, why: str) -> None:
    with pytest.raises(RejectedError, match=why):
        read_as_of(written, SHOP, LATE)
