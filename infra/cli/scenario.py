"""`matakite scenario`: check scenario files, run their examples, show what they do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.packaging.mjml import compile_mjml
from shared.core.errors import MatakiteError, NotFoundError, RejectedError
from shared.delivery import render
from shared.delivery.render import TemplateStore
from shared.scenarios.compile import compile_scenario, count_states, describe
from shared.scenarios.examples import ExampleResult, run_examples
from shared.scenarios.model import Scenario, format_duration
from shared.scenarios.read import PRESETS, InvalidScenarioError, read_file, read_presets

app = typer.Typer(name="scenario", help="Check and list scenarios / シナリオ", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)

PARTS = ("subject.txt", "mail.txt", "mail.mjml")


@app.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Scenario files; without, all presets.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show examples that pass, too.")] = False,
) -> None:
    """Read, compile, look for the templates and run the examples. Exit status 1 when anything is wrong."""
    with compiled_templates() as templates:
        results = [_check(file, templates, verbose) for file in files or sorted(PRESETS.glob("*.yaml"))]
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
            f"{scenario.entry.event.value} + {format_duration(scenario.entry.after)}",
            format_duration(scenario.sweep_every),
            str(len(scenario.sends())),
            str(len(scenario.examples)),
        )
    _console.print(table)


@app.command()
def show(scenario_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """One scenario, step by step."""
    scenarios = {scenario.id: scenario for scenario in read_presets()}
    if scenario_id not in scenarios:
        raise NotFoundError(f"there is no scenario {scenario_id!r}; there are: {', '.join(scenarios)}")
    for line in describe(scenarios[scenario_id]):
        _console.print(line, markup=False)


@contextmanager
def compiled_templates(source: Path = render.ROOT) -> Iterator[TemplateStore]:
    """The mail templates as they are deployed, compiled into a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "templates"
        if source.exists():
            shutil.copytree(source, root)
        for mjml in root.rglob("*.mjml"):
            mjml.with_suffix(".html").write_text(compile_mjml(mjml.read_text("utf-8")), "utf-8")
        yield TemplateStore(root)


def missing_templates(scenario: Scenario, source: Path = render.ROOT) -> list[str]:
    """Files of templates that the scenario sends and that do not exist."""
    wanted = [source / send.template / part for send in scenario.sends() for part in PARTS]
    return [str(path.relative_to(source)) for path in wanted if not path.exists()]


def _check(file: Path, templates: TemplateStore, verbose: bool) -> bool:
    try:
        scenario = read_file(file)
        states = count_states(compile_scenario(scenario, "arn:aws:lambda:ap-northeast-1:000000000000:function:step"))
        if missing := missing_templates(scenario):
            raise RejectedError(f"{file.name}: templates are missing: {', '.join(missing)}")
        results = run_examples(scenario, templates)
    except InvalidScenarioError as error:
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
