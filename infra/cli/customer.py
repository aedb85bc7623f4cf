"""`matakite customer`: look a person up. Prints personal data to the terminal of whoever may read the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import which_shop
from shared.admin.card import Section, card
from shared.admin.explain import Voice
from shared.admin.find import find_customer
from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId
from shared.core.keys import KeyRing, parse_key_ring
from shared.core.shop import Shop
from shared.customers.model import PersonState
from shared.customers.store import CustomerStore
from shared.delivery.model import LedgerRow
from shared.delivery.store import DynamoLedgerStore
from shared.ingest.connections import ConnectionBook
from shared.ingest.files.model import SOURCE, STORE

IMPORTED = (SOURCE, STORE)
"""The store of files that were imported without naming one (`matakite import orders`)."""

app = typer.Typer(name="customer", help="Look a person up / 顧客", no_args_is_help=True)
_console = Console(highlight=False)

Wanted = Annotated[str, typer.Argument(help="Customer id, mail address, or a store's customer number (STORE/NUMBER).")]
OfShop = Annotated[str | None, typer.Option("--shop", help="Shop (tenant); needed when there are several.")]
InLanguage = Annotated[str | None, typer.Option("--language", help="ja or en; else the shop's.")]


@app.callback()
def _customer() -> None:
    """One subcommand for each thing to do with a person."""


@app.command()
def show(customer: Wanted, shop: OfShop = None, language: InLanguage = None) -> None:
    """Everything known about a person: consent, status, orders, carts and sends."""
    desk = open_desk(connect(), shop)
    customer_id, person = desk.person(customer)
    sections = card(
        person, desk.customers.consent_log(desk.shop.tenant, customer_id), desk.sends(person), desk.voice(language)
    )
    for section in sections:
        _print_section(section)


@dataclass(frozen=True)
class Desk:
    """What it takes to answer about people of one shop."""

    deployment: Deployment
    shop: Shop
    customers: CustomerStore
    ledger: DynamoLedgerStore

    def person(self, wanted: str) -> tuple[CustomerId, PersonState]:
        """The person meant by what was typed. Raises NotFoundError."""
        secret = self.deployment.client("secretsmanager").get_secret_value(
            SecretId=self.deployment.outputs["KeysSecret"]
        )
        connections = ConnectionBook(self.deployment.client("ssm"), self.deployment.prefix).all()
        stores = {(each.source, each.store) for each in connections if each.tenant == self.shop.tenant} | {IMPORTED}
        keys = parse_key_ring(secret["SecretString"])
        customer_id = find_customer(wanted, self.shop.tenant, self.customers, keys, sorted(stores))
        found = self.customers.person(self.shop.tenant, customer_id)
        if found is None:
            raise NotFoundError("that customer was erased or merged a moment ago: ask again")
        return customer_id, found

    def _keys(self) -> KeyRing:
        secrets = self.deployment.client("secretsmanager")
        return parse_key_ring(secrets.get_secret_value(SecretId=self.deployment.outputs["KeysSecret"])["SecretString"])

    def ids(self, person: PersonState) -> list[CustomerId]:
        """The person's id and those they had before: rows written then still carry them."""
        return [person.profile.customer_id, *sorted(person.profile.aliases)]

    def sends(self, person: PersonState) -> list[LedgerRow]:
        """Every ledger row of a person."""
        return [row for each in self.ids(person) for row in self.ledger.rows(self.shop.tenant, each)]

    def voice(self, language: str | None) -> Voice:
        """How to tell it: in the language asked for, on the shop's clock."""
        return Voice(language or self.shop.language, self.shop.timezone)


def open_desk(deployment: Deployment, shop: str | None) -> Desk:
    """The desk of the shop named, or of the only one."""
    dynamodb, outputs = deployment.client("dynamodb"), deployment.outputs
    return Desk(
        deployment,
        which_shop(deployment, shop),
        CustomerStore(outputs["CustomersTable"], dynamodb),
        DynamoLedgerStore(outputs["DeliveriesTable"], dynamodb),
    )


def _print_section(section: Section) -> None:
    _console.print(Text(f"\n■ {section.title}", style="bold"))
    if not section.rows:
        _console.print(Text(f"  {section.nothing}", style="dim"))
        return
    table = Table(box=None, show_header=bool(section.columns), header_style="dim", pad_edge=True)
    for number, column in enumerate(section.columns or ("", "")):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in section.rows:
        table.add_row(*_plain(row))
    _console.print(table)


def _plain(cells: Sequence[str]) -> list[Text]:
    """Text, not markup: a name such as `[red]` must print as it is."""
    return [Text(cell) for cell in cells]
