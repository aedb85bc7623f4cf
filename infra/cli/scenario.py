"""`matakite scenario`: check scenario files, run their examples, show what they do."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.cli import places, replaying
from infra.cli.known_names import KnownNames, known_names, unknown_names
from infra.cli.places import preset_of
from infra.cli.which_shop import OfShop
from infra.packaging.mjml import MjmlError, compile_mjml
from shared.core.errors import MatakiteError, RejectedError
from shared.core.lined_yaml import read_utf8
from shared.core.mistakes import InvalidFileError, Mistake, line_of, nearest
from shared.delivery import lint, render
from shared.delivery.lint_names import names_customer
from shared.delivery.model import Purpose
from shared.delivery.render import TemplateStore
from shared.scenarios.compile import compile_scenario, count_states
from shared.scenarios.context import provided
from shared.scenarios.describe import describe
from shared.scenarios.examples import PARTS as OTHER_PARTS
from shared.scenarios.examples import ExampleResult, run_examples
from shared.scenarios.language.steps import Send
from shared.scenarios.language.words import format_duration
from shared.scenarios.model import Scenario
from shared.scenarios.move import movable
from shared.scenarios.read import PRESETS, read_file, read_presets

app = typer.Typer(name="scenario", help="Check and list scenarios / シナリオ", no_args_is_help=True)
app.add_typer(places.app)
_console = Console(soft_wrap=True, highlight=False)

PARTS = ("subject.txt", "mail.txt", "mail.mjml")
_PARTS = {**OTHER_PARTS, "email": PARTS}


@app.command()
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="Scenario files; without, all presets.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show examples that pass, too.")] = False,
    shop: Annotated[str | None, typer.Option("--shop", help="Ask this shop for its segments and coupons, too.")] = None,
) -> None:
    """Read, compile, look for the templates and run the examples. Exit status 1 when anything is wrong."""
    known = known_names(shop) if shop else None
    with compiled_templates() as templates:
        results = [_check(file, templates, verbose, known) for file in files or sorted(PRESETS.glob("*.yaml"))]
    if not all(results):
        raise RejectedError("not every scenario holds")


@app.command("list")
def list_() -> None:
    """Every scenario, its state and its steps."""
    table = Table("id", "title", "status", "version", "entry", "sweep", "sends", "examples")
    for scenario in read_presets():
        table.add_row(
            scenario.id,
            scenario.title,
            scenario.status.value,
            scenario.version,
            f"{(scenario.entry.date or scenario.entry.event).value} + {format_duration(scenario.entry.after)}",
            format_duration(scenario.sweep_every),
            str(len(scenario.sends())),
            str(len(scenario.examples)),
        )
    _console.print(table)


@app.command()
def show(scenario_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """One scenario, step by step."""
    for line in describe(preset_of(scenario_id)):
        _console.print(line, markup=False)


@app.command()
def test(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Play the examples of one file and show each."""
    with compiled_templates() as templates:
        if not _check(file, templates, verbose=True):
            raise RejectedError("not every example holds")


@app.command()
def diff(scenario_id: Annotated[str, typer.Argument(metavar="ID")], file: Path) -> None:
    """What a draft changes. People inside finish by the version they entered with."""
    before, after = list(describe(preset_of(scenario_id))), list(describe(read_file(file)))
    for line in difflib.unified_diff(before, after, scenario_id, file.name, lineterm="", n=2):
        style = {"+": "green", "-": "red"}.get(line[:1], "")
        _console.print(line, style=style, markup=False)


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    move: Annotated[bool, typer.Option("--move", help="Show who inside can go on by this version.")] = False,
    audience: Annotated[bool, typer.Option(help="Compare whom both versions reach over the recorded events.")] = True,
    shop: OfShop = None,
) -> None:
    """Check a draft, show what it changes and for whom, and put it among the scenarios; deploying takes it live."""
    with compiled_templates() as templates:
        if not _check(file, templates, verbose=False, known=known_names(shop) if shop else None):
            raise RejectedError("a scenario with a mistake is not published; nothing was changed")
        scenario, place = read_file(file), PRESETS / file.name
        if place.exists():
            diff(scenario.id, file)
            if audience:
                said = replaying.compared(preset_of(scenario.id), scenario, shop, templates)
                _console.print(f"audience: {said}", markup=False)
    shutil.copyfile(file, place)
    stay = "whoever is inside finishes by the version they entered with"
    if move:
        moving, staying = movable(places.places(shop).people(scenario.scenario_id), scenario)
        stay = (
            f"of those inside {len(moving)} can go on by it and {len(staying)} stay: after the deployment, "
            f"`matakite scenario move {scenario.id}`"
        )
    _console.print(f"{file.name}: version {scenario.version} goes live with the next deployment; {stay}", markup=False)


@app.command("replay")
def replay_(
    files: Annotated[list[Path], typer.Argument(exists=True, help="Drafts, beside the scenarios that are live.")],
    shop: OfShop = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Shop day; without, all that is kept.")] = None,
) -> None:
    """What scenarios would have sent over the recorded events and at what cost, contacting nobody (リプレイ)."""
    drafts = [read_file(file) for file in files]
    with compiled_templates() as templates, _console.status("受信データで再現しています / playing …"):
        for line in replaying.lines(drafts, shop, since, templates):
            _console.print(line, markup=False)


@contextmanager
def compiled_templates(source: Path = render.ROOT) -> Iterator[TemplateStore]:
    """The mail templates as they are deployed, compiled into a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "templates"
        if source.exists():
            shutil.copytree(source, root)
        for mjml in root.rglob("*.mjml"):
            try:
                mjml.with_suffix(".html").write_text(compile_mjml(read_utf8(mjml), root / render.PARTIALS), "utf-8")
            except (MjmlError, InvalidFileError) as error:
                raise RejectedError(f"{mjml.relative_to(root)}: {error}") from None
        yield TemplateStore(root)


def missing_templates(scenario: Scenario, file: Path, source: Path = render.ROOT) -> list[Mistake]:
    """Templates that the scenario sends and that do not exist, or not for all of its channels."""
    mistakes = []
    for send in scenario.messages():
        if missing := [part for part in parts_of(send) if not (source / send.template / part).exists()]:
            known = lint.template_names(source)
            near = nearest(send.template, known) or "`matakite mail list` shows all there are"
            said = ("there is no such template", near)
            if send.template in known:
                said = (f"lacks {', '.join(missing)}", f"Write it, or send by another channel than {send.channel[0]}")
            mistakes.append(_of_template(send, file, *said))
    return mistakes


def misused(scenario: Scenario, file: Path, source: Path = render.ROOT) -> list[Mistake]:
    """Templates sent for another purpose than they were written for: an advertisement needs consent."""
    written = [(send, _purpose(send, source)) for send in scenario.sends()]
    return [
        _of_template(send, file, f"is written as {purpose}, and sent as {send.purpose}", f"Send it as {purpose}")
        for send, purpose in written
        if purpose is not send.purpose
    ]


def _purpose(send: Send, source: Path) -> Purpose:
    try:
        return lint.read_meta(source / send.template).purpose
    except RejectedError as error:
        raise RejectedError(f"template {send.template}: {error}") from None


def _of_template(send: Send, file: Path, reason: str, suggestion: str) -> Mistake:
    return Mistake(file.name, line_of(send.template, file), f"template {send.template}", reason, suggestion)


def parts_of(send: Send) -> list[str]:
    """The files of a template that its channels are made of."""
    return [part for channel in send.channel for part in _PARTS.get(channel, ())]


def unprovided(scenario: Scenario, file: Path, source: Path = render.ROOT) -> list[Mistake]:
    """Variables of templates that nothing in this scenario brings."""
    mistakes = []
    for send in scenario.messages():
        given = provided(scenario, send)
        parts = [source / send.template / part for part in parts_of(send)]
        used = set().union(*(lint.used_variables(part) for part in parts if part.exists()))
        for name in sorted(used - given):
            reason = f"uses {name!r}, which {scenario.entry.event.value} does not bring"
            mistakes.append(_of_template(send, file, reason, f"There are {', '.join(sorted(given))}"))
    return mistakes


def naming(scenario: Scenario, source: Path = render.ROOT) -> list[Mistake]:
    """Where a part says more of the customer than its readers may know."""
    parts = {source / send.template / part for send in scenario.messages() for part in parts_of(send)}
    return [mistake for part in sorted(parts) for mistake in names_customer(part)]


def _check_names(scenario: Scenario, file: Path, known: KnownNames | None) -> None:
    if known and (mistakes := [*unknown_names(scenario, file, known)]):
        raise InvalidFileError(mistakes)


def _check_templates(scenario: Scenario, file: Path) -> None:
    if missing := missing_templates(scenario, file):
        raise InvalidFileError(missing)
    if mistakes := [*misused(scenario, file), *unprovided(scenario, file), *naming(scenario)]:
        raise InvalidFileError(mistakes)


def _check(file: Path, templates: TemplateStore, verbose: bool, known: KnownNames | None = None) -> bool:
    try:
        scenario = read_file(file)
        states = count_states(compile_scenario(scenario, "arn:aws:lambda:ap-northeast-1:000000000000:function:step"))
        _check_templates(scenario, file)
        _check_names(scenario, file, known)
        results = run_examples(scenario, templates)
    except InvalidFileError as error:
        _console.print(str(error), style="red", markup=False)
        return False
    except MatakiteError as error:
        _console.print(f"{file.name}: {error}", style="red", markup=False)
        return False
    for result in results:
        _print(result, verbose)
    failed = [result for result in results if not result.passed]
    verdict = f"{len(failed)} of {len(results)} examples failed" if failed else f"{len(results)} examples hold"
    _console.print(f"{file.name}: {verdict}; {states} states, version {scenario.version}", markup=False)
    return not failed


def _print(result: ExampleResult, verbose: bool) -> None:
    if result.passed and not verbose:
        return
    _console.print(f"  {'✓' if result.passed else '✗'} {result.title}", markup=False)
    if not result.passed:
        _console.print("    expected  " + "; ".join(map(str, result.expected)), markup=False)
        _console.print("    happened  " + "; ".join(map(str, result.happened)), markup=False)
