"""One emulator for all contract suites: what a fake promises, the real client must keep too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.local.process import LocalPaths, start, stop
from infra.local.session import LocalSession


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.Session]:
    """A boto3 session of an empty emulator on a port of its own."""
    paths = LocalPaths(Path(tmp_path_factory.mktemp("emulator")))
    with warnings.catch_warnings():
        # The emulator is meant to outlive the call that started it.
        warnings.simplefilter("ignore", ResourceWarning)
        emulator = start(paths, port=0)
    try:
        yield LocalSession(emulator)
    finally:
        stop(paths)


@pytest.fixture(scope="session")
def make_table(cloud: boto3.Session) -> Callable[[str], str]:
    """Makes an empty table with the keys every table here has; returns its name."""
    client: Any = cloud.client("dynamodb")

    def make(name: str) -> str:
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    return make
