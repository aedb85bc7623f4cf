"""`matakite explain`: why did (or didn't) this person get this?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.cli.customer import Desk, InLanguage, Wanted, open_desk
from infra.cli.session import connect
from infra.cli.which_shop import OfShop
from shared.admin.explain import Chapter, Evidence, Voice, explain
from shared.core.clock import SystemClock
from shared.core.errors import NotFoundError
from shared.scenarios.model import Scenario
from shared.scenarios.read import read_presets
from shared.scenarios.store import DynamoEnrolmentStore

app = typer.Typer(name="explain", no_args_is_help=True, add_completion=False)
_console = Console(highlight=False)

_STYLES = {"✓": "green", "–": "yellow", "?": "red", "✗": "red", "…": "dim"}


@app.command("explain")
def explain_(
    customer: Wanted,
    scenario: Annotated[str, typer.Argument(help="Scenario id (`matakite scenario list`).")],
    shop: OfShop = None,
    language: InLanguage = None,
) -> None:
    """Why did (or didn't) this person get what this scenario sends?"""
    desk = open_desk(connect(), shop)
    voice = desk.voice(language)
    story = explain(gather(desk, customer, _scenario(scenario)), voice, SystemClock().now())
    _console.print(Text(story.title, style="bold"))
    _console.print(Text(story.conclusion))
    for chapter in story.chapters:
        _console.print(Text(f"\n■ {chapter.title}", style="bold"))
        _console.print(_lines(chapter, voice))


def gather(desk: Desk, customer: str, scenario: Scenario) -> Evidence:
    """Every record about this person and this scenario, under all ids they ever had."""
    customer_id, person = desk.person(customer)
    table = desk.deployment.outputs["ScenariosTable"]
    enrolments = DynamoEnrolmentStore(table, desk.deployment.client("dynamodb"))
    mine = [
        enrolment
        for each in desk.ids(person)
        for enrolment in enrolments.of_customer(desk.shop.tenant, each)
        if enrolment.scenario == scenario.id
    ]
    rows = [row for row in desk.sends(person) if row.scenario == scenario.id]
    return Evidence(customer_id, scenario, person, mine, rows)


def _scenario(wanted: str) -> Scenario:
    known = {each.id: each for each in read_presets()}
    if wanted not in known:
        raise NotFoundError(f"no scenario {wanted!r}; there are: {', '.join(known)}")
    return known[wanted]


def _lines(chapter: Chapter, voice: Voice) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in chapter.lines:
        details = "\n" + "　".join(line.details) if line.details else ""
        text = Text(line.text) + Text(details, style="dim")
        table.add_row(
            "  " + (voice.time(line.at) if line.at else ""), Text(line.mark, style=_STYLES.get(line.mark, "")), text
        )
    return table
