"""店舗での絞り込み: any analysis, asked of one store of the shop as if there were no other.

Every table that says from which store a row is (orders, lines, contracts, events, views, products, consent) is read for
that store alone, wherever a query reads it; so what follows from orders, such as RFM or LTV, is that store's too. What
tells nothing of a store (messages, attributes, who is who) stays whole.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from shared.analytics.schema import BASE_TABLES, COUPON_CODES, MEDIA_COSTS
from shared.core.errors import RejectedError

TOLD_OF_STORES = frozenset(table.name for table in BASE_TABLES if any(each.name == "store" for each in table.columns))
WHOLE = {
    MEDIA_COSTS.name: "広告費は店舗ごとに登録されていません / advertising costs are told for the whole shop",
    COUPON_CODES.name: "クーポンは店舗ごとに登録されていません / coupons are loaded for the whole shop",
}
"""What cannot be divided, and would be compared with one store's orders."""


def of_store(query: str, store: str) -> str:
    """An analysis' bound query (Athena) over one store's rows. Raises RejectedError where nothing tells of stores."""
    tree = sqlglot.parse_one(query, read="athena")
    read = [
        source for scope in traverse_scope(tree) for source in scope.sources.values() if isinstance(source, exp.Table)
    ]
    for table in read:
        if table.name in WHOLE:
            raise RejectedError(f"this cannot be asked of one store: {WHOLE[table.name]}")
    of_stores = [table for table in read if table.name in TOLD_OF_STORES]
    if not of_stores:
        raise RejectedError("店舗の区別がない分析です / nothing this analysis reads tells of stores")
    for table in of_stores:
        _narrow(table, store)
    return tree.sql("athena")


def _narrow(table: exp.Table, store: str) -> None:
    """Where the table is read, not around it: Athena finds the partitions by what stands beside it."""
    alone = exp.column("store", table.alias_or_name).eq(exp.Literal.string(store))
    joined = table.parent
    if isinstance(joined, exp.Join) and joined.side:
        joined.on(alone, copy=False)
        return
    select = table.find_ancestor(exp.Select)
    if select is None:
        raise RejectedError("a table that no SELECT reads")
    select.where(alone, copy=False)
