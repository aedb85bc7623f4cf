"""Connections are read rarely, noticed quickly when they change, and give nothing away."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.core.errors import MisconfiguredError, NotFoundError, RejectedError, UnavailableError
from shared.ingest.adapter import Connection
from shared.ingest.connections import (
    CACHE_SIZE,
    MAX_AGE,
    REFRESH_INTERVAL,
    ROTATION,
    STALE_LIMIT,
    ConnectionBook,
    SsmConnections,
    new_connection,
    parse_connection,
    render_connection,
    rotated,
)
from tests.unit.ingest.conftest import NOW, SECRET, STORE


class Ssm:
    """AWS's edge: SSM's three calls, as botocore answers them."""

    class exceptions:  # noqa: N801 - botocore's name
        class ParameterNotFound(Exception):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.reads = 0
        self.down = False

    def get_parameter(self, Name: str, WithDecryption: bool) -> dict[str, Any]:  # noqa: N803
        assert WithDecryption
        self.reads += 1
        if self.down:
            raise UnavailableError("throttled")
        if Name not in self.values:
            raise self.exceptions.ParameterNotFound(Name)
        return {"Parameter": {"Name": Name, "Value": self.values[Name]}}

    def put_parameter(self, Name: str, Value: str, Type: str, Overwrite: bool) -> None:  # noqa: N803
        assert Type == "SecureString"
        assert Overwrite
        self.values[Name] = Value

    def delete_parameter(self, Name: str) -> None:  # noqa: N803
        del self.values[Name]

    def get_parameters_by_path(self, Path: str, WithDecryption: bool, NextToken: str = "0") -> dict[str, Any]:  # noqa: N803
        names = sorted(name for name in self.values if name.startswith(f"{Path}/"))
        start = int(NextToken)
        page = [{"Name": name, "Value": self.values[name]} for name in names[start : start + 10]]
        return {"Parameters": page} | ({"NextToken": str(start + 10)} if names[start + 10 :] else {})


@pytest.fixture
def ssm(connection: Connection) -> Ssm:
    found = Ssm()
    ConnectionBook(found, "/matakite").save(connection)
    return found


@pytest.fixture
def connections(ssm: Ssm) -> SsmConnections:
    return SsmConnections(ssm, "/matakite")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_connection_is_read_once_in_five_minutes(
    ssm: Ssm, connections: SsmConnections, connection: Connection
) -> None:
    for second in range(0, int(MAX_AGE.total_seconds()), 10):
        assert connections.find(connection.connection_id, after(second)) == connection
    assert ssm.reads == 1
    connections.find(connection.connection_id, NOW + MAX_AGE)
    assert ssm.reads == 2


def test_guessing_an_id_reaches_ssm_once_and_a_malformed_one_never(ssm: Ssm, connections: SsmConnections) -> None:
    for _ in range(5):
        assert connections.find("z" * 26, NOW) is None
    assert ssm.reads == 1
    for malformed in ("", "z" * 25, "Z" * 26, "../../../etc/passwd", "z" * 26 + "\n", "０" * 26):
        assert connections.find(malformed, NOW) is None
        assert connections.refresh(malformed, NOW) is None
    assert ssm.reads == 1


def test_a_guesser_does_not_fill_the_memory(connections: SsmConnections) -> None:
    for number in range(CACHE_SIZE + 50):
        connections.find(f"{number:026b}".replace("0", "a").replace("1", "b"), NOW)
    assert len(connections._cache) == CACHE_SIZE


def test_a_rotation_is_noticed_at_the_first_bad_signature(
    ssm: Ssm, connections: SsmConnections, connection: Connection
) -> None:
    connections.find(connection.connection_id, NOW)
    ConnectionBook(ssm, "/matakite").save(replace(connection, secret="new"))
    fresh = connections.refresh(connection.connection_id, after(1))
    assert fresh is not None
    assert fresh.secret == "new"
    again = connections.find(connection.connection_id, after(2))
    assert again is not None
    assert again.secret == "new"


def test_many_bad_signatures_are_one_read(ssm: Ssm, connections: SsmConnections, connection: Connection) -> None:
    connections.find(connection.connection_id, NOW)
    for tenth in range(1, 99):
        connections.refresh(connection.connection_id, after(tenth / 10))
    assert ssm.reads == 2
    assert connections.refresh(connection.connection_id, after(0.1) + REFRESH_INTERVAL) is not None


def test_what_was_read_this_very_moment_is_not_read_again(
    ssm: Ssm, connections: SsmConnections, connection: Connection
) -> None:
    connections.find(connection.connection_id, NOW)
    assert connections.refresh(connection.connection_id, NOW) is None
    assert ssm.reads == 1


def test_a_known_connection_works_on_while_ssm_does_not_answer(
    ssm: Ssm, connections: SsmConnections, connection: Connection
) -> None:
    connections.find(connection.connection_id, NOW)
    ssm.down = True
    assert connections.find(connection.connection_id, NOW + STALE_LIMIT - timedelta(1e-6)) == connection
    with pytest.raises(UnavailableError):
        connections.find(connection.connection_id, NOW + STALE_LIMIT)
    with pytest.raises(UnavailableError):
        connections.find("z" * 26, NOW)


def test_a_removed_connection_is_gone_after_five_minutes(
    ssm: Ssm, connections: SsmConnections, connection: Connection
) -> None:
    connections.find(connection.connection_id, NOW)
    ssm.values.clear()
    assert connections.find(connection.connection_id, NOW + MAX_AGE) is None


# --- what is stored


def test_a_connection_is_read_as_it_was_written(connection: Connection) -> None:
    for one in (connection, rotated(connection, NOW)):
        assert parse_connection(one.connection_id, render_connection(one)) == one


@pytest.mark.parametrize("text", ["", "{}", "[]", '"x"', '{"tenant": "a"}', '{"secret": "s3cret", "nonsense": 1}'])
def test_a_damaged_connection_is_our_fault_and_shows_no_secret(text: str) -> None:
    with pytest.raises(MisconfiguredError) as error:
        parse_connection("abcdefghijklmnopqrstuvwxyz", text)
    assert "s3cret" not in str(error.value)
    assert "abcdefghij" not in str(error.value)


def test_ids_and_secrets_cannot_be_guessed() -> None:
    made = [new_connection("sample", "shopify", STORE) for _ in range(200)]
    assert len({one.connection_id for one in made}) == len({one.secret for one in made}) == 200
    assert all(re.fullmatch(r"[a-z2-7]{26}", one.connection_id) for one in made)
    assert all(len(bytes.fromhex(one.secret)) == 32 for one in made)


def test_the_carts_own_secret_may_be_given() -> None:
    assert new_connection("sample", "shopify", STORE, "given").secret == "given"


def test_a_store_is_written_in_one_way() -> None:
    assert new_connection("sample", "shopify", " https://Sample-Shop.myshopify.com/ ").store == STORE


@pytest.mark.parametrize(
    ("tenant", "store"), [("", STORE), ("A", STORE), ("a#b", STORE), ("a", "no domain"), ("a", "")]
)
def test_what_could_not_be_a_key_is_refused(tenant: str, store: str) -> None:
    with pytest.raises(RejectedError):
        new_connection(tenant, "shopify", store)


def test_a_rotation_keeps_the_old_secret_for_a_day(connection: Connection) -> None:
    changed = rotated(connection, NOW)
    assert changed.secret != SECRET
    assert (changed.previous_secret, changed.previous_until) == (SECRET, NOW + ROTATION)
    assert changed.connection_id == connection.connection_id


def test_a_removed_connection_is_nobodys_and_the_others_stay(ssm: Ssm, connection: Connection) -> None:
    book = ConnectionBook(ssm, "/matakite")
    stays = new_connection("sample", "shopify", "b.myshopify.com")
    book.save(stays)
    book.remove(connection.connection_id)
    assert [one.connection_id for one in book.all()] == [stays.connection_id]
    assert SsmConnections(ssm, "/matakite").find(connection.connection_id, NOW) is None
    with pytest.raises(NotFoundError):
        book.remove(connection.connection_id)


def test_the_book_lists_every_page_and_finds_one() -> None:
    book = ConnectionBook(Ssm(), "/matakite")
    made = [new_connection("sample", "shopify", STORE) for _ in range(25)]
    for one in made:
        book.save(one)
    assert sorted(one.connection_id for one in book.all()) == sorted(one.connection_id for one in made)
    assert book.load(made[3].connection_id) == made[3]
    for unknown in ("z" * 26, "../x"):
        with pytest.raises(NotFoundError):
            book.load(unknown)
