"""Exports of carts in which a heading means something else than its word: found by headings that only they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.ingest.files.model import Kind


@dataclass(frozen=True, slots=True)
class Export:
    """One cart's export of one kind."""

    title: str
    """As the report names it."""
    kind: str
    signs: frozenset[str]
    """Headings by which it is known."""
    columns: Mapping[str, str]
    """Heading → column, where the usual words would mislead. What the shop says itself goes before."""


EXPORTS = (
    Export(
        title="BASE の注文CSV（合計金額・発送状況は明細ごと）",
        kind="orders",
        signs=frozenset({"注文ID", "氏(請求先)", "発送状況", "合計金額"}),
        columns={"合計金額": "line_total"},
    ),
)


def recognised(heading: Sequence[str], kind: Kind) -> Export | None:
    """The export that has this heading; None for any other file."""
    cells = {cell.strip() for cell in heading}
    return next((each for each in EXPORTS if each.kind == kind.name and each.signs <= cells), None)
