"""House rules of SQL, checked on the parsed tree: what would differ between engines, leak or cost is refused.

Needs sqlglot, which is no part of any bundle: `make lint` and the tests run it.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from shared.analytics.sql import bind, parameter_names

TENANT = "the-tenant-that-asks"
KNOWN = "known-before"
_KNOWN_BY = {"written_at", "received_at"}
_ZONE_FUNCTIONS = frozenset({"at_timezone", "with_timezone", "from_utc_timestamp", "to_utc_timestamp", "now",
                             "current_timestamp", "localtimestamp", "from_unixtime", "convert_timezone"})  # fmt: skip
_PARTITIONS = frozenset({"month", "dt"})


def lint(
    query: str, lake_tables: Set[str], known_parameters: Set[str], base_tables: Set[str] = frozenset()
) -> list[str]:
    """Everything wrong with a query, as sentences; empty when it may run.

    `lake_tables` are the tables that have a tenant partition, `base_tables` those of them that no analysis makes.
    """
    if unknown := sorted(parameter_names(query) - known_parameters):
        return [f"unknown parameters: {', '.join(unknown)}"]
    try:
        # Bound first: a name left over after binding would be a parameter inside a text.
        values = dict.fromkeys(known_parameters, "1") | {"tenant": TENANT, "known_before": KNOWN}
        tree = sqlglot.parse_one(bind(query, values), read="athena")
    except SqlglotError as error:
        return [f"not Athena SQL: {error}"]
    if not isinstance(tree, exp.Query):
        return [f"not a query: {type(tree).__name__}"]
    return [
        *_shape(tree),
        *_empty_counts(tree),
        *_divisions(tree),
        *_zones(tree),
        *_predicates(tree, lake_tables, base_tables),
    ]


def tables_read(query: str) -> set[str]:
    """Lake tables a query names, common table expressions left out."""
    tree = sqlglot.parse_one(query, read="athena")
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    return {table.name for table in tree.find_all(exp.Table) if table.name and table.name not in common}


def _shape(tree: exp.Expr) -> Iterator[str]:
    if any(isinstance(star.parent, exp.Select | exp.Column) for star in tree.find_all(exp.Star)):
        yield "SELECT *: name the columns, each one scanned is paid for"
    if list(tree.find_all(exp.Placeholder)):
        yield "a placeholder is left: parameters are :names outside of texts"


def _empty_counts(tree: exp.Expr) -> Iterator[str]:
    for count in tree.find_all(exp.CountIf):
        select = count.find_ancestor(exp.Select)
        if select is not None and not select.args.get("group"):
            yield f"{count.sql()}: of no rows it is 0 here and null there; COUNT(CASE WHEN … THEN 1 END)"


def _divisions(tree: exp.Expr) -> Iterator[str]:
    for division in tree.find_all(exp.Div):
        left, right = division.this, division.expression
        if not (isinstance(left, exp.Cast) and left.to.this == exp.DataType.Type.DOUBLE):
            yield f"{division.sql()}: 7 / 2 is 3 here and 3.5 there; CAST the left side AS double"
        if not isinstance(right, exp.Nullif | exp.Literal):
            yield f"{division.sql()}: by zero is infinity here and null there; divide by NULLIF(…, 0)"


def _zones(tree: exp.Expr) -> Iterator[str]:
    for node in tree.find_all(exp.AtTimeZone, exp.FromTimeZone):
        yield f"{node.sql()}: no time-zone conversion in SQL; the lake has …_on for the shop's day"
    for function in tree.find_all(exp.Func):
        name = function.sql_name().lower() if not isinstance(function, exp.Anonymous) else str(function.this).lower()
        if name in _ZONE_FUNCTIONS:
            yield f"{name}(): the present and its zone are parameters, not SQL"


def _predicates(tree: exp.Expr, lake_tables: Set[str], base_tables: Set[str]) -> Iterator[str]:
    """Each SELECT that reads a lake table binds its tenant by equality and its partition, and of a base table what was
    known when.
    """
    for select in tree.find_all(exp.Select):
        read = [table for table in _own_tables(select) if table.name in lake_tables]
        if not read:
            continue
        conditions = list(_conjuncts(select))
        for table in read:
            alias = table.alias_or_name if len(read) > 1 else None
            if not any(_is_tenant(condition, alias) for condition in conditions):
                yield f"{table.name}: no tenant = :tenant in the WHERE of its SELECT"
            if table.name in base_tables and not any(_is_known(condition, alias) for condition in conditions):
                yield f"{table.name}: no written_at (or received_at) < :known_before, so no answer as known then"
            if not any(_bounds_partition(condition, alias) for condition in conditions):
                yield f"{table.name}: no bound on its partition (month or dt) in the WHERE of its SELECT"


def _own_tables(select: exp.Select) -> list[exp.Table]:
    sources = [select.args.get("from_") or select.args.get("from"), *(select.args.get("joins") or [])]
    return [source.this for source in sources if source is not None and isinstance(source.this, exp.Table)]


def _conjuncts(select: exp.Select) -> Iterator[exp.Expr]:
    where = select.args.get("where")
    if where is None:
        return
    condition = where.this
    # Only what is ANDed at the top holds for every row: a tenant inside an OR protects nothing.
    yield from condition.flatten() if isinstance(condition, exp.And) else [condition]


def _is_tenant(condition: exp.Expr, alias: str | None) -> bool:
    return (
        isinstance(condition, exp.EQ)
        and _is_column(condition.this, {"tenant"}, alias)
        and isinstance(condition.expression, exp.Literal)
        and condition.expression.this == TENANT
    )


def _is_known(condition: exp.Expr, alias: str | None) -> bool:
    return (
        isinstance(condition, exp.LT)
        and _is_column(condition.this, _KNOWN_BY, alias)
        and isinstance(condition.expression, exp.Literal)
        and condition.expression.this == KNOWN
    )


def _bounds_partition(condition: exp.Expr, alias: str | None) -> bool:
    bounded = exp.EQ | exp.LTE | exp.LT | exp.GTE | exp.Between | exp.In
    return isinstance(condition, bounded) and _is_column(condition.this, _PARTITIONS, alias)


def _is_column(node: exp.Expr, names: Set[str], alias: str | None) -> bool:
    return isinstance(node, exp.Column) and node.name in names and (alias is None or node.table == alias)
