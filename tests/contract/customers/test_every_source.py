"""Whatever a source sends, however often and in whatever order, the same people come of it.

Ten thousand traces are played by `make bench`, a thousand of them here: four seconds.
"""

from __future__ import annotations

from shared.ingest.registry import about, sources
from tests.contract.customers.traces import check, told

TRACES = 1_000


def test_traces_over_every_source_end_in_the_state_of_the_set() -> None:
    assert check(TRACES, seed=1) == len(told()) > 5


def test_no_cart_that_posts_is_left_out() -> None:
    silent = {source for source in sources() if about(source).webhook} - told().keys() - {"track", "survey"}
    assert not silent, f"no sample of {silent} says anything: describe it in tests/contract/carts/carts.py"
