"""MJML mail templates become HTML once, when the code is bundled; Liquid is rendered later, per mail."""

from __future__ import annotations

import re
from pathlib import Path
from xml.parsers import expat

import mjml

PARTIALS = Path(__file__).parents[2] / "shared/delivery/templates/_partials"
INCLUDE = re.compile(r'<mj-include path="([a-z_]+\.xml)" */>')
LIQUID_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
LEFTOVER_COMPONENT = re.compile(r"<(mj-[a-z-]+|mjml)\b")


class MjmlError(ValueError):
    """A mail template that cannot be compiled; the message says what to change."""


def compile_mjml(source: str, partials: Path = PARTIALS) -> str:
    """Compile MJML to HTML, leaving every Liquid tag exactly as written; `<mj-include path="look.xml" />` is one of
    the `partials`.

    MJML is XML, so `{% if a < b %}` would not parse and `{{ "a" }}` would be escaped: each tag is replaced by a plain
    word, and put back afterwards.
    """
    written = source
    source = INCLUDE.sub(lambda found: _partial(partials / found[1]), source)
    stem = _word_not_in(source)
    tags = LIQUID_TAG.findall(source)
    numbers = iter(range(len(tags)))
    hidden = LIQUID_TAG.sub(lambda _: f"{stem}{next(numbers):05d}", source)
    try:
        html = mjml.mjml2html(hidden)
    except ValueError as error:
        raise MjmlError(
            f"not valid MJML{_about_line(written)}: {error}. Every component must be closed, and outside Liquid tags "
            "'<' and '&' in a text are written '&lt;' and '&amp;'."
        ) from error
    _refuse_unknown_components(html)
    _refuse_lost_tags(html, tags, stem)
    return re.sub(rf"{stem}(\d{{5}})", lambda found: tags[int(found[1])], html)


def _about_line(source: str) -> str:
    """Where it ends to be XML: the compiler does not say."""
    parser = expat.ParserCreate()
    parser.UseForeignDTD(True)
    try:
        parser.Parse(LIQUID_TAG.sub(lambda tag: "x" + "\n" * tag[0].count("\n"), source), True)
    except expat.ExpatError as error:
        return f" about line {error.lineno}"
    return ""


def _partial(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except FileNotFoundError:
        raise MjmlError(f"there is no {file.name} in {file.parent.name}/ to include") from None


def _word_not_in(source: str) -> str:
    word = "liquid"
    while word in source:
        word += "x"
    return word


def _refuse_unknown_components(html: str) -> None:
    """The compiler passes an unknown component through as text; a mail would show nothing in its place."""
    if leftover := LEFTOVER_COMPONENT.search(html):
        raise MjmlError(f"MJML has no component <{leftover[1]}> at this place: check its name and its parent.")


def _refuse_lost_tags(html: str, tags: list[str], stem: str) -> None:
    lost = [tag for number, tag in enumerate(tags) if f"{stem}{number:05d}" not in html]
    if lost:
        raise MjmlError(
            f"MJML drops {', '.join(lost)}: a Liquid tag may stand in a text, in an attribute that ends up in the "
            "HTML, or inside <mj-raw>."
        )
