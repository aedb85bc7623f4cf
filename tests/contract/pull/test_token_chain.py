"""The chain of rotating tokens: whatever breaks when, no refresh token that may still work is lost."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.errors import UnavailableError
from shared.ingest.pull.http import StandardHttp
from shared.ingest.pull.model import Answer, Call
from shared.ingest.pull.store import PullStore
from tests.contract.pull.conftest import FastTime, Make, World
from tests.contract.pull.servers import Base, Said
from tests.contract.pull.test_pull_sources import DyingStore, KilledError, base


class LossyHttp:
    """The answer to the n-th trade of a token never arrives: the vendor did it all the same."""

    def __init__(self, *lost: int) -> None:
        self._inner = StandardHttp(connect_seconds=2, silent_seconds=2, total_seconds=2)
        self._lost = set(lost)
        self._trades = 0

    def send(self, base_url: str, call: Call, headers: Mapping[str, str]) -> Answer:
        answer = self._inner.send(base_url, call, headers)
        if call.path.endswith("token"):
            self._trades += 1
            if self._trades in self._lost:
                raise UnavailableError("no answer")
        return answer


class Impatient(FastTime):
    """Does not wait, for the one it would wait for is waiting for it."""

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def hours(shop: World, count: int) -> list[bool]:
    """A poll every hour: each needs a new access token. Did they finish?"""
    return [bool(shop.poll(after=timedelta(hours=1)).finished) for _ in range(count)]


def test_every_refresh_uses_the_token_of_the_one_before(world: Make, pull_store: PullStore) -> None:
    shop = base(world, pull_store, grace=False)
    assert hours(shop, 4) == [True] * 4
    assert shop.api.trades == ["refresh-0", "refresh-1", "refresh-2", "refresh-3"]


def test_a_live_token_is_not_renewed(world: Make) -> None:
    shop = base(world, grace=False)
    for _ in range(3):
        shop.poll()
    assert shop.api.trades == ["refresh-0"]


@pytest.mark.parametrize("lost", [(1,), (1, 2), (2,), (2, 3, 4)])
def test_a_lost_answer_does_not_lose_the_chain(world: Make, pull_store: PullStore, lost: tuple[int, ...]) -> None:
    shop = base(world, pull_store)
    shop.http = LossyHttp(*lost)
    finished = hours(shop, 4)
    assert finished[-2:] == [True, True]
    assert len(shop.totals()) == 3


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_worker_that_dies_at_any_write_leaves_a_chain_that_works(world: Make, at: int, after: bool) -> None:
    """Also between the vendor's answer and its being stored, at a vendor whose old token lives until the next use."""
    shop = base(world)
    inner = shop.store
    shop.store = DyingStore(inner, at, after=after)
    with suppress(KilledError):
        shop.poll()
    shop.store = inner
    assert hours(shop, 3) == [True] * 3


@pytest.mark.parametrize("at", range(1, 7))
def test_even_where_a_token_works_once_only_a_death_after_the_write_loses_nothing(world: Make, at: int) -> None:
    shop = base(world, grace=False)
    inner = shop.store
    shop.store = DyingStore(inner, at, after=True)
    with suppress(KilledError):
        shop.poll()
    shop.store = inner
    assert hours(shop, 3) == [True] * 3


def test_what_no_client_can_mend_is_said_and_mended_by_a_new_authorisation(world: Make) -> None:
    """The old token dies at once and the answer with the new one is lost: nothing that works is left anywhere."""
    shop = base(world, grace=False)
    shop.http = LossyHttp(1)
    tally = shop.poll()
    assert not tally.finished
    assert "authorize" in (tally.problem or "")
    shop.api.refresh_tokens.append("refresh-again")
    shop.connection = replace(shop.connection, refresh_token="refresh-again")
    assert shop.poll().finished


def test_a_token_the_vendor_withdraws_early_is_renewed_within_the_poll(world: Make) -> None:
    shop = base(world)
    shop.poll()
    api: Base = shop.api
    api.access.clear()
    assert shop.poll().finished
    assert len(api.trades) == 2


def test_a_vendor_whose_token_endpoint_is_down_is_asked_again_later(world: Make) -> None:
    shop = base(world)
    shop.poll()
    for fault in (Said(503, b""), Said(500, {}), Said(429, {}), Said(400, {"error": "server_error"})):
        shop.api.faults.extend([fault] * 3)
        assert not shop.poll(after=timedelta(hours=1)).finished
        shop.api.faults.clear()
        assert shop.poll(after=timedelta(minutes=2)).finished


def test_while_the_token_lives_a_failing_renewal_stops_no_poll(world: Make) -> None:
    shop = base(world)
    shop.poll()
    shop.api.faults.extend([Said(503, b"")] * 3)
    assert shop.poll(after=timedelta(minutes=56)).finished, "four minutes of the old token are left"


def test_two_runs_that_renew_at_once_share_one_renewal(world: Make, pull_store: PullStore) -> None:
    shop = base(world, pull_store, grace=False)
    other: list[Any] = []

    def meanwhile() -> None:
        from shared.ingest.pull.poll import caller_of

        deps = shop.deps()
        deps = replace(deps, time=Impatient(shop.time.at))
        try:
            caller_of(shop.connection, deps, shop.time.now()).tokens.current()
        except UnavailableError as error:
            other.append(str(error))

    shop.api.faults.append(meanwhile)
    assert shop.poll().finished
    assert other == ["the token of base is being renewed"]
    assert shop.api.trades == ["refresh-0"]


def test_a_claim_that_ran_out_keeps_both_answers(world: Make) -> None:
    """A worker stalls in its renewal for minutes; another renews meanwhile; both tokens stay candidates."""
    shop = base(world)

    def stalled() -> None:
        shop.time.at += timedelta(minutes=3)
        from shared.ingest.pull.poll import caller_of

        shop.api.lock.release()
        try:
            caller_of(shop.connection, shop.deps(), shop.time.now()).tokens.current()
        finally:
            shop.api.lock.acquire()

    shop.api.faults.append(stalled)
    shop.poll()
    chain = shop.store.chain(shop.connection)
    assert chain is not None
    assert len(chain.candidates) >= 2
    assert hours(shop, 2) == [True, True]


def test_tokens_show_in_no_repr(world: Make) -> None:
    shop = base(world)
    shop.poll()
    shown = repr(shop.store.chain(shop.connection)) + repr(shop.connection)
    assert "refresh-" not in shown
    assert "access-1" not in shown
    assert "secret'" not in shown.replace("client_secret", "")
