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
from shared.core.declared import declared


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


SAID = {
    "TITLE": "Label(日本語, English)",
    "ABOUT": "Label(…): what it shows, and what its words mean",
    "SIZE": "Size(width=…, height=…, place=…)",
    "load": "a function of Sources",
    "render": "a pure function of what was loaded and a Frame",
}


def view_of(name: str) -> View:
    """The widget of that file. Raises MisconfiguredError with what it does not say."""
    module = f"{widgets.__name__}.{name}"
    for each, shape in SAID.items():
        declared(module, each, shape)
    return cast("View", import_module(module))


def _discover() -> dict[str, View]:
    views = {module.name: view_of(module.name) for module in pkgutil.iter_modules(widgets.__path__)}
    return dict(sorted(views.items(), key=lambda item: (item[1].SIZE.place, item[0])))


VIEWS: Mapping[str, View] = _discover()
"""Name → view, in the order of the dashboard. The only names a widget may be asked for."""
