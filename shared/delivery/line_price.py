"""What the next message on LINE costs: LINE's plans in Japan, each a cliff (LINE公式アカウントの料金プラン).

| plan | a month | messages in it | beyond |
|---|---|---|---|
| コミュニケーション | ¥0 | 200 | none |
| ライト | ¥5,000 | 5,000 | none |
| スタンダード | ¥15,000 | 30,000 | up to ¥3 each, less with volume |

Before tax, as published by LINE Yahoo for Japan (2023-06 and later); the API tells a number, not the plan.
"""

from __future__ import annotations

from dataclasses import dataclass

PLANS = ((200, "コミュニケーションプラン", 0), (5_000, "ライトプラン", 5_000), (30_000, "スタンダードプラン", 15_000))
"""(messages in the plan, its name, yen a month)."""
BEYOND_YEN = 3


@dataclass(frozen=True, slots=True)
class Quota:
    """`limit`: what may be sent this month, None without a limit; `used`: what was, by LINE's own count."""

    limit: int | None
    used: int


def yen_of_next(quota: Quota) -> int | None:
    """Yen of one message more at most; None: it will not be sent."""
    if quota.limit is not None and quota.used >= quota.limit:
        return None
    standard = PLANS[-1][0]
    if quota.limit is not None and quota.limit <= standard:
        return 0
    return 0 if quota.used < standard else BEYOND_YEN


def price_of_next(quota: Quota) -> str:
    """The same, as a shop owner reads it, with the next cliff."""
    yen = yen_of_next(quota)
    if yen is None:
        return f"送信できません（今月の上限に達しました）{_next_plan(quota.limit or 0)}"
    if yen:
        return f"最大 {yen}円（スタンダードプランの無料分 {PLANS[-1][0]:,} 通を超えています）"
    included = min(quota.limit, PLANS[-1][0]) if quota.limit is not None else PLANS[-1][0]
    return f"0円（プラン内。あと {included - quota.used:,} 通{_cliff(quota)}）"


def _cliff(quota: Quota) -> str:
    if quota.limit is None or quota.limit > PLANS[-1][0]:
        return f"、その先は1通 最大{BEYOND_YEN}円"
    return "で止まります"


def _next_plan(limit: int) -> str:
    bigger = next(((name, yen, size) for size, name, yen in PLANS if size > limit), None)
    return f"。{bigger[0]}（月額 {bigger[1]:,}円・{bigger[2]:,} 通）で再開できます" if bigger else ""
