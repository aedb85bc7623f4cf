"""The shop's own limits: taken, or refused with the reason."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from shared.analytics.definitions import Definitions, definitions_of, parse_definitions
from shared.core.errors import MisconfiguredError
from shared.core.ids import TenantId
from shared.core.shop import Shop


def test_defaults_are_those_of_the_definitions() -> None:
    values = Definitions().parameters()
    assert [values[f"r{bin_}"] for bin_ in range(6, 1, -1)] == [30, 60, 90, 180, 365]
    assert [values[f"f{bin_}"] for bin_ in range(2, 7)] == [2, 3, 4, 6, 10]
    assert [values[f"m{bin_}"] for bin_ in range(2, 7)] == [5_000, 10_000, 30_000, 50_000, 100_000]
    assert values["dormant_days"] == 240
    assert values["overdue_percent"] == 150
    cpm = ("cpm_settled_days", "cpm_loyal_days", "cpm_churn_days", "cpm_amount")
    assert [values[name] for name in cpm] == [90, 210, 240, 70_000]
    assert (values["f2_days"], values["ltv_days"], values["churn_days"]) == (90, 360, 240)


def test_a_shop_changes_what_it_names() -> None:
    said = {"m_limits": [1, 2, 3, 4, 5], "dormant_days": 300, "rfm_since": "2026-04-01"}
    found = definitions_of(Shop(TenantId("shop"), "お店", sections={"analytics": said}))
    assert (found.m_limits, found.dormant_days, found.r_limits) == ((1, 2, 3, 4, 5), 300, Definitions().r_limits)
    assert found.parameters()["rfm_since"] == date(2026, 4, 1)


@pytest.mark.parametrize(
    "section", [{"f2_days": 30, "ltv_days": 1}, {"f2_days": 360, "ltv_days": 720}, {"cpm_settled_days": 209}]
)
def test_the_ends_of_a_range_are_possible(section: dict[str, Any]) -> None:
    found = parse_definitions(section)
    assert section == {name: getattr(found, name) for name in section}


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"m_limit": [1]}, "unknown m_limit"),
        ({"m_limits": [1, 2, 3]}, "five limits"),
        ({"m_limits": [1, 2, 2, 4, 5]}, "must rise"),
        ({"m_limits": [5, 4, 3, 2, 1]}, "must rise"),
        ({"dormant_days": "240; DROP"}, "whole number"),
        ({"dormant_days": True}, "whole number"),
        ({"dormant_days": -1}, "whole number"),
        ({"cpm_settled_days": 210}, "must be less than cpm_loyal_days"),
        ({"cpm_loyal_days": 90}, "must be less than cpm_loyal_days"),
        ({"f2_days": 29}, "30 to 360"),
        ({"f2_days": 361}, "30 to 360"),
        ({"ltv_days": 0}, "1 to 720"),
        ({"ltv_days": 721}, "1 to 720"),
        ({"churn_days": 0}, "1 to 3650"),
        ({"cpm_months": 61}, "1 to 60"),
        ({"followed_orders": 0}, "1 to 100"),
        ({"rfm_since": "April"}, "a day like"),
        ({"rfm_since": 20260401}, "a day like"),
    ],
)
def test_nonsense_is_refused_with_the_reason(section: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MisconfiguredError, match=complaint):
        parse_definitions(section)
