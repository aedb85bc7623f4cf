"""The shop's own limits: taken, or refused with the reason."""

from __future__ import annotations

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


def test_a_shop_changes_what_it_names() -> None:
    shop = Shop(TenantId("shop"), "お店", sections={"analytics": {"m_limits": [1, 2, 3, 4, 5], "dormant_days": 300}})
    found = definitions_of(shop)
    assert (found.m_limits, found.dormant_days, found.r_limits) == ((1, 2, 3, 4, 5), 300, Definitions().r_limits)


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
    ],
)
def test_nonsense_is_refused_with_the_reason(section: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MisconfiguredError, match=complaint):
        parse_definitions(section)
