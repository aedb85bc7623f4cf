"""Rows as PartiQL statements: the one form in which DynamoDB takes many conditional writes in one call.

BatchWriteItem knows no conditions, and a transaction costs twice. Of `BatchExecuteStatement` AWS's documentation says
(developer guide "Running batch operations with PartiQL", "PartiQL insert" and "update statements"; API reference
`BatchStatementRequest`, `BatchStatementError`): at most 25 statements of at most 8,192 characters; each stands for
itself and says in `Error` if it failed, while the call answers 200; no order is promised. INSERT fails with
`DuplicateItem` where the key exists. UPDATE names one whole key, and what else its WHERE says is a condition
(`ConditionalCheckFailed`). No price of its own is named: each costs what its put or update would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AT_ONCE = 25
"""Statements in one call."""

Item = Mapping[str, Any]
"""Attribute name → typed value, as DynamoDB has it."""

_KEY = ("pk", "sk")


def replacing(table: str, before: Item | None, after: Item) -> dict[str, Any]:
    """The statement that puts one item where another (None: nothing) is, at the revision that one had."""
    return _insert(table, after) if before is None else _update(table, before, after)


def _insert(table: str, item: Item) -> dict[str, Any]:
    names = ", ".join(f"'{name}': ?" for name in item)
    return {"Statement": f'INSERT INTO "{table}" VALUE {{{names}}}', "Parameters": list(item.values())}


def _update(table: str, before: Item, after: Item) -> dict[str, Any]:
    written = {name: value for name, value in after.items() if name not in _KEY}
    sets = " ".join(f'SET "{name}" = ?' for name in written)
    removes = "".join(f' REMOVE "{name}"' for name in before if name not in after)
    condition = {**{name: after[name] for name in _KEY}, "rev": before["rev"]}
    where = " AND ".join(f'"{name}" = ?' for name in condition)
    return {
        "Statement": f'UPDATE "{table}" {sets}{removes} WHERE {where}',
        "Parameters": [*written.values(), *condition.values()],
    }
