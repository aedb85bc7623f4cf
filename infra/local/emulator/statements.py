"""Treat what PartiQL writes as AWS does.

Without it: MiniStack puts no record into the table's stream for an INSERT or UPDATE, so nobody hears of the row; it
asks IAM for `dynamodb:BatchExecuteStatement` on everything, which is no permission of AWS's (it asks for
`dynamodb:PartiQLInsert` and the like on each statement's table); and it counts a write unit for each statement, where
AWS counts every started kilobyte.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ministack.core import iam_actions
from ministack.services import dynamodb

from infra.local.emulator.settings import EmulatorSettings

_PERMISSIONS = {
    "SELECT": "dynamodb:PartiQLSelect",
    "INSERT": "dynamodb:PartiQLInsert",
    "UPDATE": "dynamodb:PartiQLUpdate",
    "DELETE": "dynamodb:PartiQLDelete",
}
_Answer = tuple[int, dict[str, Any], bytes]
_beyond_first: list[float] = []
"""Units of the statements of the batch under way, above the one that MiniStack counts for each."""


def _permissions(action: str, body: bytes, region: str, account_id: str) -> list[tuple[str, str]]:
    """What AWS asks IAM about a batch: the statement's kind on its table, for each."""
    if action != "dynamodb:BatchExecuteStatement":
        return []
    asked = []
    for each in json.loads(body).get("Statements", []):
        # What cannot be read is refused for it afterwards, statement by statement.
        with suppress(ValueError):
            parsed = dynamodb._parse_partiql(each["Statement"], each.get("Parameters", []))
            table = iam_actions._dynamodb_table_arn(parsed["table"], region, account_id)
            asked.append((_PERMISSIONS[parsed["op"]], table))
    return asked


def _key(table: dict[str, Any], item: dict[str, Any]) -> tuple[Any, Any]:
    names = table["pk_name"], table["sk_name"]
    pk, sk = (dynamodb._extract_key_val(item.get(name)) if name else "__no_sort__" for name in names)
    return pk, sk


def _written(table: dict[str, Any], parsed: dict[str, Any]) -> dict[str, Any] | None:
    if parsed["op"] == "INSERT":
        item = parsed.get("item", {})
        pk, sk = _key(table, item.get("M", item) if set(item) == {"M"} else item)
    else:
        pk, sk, _condition, error = dynamodb._partiql_key_target(table, parsed)
        if error:
            return None
    found: dict[str, Any] | None = table["items"].get(pk, {}).get(sk)
    return found


def _told(write: Callable[..., _Answer]) -> Callable[..., _Answer]:
    """A write whose stream hears of it."""

    def write_and_tell(table: dict[str, Any], parsed: dict[str, Any], *rest: Any) -> _Answer:
        before = copy.deepcopy(_written(table, parsed))
        answer = write(table, parsed, *rest)
        if answer[0] == 200:
            after = _written(table, parsed)
            dynamodb._emit_stream_event(parsed["table"], "MODIFY" if before else "INSERT", before, after)
            sizes = [dynamodb._item_size_bytes(item) for item in (before, after) if item]
            _beyond_first.append(dynamodb._capacity_kb(max(sizes)) - 1)
        return answer

    return write_and_tell


def _charged(execute: Callable[[dict[str, Any]], _Answer]) -> Callable[[dict[str, Any]], _Answer]:
    """A batch that says what it cost; every one of ours writes one table."""

    def execute_and_charge(data: dict[str, Any]) -> _Answer:
        _beyond_first.clear()
        status, headers, body = execute(data)
        answer = json.loads(body)
        if capacity := answer.get("ConsumedCapacity"):
            capacity[0]["CapacityUnits"] += sum(_beyond_first)
        return status, headers, json.dumps(answer, ensure_ascii=False).encode()

    return execute_and_charge


def install(settings: EmulatorSettings) -> None:
    """Around MiniStack's own writes and checks."""
    dynamodb._partiql_insert = _told(dynamodb._partiql_insert)
    dynamodb._partiql_update = _told(dynamodb._partiql_update)
    dynamodb._batch_execute_statement = _charged(dynamodb._batch_execute_statement)
    checks = iam_actions.dynamodb_transaction_checks

    def checks_as_aws(action: str, body: bytes, region: str, account_id: str) -> list[tuple[str, str]]:
        return _permissions(action, body, region, account_id) or list(checks(action, body, region, account_id))

    iam_actions.dynamodb_transaction_checks = checks_as_aws
