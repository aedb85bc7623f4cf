"""HTML and SVG built from elements, so that nothing from the data can become markup.

Every widget is made with `tag`: texts and attribute values are escaped, characters that XML forbids are dropped, and
the result is well-formed XML as well as HTML. There is no other way to write markup in this domain.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry: control characters and lone surrogates."""

Child = Markup | str | int | float | None


def tag(name: str, *children: Child, **attributes: Child) -> Markup:
    """One element. `class_` is `class`, `stroke_width` is `stroke-width`; None leaves an attribute or child out."""
    inside = "".join(_safe(child) for child in children if child is not None)
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_safe(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{inside}</{name}>")  # noqa: S704 - every part went through _safe


def join(parts: list[Markup]) -> Markup:
    """Elements one after another."""
    return Markup("").join(parts)


def style_sheet(css: str) -> Markup:
    """A `<style>` of our own rules. Never pass data: CSS is not escaped. Write rules without `<`, `>` and `&`."""
    return Markup(f"<style>{css}</style>")  # noqa: S704 - only constants of this package are passed


def _safe(child: Child) -> str:
    return str(escape(child)) if isinstance(child, Markup) else str(escape(_FORBIDDEN.sub("", str(child))))
