"""`matakite scenario`, the people in it: where they stand, pause, eject, enrol, seed, move, fetch the handed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from infra.cli.customer import Desk, Wanted, open_desk
from infra.cli.session import connect
from infra.cli.tray import new_batch, open_tray, write
from infra.cli.which_shop import OfShop
from infra.names import scenario_machine
from shared.admin.outcomes import STATES, outcome
from shared.core.clock import SystemClock
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId, ScenarioId, is_digest
from shared.core.spreadsheet import csv_lines
from shared.scenarios import trigger
from shared.scenarios.cohorts import S3CohortFiles
from shared.scenarios.enrolment import Enrolment, EnrolmentState
from shared.scenarios.entries import broadcast
from shared.scenarios.language.entries import Trigger
from shared.scenarios.machines import StepFunctions
from shared.scenarios.model import Scenario
from shared.scenarios.move import Moved
from shared.scenarios.move import move as move_people
from shared.scenarios.read import read_presets
from shared.scenarios.seed import Seeded
from shared.scenarios.seed import seed as seed_people
from shared.scenarios.step import EJECTED
from shared.scenarios.store import DynamoEnrolmentStore, EnrolmentStore
from shared.scenarios.sweep import SweepDeps
from shared.scenarios.trigger import entry_rules

app = typer.Typer()
_console = Console(soft_wrap=True, highlight=False)


@app.command()
def pause(scenario_id: Annotated[str, typer.Argument(metavar="ID")], shop: OfShop = None) -> None:
    """Stop a scenario of one shop now: nobody enters, nobody is sent anything, everybody keeps their place."""
    places(shop).pause(preset_of(scenario_id).scenario_id, SystemClock().now())
    _console.print(f"{scenario_id} is paused; what becomes too late meanwhile is not sent", markup=False)


@app.command()
def resume(scenario_id: Annotated[str, typer.Argument(metavar="ID")], shop: OfShop = None) -> None:
    """Let a paused scenario go on, within the hour."""
    places(shop).pause(preset_of(scenario_id).scenario_id, None)
    _console.print(f"{scenario_id} goes on within the hour", markup=False)


@app.command()
def people(
    scenario_id: Annotated[str, typer.Argument(metavar="ID")],
    shop: OfShop = None,
    everybody: Annotated[bool, typer.Option("--all", help="Those who have left, too.")] = False,
) -> None:
    """Who stands where: counts by step, then customer ids."""
    found = list(places(shop).people(preset_of(scenario_id).scenario_id))
    inside = [each for each in found if everybody or each.state in (EnrolmentState.ARMED, EnrolmentState.ENTERED)]
    counts = Counter((STATES[each.state].ja, each.step or "-", each.version or "-") for each in inside)
    table = Table("状態", "最後の段階", "版", "人数")
    for (state, step, version), number in sorted(counts.items()):
        table.add_row(state, step, version, str(number))
    _console.print(table)
    for each in inside:
        state, became = STATES[each.state].ja, outcome(each.outcome, "ja")
        _console.print(f"{each.customer_id}  {state}  {each.step or '-'}  {became}", markup=False)


@app.command()
def eject(scenario_id: Annotated[str, typer.Argument(metavar="ID")], customer: Wanted, shop: OfShop = None) -> None:
    """Take one person out, wherever they stand. What is being sent this second still goes."""
    store = places(shop)
    number = store.eject(preset_of(scenario_id).scenario_id, customer)
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
    scenario = preset_of(scenario_id)
    if scenario.entry.event is not Trigger.BROADCAST:
        raise RejectedError(f"{scenario_id} lets people in by {scenario.entry.event.value}, not by a list")
    wanted = listed(file)
    number = places(shop).enrol(scenario, wanted, name, at)
    left = len(wanted) - number
    why = f"; {left} are in this broadcast already, or were too lately in another" if left else ""
    _console.print(f"{number} of {len(wanted)} people are due for {scenario_id} ({name}){why}", markup=False)


def listed(file: Path) -> list[CustomerId]:
    """The ids in the first column of a list, its heading left out. Raises RejectedError where the file is another."""
    words = [line.partition(",")[0].strip(' "') for line in file.read_text("utf-8-sig").splitlines()]
    rows = [(number, word) for number, word in enumerate(words, 1) if word]
    strange = [number for number, word in rows if not is_digest(word)]
    ids = [CustomerId(word) for _, word in rows if is_digest(word)]
    if not ids or strange not in ([], [1]):
        where = f"line {strange[-1]} begins with none" if ids else "there is none"
        raise RejectedError(f"{file.name} is no list of customer ids ({where}): `matakite segment export` writes one")
    return list(dict.fromkeys(ids))


@app.command()
def seed(scenario_id: Annotated[str, typer.Argument(metavar="ID")], shop: OfShop = None) -> None:
    """Arm the people there already are for a date scenario: birthdays, renewals, … Again is the same as once."""
    at = None
    for at in places(shop).seed(preset_of(scenario_id)):
        _console.print(f"{at.people:,} people looked at, {at.armed:,} armed", markup=False)
    if at is None:
        _console.print("the shop has no people yet", markup=False)


@app.command()
def move(scenario_id: Annotated[str, typer.Argument(metavar="ID")], shop: OfShop = None) -> None:
    """Let the people inside go on by the deployed version, each from the step of the same name; the others stay."""
    moved = places(shop).move(preset_of(scenario_id))
    _console.print(f"{moved.moved} moved; {moved.stayed} stay with the version they entered with", markup=False)


COLUMNS = ("顧客ID", "姓", "名", "メール", "電話", "シナリオ", "段階", "日時", "本文")


@app.command()
def handed(
    scenario_id: Annotated[str, typer.Argument(metavar="ID")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the file.")],
    kind: Annotated[str, typer.Option("--kind", help="export (lists) or notify (words to the staff).")] = "export",
    again: Annotated[str | None, typer.Option("--again", help="A batch that was fetched before.")] = None,
    shop: OfShop = None,
) -> None:
    """Fetch the people whom `export` or `notify` handed over, as a CSV file; each is fetched once."""
    if kind not in ("export", "notify"):
        raise RejectedError(f"--kind is export or notify, got {kind!r}")
    tray, batch = open_tray(shop), again or new_batch()
    found = [each for each in tray.documents(kind, again) if each["scenario"] == preset_of(scenario_id).id]
    if not found:
        _console.print("新しく渡されたお客様はありません。")
        return
    lines = csv_lines(COLUMNS, places(shop).rows(found))
    path = write(out, f"{scenario_id}-{kind}-{batch}.csv", "".join(lines).encode())
    tray.fetched(kind, batch, found)
    _console.print(f"{path}: {len(found):,} 件（もう一度作るには --again {batch}）")


@dataclass(frozen=True)
class Places:
    """The enrolments of one shop."""

    desk: Desk
    store: EnrolmentStore

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
        return sum(self.store.eject(place, EJECTED, now) for place in places if place.scenario == scenario)

    def enrol(self, scenario: Scenario, people: Sequence[CustomerId], name: str, at: datetime | None) -> int:
        (rule,) = entry_rules([scenario]) or (None,)
        if rule is None:
            raise RejectedError(f"{scenario.id} is off: nobody enters")
        tenant, zone, now = self.desk.shop.tenant, ZoneInfo(self.desk.shop.timezone), SystemClock().now()
        due = at.replace(tzinfo=zone).astimezone(UTC) if at else now
        if due < now:
            raise RejectedError(f"{at:%Y-%m-%d %H:%M} is over: everybody would be held back as too late")
        return sum(
            trigger.enrol(tenant, each, broadcast(name, each, due, scenario.entry), rule, self.store) for each in people
        )

    def seed(self, scenario: Scenario) -> Iterator[Seeded]:
        (rule,) = entry_rules([scenario]) or (None,)
        if rule is None:
            raise RejectedError(f"{scenario.id} is off: nobody enters")
        desk = self.desk
        rows = desk.customers.rows.each_of_kind(f"{desk.shop.tenant}#", "profile")
        people = (CustomerId(row.pk.partition("#")[2]) for row in rows if "merged_into" not in row.fields)
        now = SystemClock().now()
        return seed_people(rule, desk.shop.tenant, people, desk.customers.person, self.store, desk.shop.timezone, now)

    def move(self, scenario: Scenario) -> Moved:
        deployment, tenant = self.desk.deployment, self.desk.shop.tenant
        states = deployment.client("stepfunctions")
        arn = deployment.machine(scenario_machine(scenario.id))
        if f"version {scenario.version})" not in states.describe_state_machine(stateMachineArn=arn)["definition"]:
            raise RejectedError(f"version {scenario.version} of {scenario.id} is not deployed yet: deploy it first")
        files = S3CohortFiles(deployment.outputs["WorkBucket"], deployment.client("s3"))
        machines = StepFunctions(arn.removesuffix(scenario.id.replace("_", "-")), states)
        ports = SweepDeps(self.store, files, machines, lambda: [tenant])
        return move_people(scenario, lambda: self.people(scenario.scenario_id), ports, SystemClock().now())

    def rows(self, documents: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
        """Lines of a list: who they are now; who was erased is not on it."""
        for each in documents:
            person = self.desk.customers.person(self.desk.shop.tenant, CustomerId(each["customer_id"]))
            if person is None or person.profile.erased:
                continue
            known = person.profile
            said = (known.last_name, known.first_name, known.email, known.phone)
            told = (each["scenario"], each["step"], each["at"], each.get("notify", ""))
            yield (known.customer_id, *(word or "" for word in said), *(str(word).strip() for word in told))


def places(shop: str | None) -> Places:
    """Where the people of a shop stand."""
    desk = open_desk(connect(), shop)
    table = desk.deployment.outputs["ScenariosTable"]
    return Places(desk, DynamoEnrolmentStore(table, desk.deployment.client("dynamodb")))


def preset_of(scenario_id: str) -> Scenario:
    """The scenario that is deployed under an id."""
    scenarios = {scenario.id: scenario for scenario in read_presets()}
    if scenario_id not in scenarios:
        raise NotFoundError(f"there is no scenario {scenario_id!r}; there are: {', '.join(scenarios)}")
    return scenarios[scenario_id]
