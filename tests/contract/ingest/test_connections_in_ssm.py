"""Connections written by the command line are found by the intake, through a real client."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from shared.core.errors import NotFoundError
from shared.ingest.connections import ConnectionBook, SsmConnections, new_connection, rotated

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def test_a_connection_is_saved_encrypted_found_rotated_and_listed(cloud: boto3.Session) -> None:
    ssm = cloud.client("ssm")
    book = ConnectionBook(ssm, "/matakite-contract")
    made = [new_connection("sample", "shopify", f"shop-{number}.myshopify.com") for number in range(12)]
    for one in made:
        book.save(one)
    stored = ssm.get_parameter(Name=f"/matakite-contract/connections/{made[0].connection_id}")["Parameter"]
    assert stored["Type"] == "SecureString"
    assert made[0].secret not in stored["Value"]
    assert {one.connection_id for one in book.all()} == {one.connection_id for one in made}

    intake = SsmConnections(ssm, "/matakite-contract")
    assert intake.find(made[0].connection_id, NOW) == made[0]
    changed = rotated(made[0], NOW)
    book.save(changed)
    assert intake.find(made[0].connection_id, NOW) == made[0], "still cached"
    assert intake.refresh(made[0].connection_id, NOW + timedelta(seconds=1)) == changed
    assert intake.find("z" * 26, NOW) is None
    assert intake.find(made[1].connection_id, NOW) == replace(made[1])
    with pytest.raises(NotFoundError):
        book.load("z" * 26)
