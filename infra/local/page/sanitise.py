"""Make a custom widget's HTML harmless, as CloudWatch does: no script, no frame, no handler."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

_REMOVED_WITH_CONTENT = {"script", "iframe", "object", "embed", "noscript", "template", "audio", "video"}
_REMOVED = {"html", "head", "body", "meta", "link", "base", "use", "title", "frame", "frameset", "applet"}
_VOID = {"area", "br", "col", "hr", "img", "input", "wbr", "source"}
_URL_ATTRIBUTES = {"href", "src", "action", "xlink:href", "formaction", "background", "poster"}
_SAFE_SCHEMES = ("http:", "https:", "mailto:", "#", "/", "data:image/")
#: The parser lower-cases names, but these SVG names are case-sensitive.
_SVG_NAMES = {
    name.lower(): name
    for name in (
        "viewBox", "preserveAspectRatio", "linearGradient", "radialGradient", "clipPath", "textPath", "foreignObject",
        "gradientUnits", "gradientTransform", "patternUnits", "markerWidth", "markerHeight", "refX", "refY",
        "textLength",
    )
}  # fmt: skip


class _Sanitiser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.out: list[str] = []
        self._skipping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _REMOVED_WITH_CONTENT:
            self._skipping.append(tag)
        elif not self._skipping and tag not in _REMOVED:
            self.out.append(f"<{_SVG_NAMES.get(tag, tag)}{_attributes(attrs)}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._skipping and tag not in _REMOVED | _REMOVED_WITH_CONTENT:
            self.out.append(f"<{_SVG_NAMES.get(tag, tag)}{_attributes(attrs)}/>")

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            if tag == self._skipping[-1]:
                self._skipping.pop()
        elif tag not in _REMOVED | _REMOVED_WITH_CONTENT | _VOID:
            self.out.append(f"</{_SVG_NAMES.get(tag, tag)}>")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.out.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")


def _attributes(attrs: list[tuple[str, str | None]]) -> str:
    kept = []
    for name, value in attrs:
        if name.startswith("on") or name in ("srcdoc", "nonce"):
            continue
        text = "" if value is None else value
        if name in _URL_ATTRIBUTES and not _safe_url(text):
            continue
        if name == "style" and ("javascript:" in text.lower() or "expression(" in text.lower()):
            continue
        kept.append(f' {_SVG_NAMES.get(name, name)}="{escape(text)}"')
    return "".join(kept)


def _safe_url(url: str) -> bool:
    compact = "".join(url.split()).lower()
    return compact.startswith(_SAFE_SCHEMES) or ":" not in compact.partition("/")[0]


def sanitised(html: str) -> str:
    """The HTML without anything that could run or load code."""
    parser = _Sanitiser()
    parser.feed(html)
    parser.close()
    return "".join(parser.out)
