"""A file that a registry finds and that says nothing of itself: the message is the line to write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.admin.views import view_of
from shared.core.errors import MisconfiguredError
from shared.ingest.files.registry import kinds
from shared.ingest.pull.registry import vendor
from shared.ingest.registry import about, adapter


@pytest.mark.parametrize(
    ("silent", "ask", "line"),
    [
        ("shared.ingest.sources.page.ADAPTER", lambda: adapter.__wrapped__("page"), "ADAPTER = "),
        ("shared.ingest.sources.page.ABOUT", lambda: about("page"), r"ABOUT = About\("),
        ("shared.ingest.files.kinds.points.KIND", kinds.__wrapped__, r"KIND = Kind\("),
        ("shared.ingest.pull.vendors.stores.VENDOR", lambda: vendor.__wrapped__("stores"), "VENDOR = "),
        ("shared.admin.widgets.rfm_matrix.SIZE", lambda: view_of("rfm_matrix"), r"SIZE = Size\("),
    ],
)
def test_a_file_that_says_nothing_of_itself_is_told_so(
    monkeypatch: pytest.MonkeyPatch, silent: str, ask: Callable[[], object], line: str
) -> None:
    ask()
    monkeypatch.delattr(silent)
    with pytest.raises(MisconfiguredError, match=rf"{silent.rpartition('.')[0]} .* must say what it is: {line}"):
        ask()
