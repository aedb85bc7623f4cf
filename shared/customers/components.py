"""Who has refs in common with whom (union-find)."""

from __future__ import annotations

from collections.abc import Sequence

from shared.core.ids import Ref


def components(refs: Sequence[Sequence[Ref]]) -> list[list[int]]:
    """Positions of the events of each person, in order of first appearance; events without refs are left out."""
    parents: dict[Ref, Ref] = {}
    for some in refs:
        for ref in some:
            unite(parents, some[0], ref)
    groups: dict[Ref, list[int]] = {}
    for position, some in enumerate(refs):
        if some:
            groups.setdefault(root_of(parents, some[0]), []).append(position)
    return list(groups.values())


def root_of(parents: dict[Ref, Ref], ref: Ref) -> Ref:
    """Whichever ref stands for all that go with this one."""
    parents.setdefault(ref, ref)
    while parents[ref] != ref:
        parents[ref] = parents[parents[ref]]
        ref = parents[ref]
    return ref


def unite(parents: dict[Ref, Ref], one: Ref, other: Ref) -> None:
    """These two, and all that go with them, go together."""
    parents[root_of(parents, other)] = root_of(parents, one)
