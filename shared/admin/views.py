"""The widgets there are. A view is one module in `shared/admin/widgets`: that file alone adds it to the dashboard."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from markupsafe import Markup

from shared.admin import widgets
from shared.admin.frame import Frame
from shared.admin.labels import Label
from shared.admin.sources import Size, Sources


class View(Protocol):
    """What a widget module offers."""

    TITLE: Label
    ABOUT: Label
    """What it shows and what the words in it mean: the answer to `describe`."""
    SIZE: Size

    def load(self, sources: Sources) -> Any:
        """Read what is drawn: rows aggregated before, never a query over the history."""
        ...

    def render(self, data: Any, frame: Frame) -> Markup:
        """Draw it. Pure."""
        ...


def _discover() -> dict[str, View]:
    names = sorted(module.name for module in pkgutil.iter_modules(widgets.__path__))
    views = {name: cast("View", import_module(f"{widgets.__name__}.{name}")) for name in names}
    return dict(sorted(views.items(), key=lambda item: item[1].SIZE.place))


VIEWS: Mapping[str, View] = _discover()
"""Name → view, in the order of the dashboard. The only names a widget may be asked for."""
