"""`matakite connection`: connect a cart, and change the secret its webhooks are signed with."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import which_shop
from shared.core.clock import SystemClock, to_iso
from shared.core.ids import ConnectionId
from shared.ingest.adapter import Connection
from shared.ingest.connections import ConnectionBook, new_connection, rotated

app = typer.Typer(name="connection", help="Connect a cart / カート接続", no_args_is_help=True, add_completion=False)
add = typer.Typer(help="Connect a cart and print the URL and secret to give it.", no_args_is_help=True)
app.add_typer(add, name="add")
_console = Console(soft_wrap=True, highlight=False)

_Secret = Annotated[
    str | None,
    typer.Option("--secret", envvar="MATAKITE_SECRET", help="The cart's own signing secret; else a new one is made."),
]


@add.callback()
def _add() -> None:
    """One subcommand for each cart that sends webhooks."""


@add.command()
def shopify(
    store: Annotated[str, typer.Option("--store", help="The shop's domain, a.myshopify.com.")],
    shop: Annotated[str | None, typer.Option("--shop", help="Shop (tenant); needed when there are several.")] = None,
    secret: _Secret = None,
) -> None:
    """Connect a Shopify store."""
    deployment = connect()
    connection = add_connection(deployment, which_shop(deployment, shop).tenant, "shopify", store, secret)
    _console.print(f"id     {connection.connection_id}")
    _print_for_cart(deployment, connection)


@app.command("list")
def list_() -> None:
    """Every connection, without its secret."""
    table = Table(Column("id", no_wrap=True), "shop", "source", "store", "old secret works until")
    for connection in _book(connect()).all():
        until = connection.previous_until
        live = f"{until:%m-%d %H:%M} UTC" if until and until > SystemClock().now() else ""
        table.add_row(connection.connection_id, connection.tenant, connection.source, connection.store, live)
    _console.print(table)


@app.command()
def rotate(
    connection: Annotated[str, typer.Argument(help="Id of the connection (`matakite connection list`).")],
    secret: _Secret = None,
) -> None:
    """Give a connection a new secret; the old one keeps working for 24 hours."""
    deployment = connect()
    changed = rotate_connection(deployment, connection, secret)
    _print_for_cart(deployment, changed)
    _console.print(f"the old secret works until {to_iso(changed.previous_until or SystemClock().now())}")


def add_connection(
    deployment: Deployment, tenant: str, source: str, store: str, secret: str | None = None
) -> Connection:
    """Create a connection and store it."""
    connection = new_connection(tenant, source, store, secret)
    _book(deployment).save(connection)
    return connection


def rotate_connection(deployment: Deployment, connection_id: str, secret: str | None = None) -> Connection:
    """Store a new secret; workers take it at the first request signed with it."""
    book = _book(deployment)
    changed = rotated(book.load(ConnectionId(connection_id)), SystemClock().now(), secret)
    book.save(changed)
    return changed


def hook_url(deployment: Deployment, connection: Connection) -> str:
    """The address the cart posts to."""
    return f"{deployment.outputs['ApiUrl']}/v1/hooks/{connection.connection_id}"


def _book(deployment: Deployment) -> ConnectionBook:
    return ConnectionBook(deployment.client("ssm"), deployment.prefix)


def _print_for_cart(deployment: Deployment, connection: Connection) -> None:
    _console.print(f"URL    {hook_url(deployment, connection)}")
    _console.print(f"secret {connection.secret}")
