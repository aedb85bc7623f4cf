"""The same webhooks again, in any order, as often as the network likes."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from infra.demo import acts
from infra.demo.post import post_all
from infra.demo.settle import settle
from tests.system.books import books_of, scan
from tests.system.conftest import Played

BATCH = 100


@pytest.mark.parametrize("seed", [1, 2])
def test_replaying_the_whole_day_shuffled_changes_nothing_and_mails_nobody(played: Played, seed: int) -> None:
    before = books_of(played.stage, played.cloud.emulator)
    calls = [*played.day.morning, *played.day.evening]
    random.Random(seed).shuffle(calls)
    tally = post_all(played.stage.endpoint, calls)
    assert tally.surprises == []
    assert tally.answers["accepted"] == 0
    assert tally.answers["duplicate"] > 100
    settle(played.cloud.emulator)
    acts.fire_schedule(played.stage.deployment, acts.SCENARIO)
    settle(played.cloud.emulator)
    assert books_of(played.stage, played.cloud.emulator) == before


def test_the_fold_does_not_mind_every_stored_event_again_in_another_order(played: Played) -> None:
    """A stream delivers at least once: what `receive_webhook` keeps out, `update_state` must bear as well."""
    before = books_of(played.stage, played.cloud.emulator)
    mine = f"{played.stage.shop.tenant}#"
    items = [item for item in scan(played.stage.deployment, "EventsTable") if item["pk"]["S"].startswith(mine)]
    assert len(items) > 200
    random.Random(3).shuffle(items)
    for start in range(0, len(items), BATCH):
        assert _fold(played, items[start : start + BATCH]) == {"batchItemFailures": []}
    settle(played.cloud.emulator)
    assert books_of(played.stage, played.cloud.emulator) == before


def _fold(played: Played, items: list[dict[str, Any]]) -> Any:
    client = played.stage.deployment.client("lambda")
    name = next(
        function["FunctionName"]
        for page in client.get_paginator("list_functions").paginate()
        for function in page["Functions"]
        if function["Handler"] == "functions.customers.update_state.handler"
    )
    records = [
        {"eventName": "INSERT", "dynamodb": {"NewImage": _streamed(item), "SequenceNumber": str(number)}}
        for number, item in enumerate(items)
    ]
    answer = client.invoke(FunctionName=name, Payload=json.dumps({"Records": records}))
    assert "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


def _streamed(item: dict[str, Any]) -> dict[str, Any]:
    """As Lambda gets it from a stream: bytes as base64 text."""
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value for name, value in item.items()
    }
