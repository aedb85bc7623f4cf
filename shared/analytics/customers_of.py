"""Every cell opens its list (顧客リスト): the query for the people behind one row of an analysis.

An analysis whose rows are people is its own list. Any other brings `customers.sql`, which gives one row per
(counted, keys …, customer_id) for all of its cells at once; one row's people are those with the row's keys. The same
SQL so explains every number, and a test holds the length of each list against the number it explains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from shared.analytics import sql
from shared.analytics.catalog import FOLDER, Analysis, over_base_tables, query_text
from shared.analytics.meaning import CustomerLists, meaning, result_table
from shared.analytics.schema import Kind
from shared.analytics.sql import Value, bind, literal
from shared.core.errors import RejectedError

PERSON = "customer_id"
LIST = "list"
"""Key that names which of a row's lists is meant: `list=second_buyers`."""


def customers_query(name: str, row: Mapping[str, str], catalog: Sequence[Analysis], values: Mapping[str, Value]) -> str:
    """The sorted customer ids behind the row with these keys, over the base tables alone.

    `row` holds texts as a person types them (`{"r": "6", "f": "1"}`, an empty text is a blank cell); they are typed by
    the analysis' schema and bound as literals. Raises RejectedError for a key or list the analysis does not have.
    """
    select, reads = members_select(name, row)
    return f"{over_base_tables(bind(select, values), reads, catalog, values)}\nORDER BY {PERSON}"


def members_select(name: str, row: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The unbound SELECT of the people behind a row, each once, and what it reads. Raises RejectedError."""
    lists = meaning(name).customers
    keys = {key: text for key, text in row.items() if key != LIST}
    if lists is None:
        members, reads = _rows_as_people(name, keys)
    else:
        members, reads = _members(name, lists, keys, row.get(LIST, lists.lists[0]))
    return f"SELECT DISTINCT {PERSON}\nFROM {members}", reads


def members_text(name: str) -> str:
    """The unbound `customers.sql` of an analysis."""
    return sql.read(FOLDER / name / "customers.sql")


def _rows_as_people(name: str, keys: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    columns = [column.name for column in result_table(name).columns]
    if PERSON not in columns:
        raise RejectedError(f"{name} counts no people: it has no customer list")
    where = _where(name, keys, columns)
    return f"(\n{query_text(name)}\n) AS members{where}", meaning(name).reads


def _members(name: str, lists: CustomerLists, keys: Mapping[str, str], counted: str) -> tuple[str, tuple[str, ...]]:
    if counted not in lists.lists:
        raise RejectedError(f"{name} has no list {counted!r}; there are: {', '.join(lists.lists)}")
    where = _where(name, keys, lists.keys)
    chosen = f"{where or ''}{' AND' if where else chr(10) + 'WHERE'} counted = {literal(counted)}"
    return f"(\n{members_text(name)}\n) AS members{chosen}", lists.reads


def _where(name: str, keys: Mapping[str, str], known: Sequence[str]) -> str:
    if unknown := sorted(set(keys) - set(known)):
        raise RejectedError(f"{name} has no key {', '.join(unknown)}; there are: {', '.join(known)}")
    conditions = [_condition(name, key, text) for key, text in keys.items()]
    return f"\nWHERE {' AND '.join(conditions)}" if conditions else ""


def _condition(name: str, key: str, text: str) -> str:
    kind = next(column.kind for column in result_table(name).columns if column.name == key)
    if text == "":
        return f"{key} IS NULL"
    try:
        return f"{key} = {_literal(kind, text)}"
    except ValueError:
        raise RejectedError(f"{key} is a {kind.value}, got {text!r}") from None


def _literal(kind: Kind, text: str) -> str:
    """A typed key; a text stays a text whatever it says."""
    match kind:
        case Kind.BIGINT | Kind.INTEGER:
            return literal(int(text))
        case Kind.DATE:
            return literal(date.fromisoformat(text))
        case Kind.BOOLEAN:
            if text.lower() not in {"true", "false"}:
                raise ValueError(text)
            return text.upper()
        case Kind.STRING:
            return literal(text)
        case _:
            raise ValueError(kind.value)
