"""Which kinds of files exist: a file in `kinds/` is a kind, and nothing else has to know."""

from __future__ import annotations

import pkgutil
from functools import cache

from shared.core.declared import declared
from shared.core.errors import RejectedError
from shared.ingest.files import kinds as _kinds
from shared.ingest.files.model import Kind


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(_kinds.__path__))
    return tuple(declared(f"{_kinds.__name__}.{name}", "KIND", "Kind(…)") for name in names)


def kind(name: str) -> Kind:
    """The kind of that name, as a shop owner or a folder writes it. Raises RejectedError listing what there is."""
    wanted = name.strip().lower().replace("-", "_")
    for each in kinds():
        if wanted in {each.name, each.title, *each.aliases}:
            return each
    known = "、".join(f"{each.name}（{each.title}）" for each in kinds())
    raise RejectedError(f"{name[:40]!r} という種類のファイルはありません。使えるのは: {known} / no such kind of file")
