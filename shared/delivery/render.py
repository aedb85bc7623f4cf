"""Mail templates: Liquid with limits, so that no template can hang a function, fill its memory or read what it may not.

A template is a folder `<scenario>/<step>` with `mail.mjml` (compiled to `mail.html` when the code is bundled),
`mail.txt`, `subject.txt` and `meta.yaml`; `_partials/` holds what all of them share, the legal footer above all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from liquid import BoundTemplate, CachingFileSystemLoader, Environment, Node, RenderContext, StrictUndefined
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidError, LocalNamespaceLimitError, LoopIterationLimitError, UndefinedError
from liquid.expression import Expression

from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.pages import Page
from shared.core.pages import page as framed

ROOT = Path(__file__).parent / "templates"
"""Where the compiled templates are in a code bundle."""

PARTIALS = "_partials"
PAGES = "_pages"
MAX_BYTES = 100_000
"""Of one part. Gmail clips a mail at 102 kB, and Japanese carriers take no more than 100 kB."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_BLANK_LINES = re.compile(r"\n\s*\n\s*\n")
"""Liquid tags leave their line breaks behind."""

URL_SCHEMES = frozenset({"https", "http", "mailto", "tel"})


class TemplateError(RejectedError):
    """This message cannot be rendered for this person; the text names the template and the variable."""


class Renderer(Protocol):
    """Turns a template and its variables into the parts of a message."""

    def render(self, template: str, parts: Sequence[str], context: Mapping[str, Any]) -> Mapping[str, str]:
        """Each part as the reader gets it.

        Raises TemplateError when the variables do not fit, MisconfiguredError when there is no such template.
        """
        ...


class _Limited(Environment):
    """Liquid with all four limits; measured against a loop of 10^8 and a string of 200 MB."""

    context_depth_limit = 12
    loop_iteration_limit = 2_000
    local_namespace_limit = 50_000
    output_stream_limit = MAX_BYTES

    def from_string(self, *source: Any, **named: Any) -> BoundTemplate:
        """A template or a partial, with its ranges bounded as well: Liquid counts what a loop has done, and a range
        turned round, searched or given to a filter is worked through before.
        """
        template = super().from_string(*source, **named)
        for expression in _expressions(template.nodes, RenderContext(template)):
            if isinstance(expression, RangeLiteral):
                expression.__class__ = _BoundedRange
        return template


class _BoundedRange(RangeLiteral):
    """`(1..n)`, refused where Liquid makes it, whatever `n` turns out to be."""

    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        made = super()._make_range(start, stop)
        if made.stop - made.start > _Limited.loop_iteration_limit:
            most = _Limited.loop_iteration_limit
            raise LoopIterationLimitError(f"a range has {most} numbers at most", token=self.token)
        return made


def _expressions(nodes: Iterable[Node], context: RenderContext) -> Iterator[Expression]:
    """Every expression of a template, those within others included; of a partial they are its own."""
    for node in nodes:
        waiting = [*node.expressions()]
        while waiting:
            expression = waiting.pop()
            waiting += expression.children()
            yield expression
        yield from _expressions(node.children(context, include_partials=False), context)


class TemplateStore:
    """The compiled templates below one folder, parsed once per worker."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self._parsed: dict[tuple[str, str], BoundTemplate] = {}
        self._used: dict[tuple[str, str], frozenset[str]] = {}

    def render(self, template: str, parts: Sequence[str], context: Mapping[str, Any]) -> Mapping[str, str]:
        """The parts; every variable that a template names must be in `context`. The others are not even looked at."""
        return {part: _tidy(part, self._checked_part(template, part, context)) for part in parts}

    def _checked_part(self, template: str, part: str, context: Mapping[str, Any]) -> str:
        read = {name: context[name] for name in self.variables(template, part) if name in context}
        return self._part(template, part, _with_safe_urls(template, read))

    def variables(self, template: str, part: str) -> frozenset[str]:
        """Which of the context's variables a part reads, its partials included."""
        if (template, part) not in self._used:
            try:
                found = frozenset(self._template(template, part).analyze().globals)
            except LiquidError as error:
                raise TemplateError(f"{template}/{part}: {type(error).__name__}: {error.message}") from None
            self._used[template, part] = found
        return self._used[template, part]

    def page(self, status: int, page: str, context: Mapping[str, Any]) -> Page:
        """One of our own web pages, by the name of its content; `title` and `shop_name` stand above it."""
        content = self._part(PAGES, f"{page}.html", _with_safe_urls(page, context))
        return framed(status, str(context["title"]), str(context.get("shop_name", "")), content)

    def _part(self, template: str, part: str, context: Mapping[str, Any]) -> str:
        try:
            return self._template(template, part).render(**context)
        except UndefinedError as error:
            raise TemplateError(f"{template}/{part}: {error.message}: no such variable is given to it") from None
        except LiquidError as error:
            raise TemplateError(f"{template}/{part}: {type(error).__name__}: {error.message}") from None

    def _template(self, template: str, part: str) -> BoundTemplate:
        if (template, part) not in self._parsed:
            source = self._source(template, part)
            environment = self._html if part.endswith(".html") else self._text
            self._parsed[template, part] = environment.from_string(source, name=f"{template}/{part}")
        return self._parsed[template, part]

    def _source(self, template: str, part: str) -> str:
        if not re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)*", template):
            raise MisconfiguredError(f"not the name of a template: {template!r}")
        folder = self.root / template
        try:
            return (folder / part).read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise MisconfiguredError(f"{template}/{part} is not UTF-8: save it in UTF-8 (文字コード)") from None
        except FileNotFoundError:
            if part == "mail.html" and (folder / "mail.mjml").exists():
                raise MisconfiguredError(
                    f"template {template} is not compiled: only mail.mjml is in {folder.name}/. Bundling compiles it"
                    " (`make bundles`); give TemplateStore the folder of the compiled templates."
                ) from None
            raise MisconfiguredError(f"template {template} has no {part}") from None

    @cached_property
    def _html(self) -> Environment:
        return self._environment(autoescape=True)

    @cached_property
    def _text(self) -> Environment:
        return self._environment(autoescape=False)

    def _environment(self, *, autoescape: bool) -> Environment:
        loader = CachingFileSystemLoader(self.root / PARTIALS, auto_reload=False)
        environment = _Limited(loader=loader, undefined=StrictUndefined, autoescape=autoescape)
        environment.filters["json"] = _as_json
        environment.filters["number"] = _as_number
        environment.filters = {name: _bounded(each) for name, each in environment.filters.items()}
        return environment


_BEFORE_A_FILTER = 10_000_000
"""Letters or items that a filter may come to in memory: what it is given times its longest argument."""


def _bounded(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """The same filter, refused before it fills the memory: Liquid's own limits look at what comes out of it."""

    @wraps(filter_)
    def bounded(value: Any, *given: Any, **named: Any) -> Any:
        if _size(value) * max([1, *map(_size, given)]) > _BEFORE_A_FILTER:
            raise LocalNamespaceLimitError(f"the filter would make more than {_BEFORE_A_FILTER:,} letters", token=None)
        return filter_(value, *given, **named)

    return bounded


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | range) else 1


def _as_json(value: Any) -> str:
    """The filter `json`: a value as it stands in a JSON part (`line.json`), quotes and all."""
    return json.dumps(value, ensure_ascii=False)


def _as_number(value: Any) -> str:
    """The filter `number`: 1,200 for a whole number; anything else as it is."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _tidy(part: str, rendered: str) -> str:
    """Without what Liquid's tags leave behind: a subject is one line, a text has no gaps and ends with a line."""
    if part == "subject.txt":
        return " ".join(rendered.split())
    return _BLANK_LINES.sub("\n\n", rendered).strip() + "\n" if part.endswith(".txt") else rendered


def _with_safe_urls(template: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """The context without control characters, and refused if a `…url` would run a script or leave the web."""
    return {name: _checked(template, name, value) for name, value in context.items()}


def _checked(template: str, name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _checked(template, str(key), inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked(template, name, inner) for inner in value]
    if not isinstance(value, str):
        return value
    if name.endswith("url") and value and urlsplit(value).scheme not in URL_SCHEMES:
        raise TemplateError(f"{template}: {name} is not a link that may stand in a mail")
    return printable(value)


def printable(text: str) -> str:
    """Text without control characters (C0, C1) other than line breaks and tabs."""
    return _CONTROL.sub("", text)
