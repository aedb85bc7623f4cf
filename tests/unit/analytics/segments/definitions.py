"""Random definitions: everything the language can say, as a file would say it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.unit.analytics.segments.world import CHANNELS, MEDIA, PRODUCTS, STORES, TAGS

Json = dict[str, Any]


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


def numbers(*limits: float) -> st.SearchStrategy[Any]:
    """A comparison with one of these limits."""
    limit = st.sampled_from(limits)
    single = [st.fixed_dictionaries({word: limit}) for word in ("at_least", "at_most", "more_than", "less_than", "is")]
    return st.one_of(limit, *single, st.fixed_dictionaries({"at_least": limit, "less_than": limit}))


def words(*known: str) -> st.SearchStrategy[Any]:
    """One text or several; sometimes one that nobody has."""
    word = st.sampled_from((*known, "無い'語"))
    return word | st.lists(word, min_size=1, max_size=3)


COUNTS = numbers(0, 1, 2, 5)
DAYS = numbers(0, 1, 7, 8, 30, 31, 90, 240)
WINDOW: dict[str, st.SearchStrategy[Any]] = {
    "within_days": st.sampled_from([1, 7, 8, 30, 31, 90, 365]),
    "before_days": st.sampled_from([0, 1, 7, 30, 240]),
    "since": st.sampled_from(["2026-03-01", "2026-03-31", "2025-01-01"]),
    "until": st.sampled_from(["2026-03-01", "2026-03-31", "2025-12-31"]),
}
YES = st.booleans()
SUMS = numbers(0, 4_000, 5_000, 12_000, 0.5)
PRODUCT = words(*PRODUCTS)
STORE = words(*STORES)

LIVE: dict[str, st.SearchStrategy[Any]] = {
    "orders": _some(
        count=COUNTS, sum=SUMS, amount=SUMS, store=STORE, source=words("shopify", "import"), media=words(*MEDIA),
        coupon=words("SPRING", "it's"), offline=YES, subscription=YES, **WINDOW,
    ),
    "bought": _some(
        product=PRODUCT, count=COUNTS, quantity=COUNTS, sum=SUMS, first=YES, last=YES, subscription=YES, **WINDOW
    ),
    "first_order": st.fixed_dictionaries({"days_ago": DAYS}),
    "last_order": st.fixed_dictionaries({"days_ago": DAYS}),
    "left_cart": _some(days_ago=DAYS, total=SUMS, store=STORE),
    "contracts": _some(
        count=COUNTS, state=st.sampled_from(["active", ["paused", "cancelled"], "unknown"]), product=PRODUCT,
        store=STORE,
        deliveries=COUNTS, next_delivery_in_days=DAYS, started_days_ago=DAYS, cancelled_days_ago=DAYS,
        cancel_reason=words("高い", "余った"),
    ),
    "age": numbers(20, 30, 40.5, 75),
    "birthday": _some(in_months=st.integers(0, 11)),
    "gender": st.sampled_from(["female", ["male", "other"]]),
    "prefecture": words("東京都"),
    "occupation": words("会社員"),
    "came_by": words(*MEDIA),
    "tag": words(*TAGS),
    "registered": st.fixed_dictionaries({"days_ago": DAYS}),
    "custom": st.fixed_dictionaries({"name": st.just("身長"), "number": numbers(150, 160, 170.5)})
    | st.fixed_dictionaries({"name": st.just("会員"), "yes": YES}),
    "survey": st.fixed_dictionaries(
        {"survey": st.just("s1"), "question": st.just("q1")}, optional={"choice": words("a", "c"), **WINDOW}
    )
    | st.fixed_dictionaries({"survey": st.just("s1"), "question": st.just("q2"), "number": numbers(1, 3)}),
    "points": st.fixed_dictionaries(
        {"balance": numbers(0, 1, 500)}, optional={"expires_in_days": DAYS, "store": st.sampled_from(STORES)}
    )
    | st.fixed_dictionaries({"expires_in_days": DAYS}, optional={"expiring": numbers(0, 100)}),
    "rank": st.fixed_dictionaries({"is": words("gold", "silver")}, optional={"store": st.sampled_from(STORES)}),
    "consent": st.fixed_dictionaries(
        {"channel": st.sampled_from(CHANNELS)},
        optional={
            "status": st.sampled_from(["opt_in", "opt_out"]),
            "store": st.sampled_from((*STORES, "c.example.com")),
        },
    ),
    "visits": _some(
        kind=st.sampled_from(["page", "login", ["tracked", "page"]]), name=words("見積もり"),
        page_type=words("product", "cart"), product=PRODUCT, count=COUNTS, **WINDOW,
    ),
    "status": st.sampled_from(["at_risk", ["loyal", "new"]])
    | st.fixed_dictionaries({"is": st.just("dormant")}, optional={"since_days": numbers(0, 1, 5)}),
    "ltv_tier": st.sampled_from(["high", ["potential", "low"]]),
    "rfm": st.fixed_dictionaries(
        {"r": numbers(1, 4, 6)},
        optional={"f": numbers(2, 5), "m": numbers(3), "rank": st.sampled_from(["優良", ["離反", "有望"]])},
    ),
    "sample": st.fixed_dictionaries(
        {"percent": st.sampled_from([0, 10, 50.5, 100]), "seed": st.sampled_from(["春", "it's"])}
    ),
}  # fmt: skip
"""What both readers can answer."""

NIGHTLY: dict[str, st.SearchStrategy[Any]] = {
    "bought": st.fixed_dictionaries({"category": words("基礎")}, optional={"count": COUNTS}),
    "messages": st.fixed_dictionaries(
        {"event": st.sampled_from(["opened", ["clicked", "sent"]])},
        optional={"scenario": words("cart"), "channel": words("email"), "count": COUNTS, **WINDOW},
    ),
    "p_order_30": numbers(0.3, 0.9),
    "p_order_90": numbers(0.3),
    "p_alive": numbers(0.5),
    "predicted_ltv": numbers(10_000),
    "predicted_orders": numbers(2),
    "next_order": st.fixed_dictionaries({"in_days": DAYS}),
    "analysis": st.fixed_dictionaries(
        {"name": st.just("rfm_matrix_v1"), "row": st.fixed_dictionaries({"r": st.just("6"), "f": st.just("1")})}
    ),
}
"""What the lake alone can answer."""


def _leaf(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Json]:
    return st.sampled_from(sorted(known)).flatmap(lambda word: st.fixed_dictionaries({word: known[word]}))


def members(leaf: st.SearchStrategy[Json], most: int = 6) -> st.SearchStrategy[Json]:
    """Conditions joined in every way."""

    def grown(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
        several = st.lists(inner, min_size=1, max_size=3)
        joined = [st.fixed_dictionaries({join: several}) for join in ("all", "any", "none")]
        return st.one_of(*joined, st.fixed_dictionaries({"not": inner}))

    return st.recursive(leaf, grown, max_leaves=most)


def documents(*, live: bool, most: int = 6) -> st.SearchStrategy[Json]:
    """Whole definitions."""
    leaf = _leaf(LIVE) if live else _leaf(LIVE) | _leaf(NIGHTLY)
    return st.fixed_dictionaries(
        {"name": st.just("random"), "title": st.just("無作為"), "members": members(leaf, most)}
    )


ONE_OF_EACH = {word: strategy for known in (LIVE, NIGHTLY) for word, strategy in known.items()}
