"""`matakite connection`: connect a cart, and change the secret its webhooks are signed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import which_shop
from shared.core.clock import SystemClock, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId
from shared.ingest.adapter import Connection
from shared.ingest.connections import ConnectionBook, new_connection, rotated
from shared.ingest.registry import sources

app = typer.Typer(name="connection", help="Connect a cart / カート接続", no_args_is_help=True, add_completion=False)
add = typer.Typer(help="Connect a cart and print the URL and secret to give it.", no_args_is_help=True)
app.add_typer(add, name="add")
_console = Console(soft_wrap=True, highlight=False)

_CART_MAKES_SECRET = frozenset({"stripe", "square"})
_SECRET_BEGINS = {"stripe": "whsec_"}

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


_SHOP_OPTION = typer.Option("--shop", help="Shop (tenant); needed when there are several.")


@add.command()
def woocommerce(
    store: Annotated[str, typer.Option("--store", help="The site's domain, shop.example.com.")],
    shop: Annotated[str | None, _SHOP_OPTION] = None,
    secret: _Secret = None,
) -> None:
    """Connect a WooCommerce site: one webhook for each topic, all with this URL and secret."""
    deployment = connect()
    tenant = which_shop(deployment, shop).tenant
    connection = add_connection(deployment, tenant, "woocommerce", store, secret)
    _console.print(f"id     {connection.connection_id}")
    _print_for_cart(deployment, connection)
    _console.print("WooCommerce → 設定 → 詳細 → Webhook に、次のトピックごとに登録してください:")
    _console.print(
        "  order.created  order.updated  order.deleted  customer.created  customer.updated  customer.deleted"
    )


@add.command()
def stripe(
    store: Annotated[str, typer.Option("--store", help="The account id, acct_…")],
    shop: Annotated[str | None, _SHOP_OPTION] = None,
    secret: _Secret = None,
) -> None:
    """Connect a Stripe account; Stripe makes the secret (whsec_…) when the URL is registered there."""
    deployment = connect()
    tenant = which_shop(deployment, shop).tenant
    connection = add_connection(deployment, tenant, "stripe", store, secret)
    _print_secret_comes(deployment, connection, secret, "whsec_…")
    _console.print("  customer.*  checkout.session.completed  checkout.session.expired")


@add.command()
def square(
    store: Annotated[str, typer.Option("--store", help="The merchant id.")],
    shop: Annotated[str | None, _SHOP_OPTION] = None,
    secret: _Secret = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The URL registered at Square, where it is not the one printed here.")
    ] = None,
) -> None:
    """Connect a Square merchant; Square makes the signature key when the URL is registered there."""
    deployment = connect()
    tenant = which_shop(deployment, shop).tenant
    connection = add_connection(deployment, tenant, "square", store, secret, url=url or hook_url)
    _print_secret_comes(deployment, connection, secret, "the signature key")
    _console.print("  customer.created  customer.updated  customer.deleted")


@add.command()
def website(
    store: Annotated[str, typer.Option("--store", help="The site's domain, www.example.jp.")],
    shop: Annotated[str | None, _SHOP_OPTION] = None,
    users_of: Annotated[
        str | None,
        typer.Option("--users-of", help="Whose customer numbers the site's user ids are: shopify/a.myshopify.com."),
    ] = None,
) -> None:
    """Connect a website or app that uses a Segment SDK: prints its write keys and a snippet."""
    deployment = connect()
    tenant = which_shop(deployment, shop).tenant
    connection = add_connection(deployment, tenant, "track", store, users_of=_users_of(users_of))
    _console.print(f"write key (public, in pages)     {connection.connection_id}")
    _console.print(f"write key (secret, for servers)  {connection.connection_id}_{connection.secret}")
    _console.print(f"API host                         {deployment.outputs['ApiUrl']}/v1")
    _console.print("ページに次のように組み込んでください（@segment/analytics-next）:")
    _console.print(snippet(deployment.outputs["ApiUrl"], connection.connection_id), markup=False)


def snippet(api_url: str, write_key: str) -> str:
    """What a page needs to load the browser SDK with our API and without its vendor's settings server."""
    protocol, _, host = api_url.partition("://")
    return f"""\
import {{ AnalyticsBrowser }} from "@segment/analytics-next";
const analytics = AnalyticsBrowser.load(
  {{ writeKey: "{write_key}", cdnSettings: {{ integrations: {{ "Segment.io": {{ apiKey: "{write_key}" }} }} }} }},
  {{ integrations: {{ "Segment.io": {{ apiHost: "{host}/v1", protocol: "{protocol}" }} }} }},
);
analytics.page();"""


def _users_of(written: str | None) -> str | None:
    source, _, store = (written or "").partition("/")
    if written and (source not in sources() or not store):
        raise RejectedError(f"--users-of is a cart and its store, such as shopify/a.myshopify.com, got {written!r}")
    return written


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
    deployment: Deployment,
    tenant: str,
    source: str,
    store: str,
    secret: str | None = None,
    url: str | Callable[[Deployment, Connection], str] | None = None,
    users_of: str | None = None,
) -> Connection:
    """Create a connection and store it. `url`: as registered, or what makes it; for carts whose signature covers it."""
    _check_secret(source, secret)
    connection = replace(new_connection(tenant, source, store, secret), users_of=users_of)
    if url is not None:
        connection = replace(connection, url=url if isinstance(url, str) else url(deployment, connection))
    _book(deployment).save(connection)
    return connection


def _check_secret(source: str, secret: str | None) -> None:
    begins = _SECRET_BEGINS.get(source, "")
    if secret and not secret.startswith(begins):
        raise RejectedError(f"the signing secret of {source} begins with {begins}: an API key is something else")


def rotate_connection(deployment: Deployment, connection_id: str, secret: str | None = None) -> Connection:
    """Store a new secret; workers take it at the first request signed with it."""
    book = _book(deployment)
    known = book.load(ConnectionId(connection_id))
    if secret is None and known.source in _CART_MAKES_SECRET:
        raise RejectedError(f"{known.source} makes its secrets itself: make a new one there and give it with --secret")
    _check_secret(known.source, secret)
    changed = rotated(known, SystemClock().now(), secret)
    book.save(changed)
    return changed


def hook_url(deployment: Deployment, connection: Connection) -> str:
    """The address the cart posts to."""
    return f"{deployment.outputs['ApiUrl']}/v1/hooks/{connection.connection_id}"


def _book(deployment: Deployment) -> ConnectionBook:
    return ConnectionBook(deployment.client("ssm"), deployment.prefix)


def _print_secret_comes(deployment: Deployment, connection: Connection, secret: str | None, what: str) -> None:
    """For carts that make the secret only when they know the URL: nobody is believed until it is stored here."""
    cart = connection.source.capitalize()
    _console.print(f"id     {connection.connection_id}")
    _console.print(f"URL    {connection.url or hook_url(deployment, connection)}")
    if secret is None:
        _console.print(f"1. Register the URL at {cart}; it then shows {what}.")
        _console.print(f"2. MATAKITE_SECRET=… matakite connection rotate {connection.connection_id}")
    _console.print(f"{cart} の管理画面で、次のイベントを登録してください:")


def _print_for_cart(deployment: Deployment, connection: Connection) -> None:
    _console.print(f"URL    {hook_url(deployment, connection)}")
    _console.print(f"secret {connection.secret}")
