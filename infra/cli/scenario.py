"""`matakite scenario`: check scenario files, run their examples, show what they do."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from infra.cli.customer import Desk, OfShop, Wanted, open_desk
from infra.cli.session import connect
from infra.packaging.mjml import compile_mjml
from shared.core.clock import SystemClock, shop_day
from shared.core.errors import MatakiteError, NotFoundError, RejectedError
from shared.core.ids import CustomerId, ScenarioId
from shared.core.keys import KeyRing, parse_key_ring
from shared.customers.model import Scores
from shared.customers.rows import encode_item
from shared.customers.store import CustomerStore, read_row
from shared.delivery import lint, render
from shared.delivery.render import TemplateStore
from shared.ingest.model import Event
from shared.ingest.oversize import S3Oversize
from shared.ingest.registry import events_of
from shared.ingest.store import decode_image
from shared.scenarios import trigger
from shared.scenarios.compile import compile_scenario, count_states, describe
from shared.scenarios.context import provided
from shared.scenarios.enrolment import Enrolment, EnrolmentState
from shared.scenarios.entries import broadcast
from shared.scenarios.examples import ExampleResult, run_examples
from shared.scenarios.language.entries import Trigger
from shared.scenarios.language.steps import Send
from shared.scenarios.language.words import format_duration
from shared.scenarios.model import Scenario
from shared.scenarios.read import PRESETS, InvalidScenarioError, Mistake, read_file, read_presets
from shared.scenarios.replay import ReplayDeps, replay, report
from shared.scenarios.store import DynamoEnrolmentStore
from shared.scenarios.trigger import entry_rules

app = typer.Typer(name="scenario", help="Check and list scenarios / シナリオ", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)

PARTS = ("subject.txt", "mail.txt", "mail.mjml")
_PARTS = {
    "email": PARTS,
    "line": ("line.json",),
    "sms": ("sms.txt",),
    "webhook": ("webhook.json",),
    "notify": ("notify.txt",),
}


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
            f"{(scenario.entry.date or scenario.entry.event).value} + {format_duration(scenario.entry.after)}",
            format_duration(scenario.sweep_every),
            str(len(scenario.sends())),
            str(len(scenario.examples)),
        )
    _console.print(table)


@app.command()
def show(scenario_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """One scenario, step by step."""
    for line in describe(_preset(scenario_id)):
        _console.print(line, markup=False)


@app.command()
def test(file: Annotated[Path, typer.Argument(exists=True)]) -> None:
    """Play the examples of one file and show each."""
    with compiled_templates() as templates:
        if not _check(file, templates, verbose=True):
            raise RejectedError("not every example holds")


@app.command()
def diff(scenario_id: Annotated[str, typer.Argument(metavar="ID")], file: Path) -> None:
    """What a draft changes. People inside finish by the version they entered with."""
    before, after = list(describe(_preset(scenario_id))), list(describe(read_file(file)))
    for line in difflib.unified_diff(before, after, scenario_id, file.name, lineterm="", n=2):
        style = {"+": "green", "-": "red"}.get(line[:1], "")
        _console.print(line, style=style, markup=False)


@app.command()
def publish(file: Annotated[Path, typer.Argument(exists=True)]) -> None:
    """Check a draft, show what it changes and put it among the scenarios; the next deployment takes it live."""
    with compiled_templates() as templates:
        if not _check(file, templates, verbose=False):
            raise RejectedError("a scenario with a mistake is not published; nothing was changed")
    scenario, place = read_file(file), PRESETS / file.name
    if place.exists():
        diff(scenario.id, file)
    shutil.copyfile(file, place)
    _console.print(
        f"{file.name}: version {scenario.version} goes live with the next deployment; whoever is inside "
        "finishes by the version they entered with",
        markup=False,
    )


@app.command("replay")
def replay_(
    files: Annotated[list[Path], typer.Argument(exists=True, help="Drafts, or scenario files to replay beside them.")],
    shop: OfShop = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Shop day; without, all that is kept.")] = None,
) -> None:
    """What scenarios would have sent over the recorded events, contacting nobody (リプレイ)."""
    desk = open_desk(connect(), shop)
    scenarios = [read_file(file) for file in files]
    with compiled_templates() as templates:
        found = replay(scenarios, _recorded(desk), ReplayDeps(desk.shop, _keys(desk), templates, _scores(desk)))
    first = since.date() if since else date.min
    kept = replace(found, decisions=tuple(d for d in found.decisions if shop_day(d.at, desk.shop.timezone) >= first))
    for scenario in scenarios:
        for line in report(kept, scenario):
            _console.print(line, markup=False)


def _recorded(desk: Desk) -> Iterator[Event]:
    """Every event of the shop that the events table still holds, in our words."""
    bucket = desk.deployment.outputs["WorkBucket"]
    oversize = S3Oversize(desk.deployment.client("s3"), bucket)
    pages = (
        desk.deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=desk.deployment.outputs["EventsTable"],
            FilterExpression="begins_with(pk, :mine)",
            ExpressionAttributeValues={":mine": {"S": f"{desk.shop.tenant}#"}},
        )
    )
    for item in (item for page in pages for item in page["Items"]):
        try:
            yield from events_of(decode_image(item, oversize))
        except RejectedError:
            continue  # what nobody could read then, nobody decided by


def _keys(desk: Desk) -> KeyRing:
    secret = desk.deployment.client("secretsmanager").get_secret_value(SecretId=desk.deployment.outputs["KeysSecret"])
    return parse_key_ring(secret["SecretString"])


def _scores(desk: Desk) -> dict[CustomerId, Scores]:
    """What the last night found about everybody."""
    table = desk.deployment.outputs["CustomersTable"]
    rows = CustomerStore(table, desk.deployment.client("dynamodb")).rows
    return {
        row.customer_id: row.profile.scores
        for each in rows.each_of_kind(f"{desk.shop.tenant}#", "profile")
        if (row := read_row(encode_item(each))) and row.profile and row.profile.scores
    }


@app.command()
def pause(scenario_id: Annotated[str, typer.Argument(metavar="ID")], shop: OfShop = None) -> None:
    """Stop a scenario of one shop now: nobody enters, nobody is sent anything, everybody keeps their place."""
    _enrolments(shop).pause(_preset(scenario_id).scenario_id, SystemClock().now())
    _console.print(f"{scenario_id} is paused; what becomes too late meanwhile is not sent", markup=False)


@app.command()
def resume(scenario_id: Annotated[str, typer.Argument(metavar="ID")], shop: OfShop = None) -> None:
    """Let a paused scenario go on, within the hour."""
    _enrolments(shop).pause(_preset(scenario_id).scenario_id, None)
    _console.print(f"{scenario_id} goes on within the hour", markup=False)


@app.command()
def people(
    scenario_id: Annotated[str, typer.Argument(metavar="ID")],
    shop: OfShop = None,
    everybody: Annotated[bool, typer.Option("--all", help="Those who have left, too.")] = False,
) -> None:
    """Who stands where: counts by step, then customer ids."""
    found = list(_enrolments(shop).people(_preset(scenario_id).scenario_id))
    inside = [each for each in found if everybody or each.state in (EnrolmentState.ARMED, EnrolmentState.ENTERED)]
    counts = Counter((each.state.value, each.step or "-", each.version or "-") for each in inside)
    table = Table("state", "last step", "version", "people")
    for (state, step, version), number in sorted(counts.items()):
        table.add_row(state, step, version, str(number))
    _console.print(table)
    for each in inside:
        _console.print(f"{each.customer_id}  {each.state.value}  {each.step or '-'}  {each.outcome}", markup=False)


@app.command()
def eject(scenario_id: Annotated[str, typer.Argument(metavar="ID")], customer: Wanted, shop: OfShop = None) -> None:
    """Take one person out, wherever they stand. What is being sent this second still goes."""
    store = _enrolments(shop)
    number = store.eject(_preset(scenario_id).scenario_id, customer)
    if not number:
        raise NotFoundError(f"{customer} stands nowhere in {scenario_id}")
    _console.print(f"taken out of {number} place{'s' if number > 1 else ''}", markup=False)


@app.command()
def enrol(
    scenario_id: Annotated[str, typer.Argument(metavar="ID")],
    file: Annotated[Path, typer.Argument(exists=True, help="Customer ids, one a line (`matakite segment export`).")],
    name: Annotated[str, typer.Option("--name", help="Of this broadcast: nobody gets the same one twice.")],
    at: Annotated[datetime | None, typer.Option("--at", help="Shop time; without, now.")] = None,
    shop: OfShop = None,
) -> None:
    """Send a broadcast scenario to the people of a list (一斉配信)."""
    scenario = _preset(scenario_id)
    if scenario.entry.event is not Trigger.BROADCAST:
        raise RejectedError(f"{scenario_id} lets people in by {scenario.entry.event.value}, not by a list")
    ids = [line.split(",")[0].strip() for line in file.read_text("utf-8").splitlines()]
    wanted = [CustomerId(each) for each in dict.fromkeys(ids) if each and each != "customer_id"]
    number = _enrolments(shop).enrol(scenario, wanted, name, at)
    _console.print(f"{number} of {len(wanted)} people are due for {scenario_id} ({name})", markup=False)


@dataclass(frozen=True)
class _Places:
    """The enrolments of one shop."""

    desk: Desk
    store: DynamoEnrolmentStore

    def pause(self, scenario: ScenarioId, at: datetime | None) -> None:
        self.store.pause(self.desk.shop.tenant, scenario, at)

    def people(self, scenario: ScenarioId) -> Iterator[Enrolment]:
        yield from self.store.people(self.desk.shop.tenant, scenario)

    def eject(self, scenario: ScenarioId, customer: str) -> int:
        _, person = self.desk.person(customer)
        places = [
            place for each in self.desk.ids(person) for place in self.store.of_customer(self.desk.shop.tenant, each)
        ]
        now = SystemClock().now()
        return sum(self.store.eject(place, "ejected", now) for place in places if place.scenario == scenario)

    def enrol(self, scenario: Scenario, people: Sequence[CustomerId], name: str, at: datetime | None) -> int:
        (rule,) = entry_rules([scenario]) or (None,)
        if rule is None:
            raise RejectedError(f"{scenario.id} is off: nobody enters")
        tenant, zone = self.desk.shop.tenant, ZoneInfo(self.desk.shop.timezone)
        due = at.replace(tzinfo=zone).astimezone(UTC) if at else SystemClock().now()
        return sum(
            trigger.enrol(tenant, each, broadcast(name, each, due, scenario.entry), rule, self.store) for each in people
        )


def _enrolments(shop: str | None) -> _Places:
    desk = open_desk(connect(), shop)
    table = desk.deployment.outputs["ScenariosTable"]
    return _Places(desk, DynamoEnrolmentStore(table, desk.deployment.client("dynamodb")))


def _preset(scenario_id: str) -> Scenario:
    scenarios = {scenario.id: scenario for scenario in read_presets()}
    if scenario_id not in scenarios:
        raise NotFoundError(f"there is no scenario {scenario_id!r}; there are: {', '.join(scenarios)}")
    return scenarios[scenario_id]


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
    wanted = [source / send.template / part for send in scenario.messages() for part in parts_of(send)]
    return [str(path.relative_to(source)) for path in wanted if not path.exists()]


def parts_of(send: Send) -> list[str]:
    """The files of a template that its channels are made of."""
    return [part for channel in send.channel for part in _PARTS.get(channel, ())]


def unprovided(scenario: Scenario, file: Path, source: Path = render.ROOT) -> list[Mistake]:
    """Variables of templates that nothing in this scenario brings."""
    mistakes = []
    lines = file.read_text("utf-8").splitlines()
    for send in scenario.messages():
        given = provided(scenario, send)
        parts = [source / send.template / part for part in parts_of(send)]
        used = set().union(*(lint.used_variables(part) for part in parts if part.exists()))
        line = next((number for number, text in enumerate(lines, 1) if send.template in text), 1)
        for name in sorted(used - given):
            reason = f"uses {name!r}, which {scenario.entry.event.value} does not bring"
            known = ", ".join(sorted(given))
            mistakes.append(Mistake(file.name, line, f"template {send.template}", reason, f"There are {known}"))
    return mistakes


def _check_templates(scenario: Scenario, file: Path) -> None:
    if missing := missing_templates(scenario):
        raise RejectedError(f"templates are missing: {', '.join(missing)}")
    if mistakes := unprovided(scenario, file):
        raise InvalidScenarioError(mistakes)


def _check(file: Path, templates: TemplateStore, verbose: bool) -> bool:
    try:
        scenario = read_file(file)
        states = count_states(compile_scenario(scenario, "arn:aws:lambda:ap-northeast-1:000000000000:function:step"))
        _check_templates(scenario, file)
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
