"""`matakite connection`: connect a cart, and change the secret its webhooks are signed with."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from infra.cli import cart_api
from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from infra.names import AMAZON_QUEUE
from shared.core.clock import SystemClock, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId
from shared.delivery.endpoints import new_secret as new_webhook_secret
from shared.ingest.adapter import Connection
from shared.ingest.connections import ConnectionBook, new_connection, rotated
from shared.ingest.connectors import NOT_YET
from shared.ingest.pull.registry import vendors
from shared.ingest.registry import about, sources
from shared.ingest.sources import amazon as amazon_cart
from shared.ingest.sources import ecforce as ecforce_cart
from shared.ingest.sources import shopify as shopify_cart
from shared.ingest.sources import square as square_cart
from shared.ingest.sources import stripe as stripe_cart
from shared.ingest.sources import woocommerce as woocommerce_cart

app = typer.Typer(name="connection", help="Connect a cart / カート接続", no_args_is_help=True, add_completion=False)
add = typer.Typer(help="Connect a cart and print the URL and secret to give it.", no_args_is_help=True)
app.add_typer(add, name="add")
_console = Console(soft_wrap=True, highlight=False)

TRACKING = "track"
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
    shop: OfShop = None,
    secret: _Secret = None,
) -> None:
    """Connect a Shopify store."""
    _add_posting("shopify", store, shop, secret)
    _console.print("Shopify の管理画面（設定 → 通知 → Webhook）またはアプリで、次のトピックを登録してください:")
    _print_words(topic for topic in shopify_cart.TOPICS if topic not in shopify_cart.COMPLIANCE)
    _console.print("アプリの設定（shopify.app.toml）の compliance_topics にも、この URL を登録してください:")
    _print_words(shopify_cart.COMPLIANCE)


@add.command()
def woocommerce(
    store: Annotated[str, typer.Option("--store", help="The site's domain, shop.example.com.")],
    shop: OfShop = None,
    secret: _Secret = None,
) -> None:
    """Connect a WooCommerce site: one webhook for each topic, all with this URL and secret."""
    _add_posting("woocommerce", store, shop, secret)
    _console.print("WooCommerce → 設定 → 詳細 → Webhook に、次のトピックごとに登録してください:")
    _print_words(woocommerce_cart.TOPICS)
    _console.print("subscription.* は WooCommerce Subscriptions を使っているときだけ表示されます。")


@add.command()
def stripe(
    store: Annotated[str, typer.Option("--store", help="The account id, acct_…")],
    shop: OfShop = None,
    secret: _Secret = None,
) -> None:
    """Connect a Stripe account; Stripe makes the secret (whsec_…) when the URL is registered there."""
    deployment = connect()
    tenant = which_shop(deployment, shop).tenant
    connection = add_connection(deployment, tenant, "stripe", store, secret)
    _print_secret_comes(deployment, connection, secret, "whsec_…")
    _print_words(stripe_cart.TYPES)


@add.command()
def square(
    store: Annotated[str, typer.Option("--store", help="The merchant id.")],
    shop: OfShop = None,
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
    _print_words(square_cart.TYPES)


@add.command()
def line(
    store: Annotated[str, typer.Option("--store", help="The account's user id (bot), U….")],
    secret: Annotated[str, typer.Option("--secret", envvar="MATAKITE_SECRET", help="The channel secret.")],
    shop: OfShop = None,
) -> None:
    """Receive a LINE official account's webhooks: following, blocking, account links."""
    deployment = connect()
    connection = add_connection(deployment, which_shop(deployment, shop).tenant, "line", store, secret)
    _console.print(f"id     {connection.connection_id}")
    _console.print(f"URL    {hook_url(deployment, connection)}")
    _console.print("LINE Developers → Messaging API設定 → Webhook URL に登録し、「検証」を押してください。")
    _console.print("「Webhookの利用」と「Webhookの再送」をオンにしてください（同じイベントは1回だけ数えます）。")


@add.command()
def callcentre(
    store: Annotated[str, typer.Option("--store", help="A name of the call centre, callcentre.example.jp.")],
    shop: OfShop = None,
) -> None:
    """Receive what came of calls, signed as Standard Webhooks."""
    _add_posting("callcentre", store, shop, new_webhook_secret())
    _console.print('本文: {"task_id": "…", "customer_id": "…", "outcome": "reached", "reason": "…", "at": "…"}')
    _console.print("署名は Standard Webhooks（webhook-id・webhook-timestamp・webhook-signature）です。")


@add.command()
def amazon(
    store: Annotated[str, typer.Option("--store", help="The selling partner id, A1B2C3….")],
    shop: OfShop = None,
) -> None:
    """Connect an Amazon seller: order states arrive through a queue; nothing has to be signed."""
    deployment = connect()
    connection = add_amazon(deployment, which_shop(deployment, shop).tenant, store)
    _console.print(f"id     {connection.connection_id}")
    _console.print(f"queue  {deployment.outputs[AMAZON_QUEUE]}")
    _console.print("SP-API の Notifications API で、次の 2 つを 1 回ずつ呼び出してください:")
    _console.print("  1. createDestination   resourceSpecification.sqs.arn に上の queue")
    _console.print("  2. createSubscription  notificationType に ORDER_CHANGE、payloadVersion に 1.0")
    _console.print("金額と購入者は届きません。売上は注文ファイル（matakite import orders）で取り込みます。")


@add.command()
def ecforce(
    store: Annotated[str, typer.Option("--store", help="The shop's domain, shop.example.co.jp.")],
    shop: OfShop = None,
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Event to print the template for; may be repeated.")
    ] = None,
) -> None:
    """Connect an ecforce shop (experimental): prints the template to paste as the body of each webhook."""
    events = tuple(event or ECFORCE_EVENTS)
    ecforce_cart.template(events[0], "")
    connection = _add_posting("ecforce", store, shop)
    _console.print("実験的な対応です（ecforce での動作は未確認）。受注の Webhook を次のイベントごとに作り、")
    _console.print(
        "送信先に上の URL、本文にそのテンプレートを貼り付けてください。本文の secret は他人に見せないでください。"
    )
    for name in events:
        _console.print(f"\n--- {name} ---")
        _console.print(ecforce_cart.template(name, connection.secret), markup=False)


ECFORCE_EVENTS = ("order_completed", "order_shipped", "order_delivered", "order_canceled")


def _refuse(title: str, reason: str) -> Callable[[], None]:
    def refuse() -> None:
        raise RejectedError(f"{title} is not supported yet, because {reason}")

    return refuse


for _source, (_title, _reason) in NOT_YET.items():
    if _source not in sources():
        _options = {"allow_extra_args": True, "ignore_unknown_options": True}
        add.command(_source, help=f"{_title}: not supported yet.", context_settings=_options)(_refuse(_title, _reason))


@add.command()
def website(
    store: Annotated[str, typer.Option("--store", help="The site's domain, www.example.jp.")],
    shop: OfShop = None,
    users_of: Annotated[
        str | None,
        typer.Option("--users-of", help="Whose customer numbers the site's user ids are: shopify/a.myshopify.com."),
    ] = None,
    proven_users: Annotated[
        bool, typer.Option("--proven-users", help="Browsers name a customer only with your server's proof.")
    ] = False,
) -> None:
    """Connect a website or app that uses a Segment SDK: prints its write keys and a snippet."""
    deployment = connect()
    tenant = which_shop(deployment, shop).tenant
    connection = add_connection(
        deployment, tenant, TRACKING, store, users_of=_users_of(users_of), proven_users=proven_users
    )
    _console.print(f"write key (public, in pages)     {connection.connection_id}")
    _console.print(f"write key (secret, for servers)  {connection.connection_id}_{connection.secret}")
    _console.print(f"API host                         {deployment.outputs['ApiUrl']}/v1")
    _console.print(
        f"メール登録の画面（確認メールつき） {deployment.outputs['ApiUrl']}/v1/subscribe/{connection.connection_id}"
    )
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


_Token = Annotated[
    str | None, typer.Option("--token", envvar="MATAKITE_TOKEN", help="Access token or key of the cart's API.")
]
_RefreshToken = Annotated[
    str | None,
    typer.Option("--refresh-token", envvar="MATAKITE_REFRESH_TOKEN", help="Where the cart's tokens expire."),
]
_ClientId = Annotated[str | None, typer.Option("--client-id", help="Of the application registered with the cart.")]
_ClientSecret = Annotated[
    str | None, typer.Option("--client-secret", envvar="MATAKITE_CLIENT_SECRET", help="Of the same application.")
]
_RedirectUrl = Annotated[str | None, typer.Option("--redirect-url", help="As registered with it (BASE).")]
_ApiUrl = Annotated[
    str | None, typer.Option("--api-url", help="Address of the API, where it is not the documented one.")
]
_Every = Annotated[int | None, typer.Option("--every", help="Minutes between two polls.")]
_Store = Annotated[str, typer.Option("--store", help="The shop's domain or the cart's id of it.")]


@add.command()
def colorme(
    store: _Store, token: _Token = None, api_url: _ApiUrl = None, every: _Every = None, shop: OfShop = None
) -> None:
    """Connect カラーミーショップ: its API is read every 15 minutes (scopes read_sales, read_products)."""
    _add_polled("colorme", store, shop, cart_api.Key(token=token, api_url=api_url, every=every))


@add.command()
def stores(
    store: _Store, token: _Token = None, api_url: _ApiUrl = None, every: _Every = None, shop: OfShop = None
) -> None:
    """Connect STORES: its API is read every 15 minutes."""
    _add_polled("stores", store, shop, cart_api.Key(token=token, api_url=api_url, every=every))


@add.command()
def base(
    store: _Store,
    refresh_token: _RefreshToken = None,
    client_id: _ClientId = None,
    client_secret: _ClientSecret = None,
    redirect_url: _RedirectUrl = None,
    api_url: _ApiUrl = None,
    every: _Every = None,
    shop: OfShop = None,
) -> None:
    """Connect BASE (scope read_orders): read every 15 minutes; the refresh token is replaced at every use."""
    key = cart_api.Key(
        refresh_token=refresh_token,
        client_id=client_id,
        client_secret=client_secret,
        redirect_url=redirect_url,
        api_url=api_url,
        every=every,
    )
    _add_polled("base", store, shop, key)


@add.command()
def eccube(
    store: _Store,
    secret: _Secret = None,
    token: _Token = None,
    refresh_token: _RefreshToken = None,
    client_id: _ClientId = None,
    client_secret: _ClientSecret = None,
    api_url: _ApiUrl = None,
    shop: OfShop = None,
) -> None:
    """Connect EC-CUBE 4 with the Web API plugin: its webhook only names things, which are read over its API."""
    key = cart_api.Key(
        token=token, refresh_token=refresh_token, client_id=client_id, client_secret=client_secret, api_url=api_url
    )
    deployment, connection = _add_polled("eccube", store, shop, key, secret)
    _print_for_cart(deployment, connection)
    _console.print("EC-CUBE → 設定 → システム設定 → Web API → WebHook に、URL と Secret の両方を登録してください。")


def _posting(source: str) -> Callable[..., None]:
    def connect_cart(store: _Store, secret: _Secret = None, shop: OfShop = None) -> None:
        _add_posting(source, store, shop, secret)
        _console.print(f"signed {about(source).signature}", markup=False)

    return connect_cart


def _polled(source: str) -> Callable[..., None]:
    def connect_cart(
        store: _Store,
        token: _Token = None,
        refresh_token: _RefreshToken = None,
        client_id: _ClientId = None,
        client_secret: _ClientSecret = None,
        redirect_url: _RedirectUrl = None,
        api_url: _ApiUrl = None,
        every: _Every = None,
        shop: OfShop = None,
    ) -> None:
        key = cart_api.Key(token, refresh_token, client_id, client_secret, redirect_url, api_url, every=every)
        _add_polled(source, store, shop, key)

    return connect_cart


def offer_the_rest(commands: typer.Typer) -> None:
    """A cart that asks for nothing of its own needs no command here: what posts gets a URL and a secret, what is only
    read its key.
    """
    own = {each.name or getattr(each.callback, "__name__", "") for each in commands.registered_commands}
    for source in sources():
        if source not in own and (about(source).webhook or source in vendors()):
            made = _posting(source) if about(source).webhook else _polled(source)
            commands.command(source, help=f"Connect {about(source).title}: {about(source).arrives}.")(made)


offer_the_rest(add)


@app.command()
def authorize(
    connection: Annotated[str, typer.Argument(help="Id of the connection (`matakite connection list`).")],
    token: _Token = None,
    refresh_token: _RefreshToken = None,
    client_id: _ClientId = None,
    client_secret: _ClientSecret = None,
    redirect_url: _RedirectUrl = None,
    api_url: _ApiUrl = None,
    locations: Annotated[str | None, typer.Option("--locations", help="Square: ids of the locations, L1,L2.")] = None,
    every: _Every = None,
) -> None:
    """Store the key of a cart's API: carts with webhooks are then compared with it every hour (突き合わせ)."""
    deployment = connect()
    key = cart_api.Key(
        token, refresh_token, client_id, client_secret, redirect_url, api_url, locations=locations, every=every
    )
    known = _book(deployment).load(ConnectionId(connection))
    _book(deployment).save(cart_api.with_key(known, key))
    _console.print("stored; the next poll uses it within 5 minutes, or now: matakite connection poll " + connection)


@app.command()
def poll(
    connection: Annotated[str, typer.Argument(help="Id of the connection (`matakite connection list`).")],
) -> None:
    """Read what changed at a cart now, instead of at its next time."""
    deployment = connect()
    known = _book(deployment).load(ConnectionId(connection))
    _console.print(cart_api.said_of(cart_api.poll_now(deployment, known, SystemClock().now())))


@app.command("list")
def list_() -> None:
    """Every connection, without its secret, and when its API was last read (鮮度)."""
    columns = ("shop", "source", "store", "last read", "problem", "old secret works until")
    table = Table(Column("id", no_wrap=True), *(Column(name, overflow="fold") for name in columns))
    deployment, now = connect(), SystemClock().now()
    for connection in _book(deployment).all():
        until = connection.previous_until
        live = f"{until:%m-%d %H:%M} UTC" if until and until > now else ""
        health = cart_api.health_of(deployment, connection)
        known = (connection.connection_id, connection.tenant, connection.source, connection.store)
        table.add_row(*known, cart_api.freshness(connection, health, now), cart_api.problems(health), live)
    _console.print(table)


def _add_posting(source: str, store: str, shop: str | None, secret: str | None = None) -> Connection:
    deployment = connect()
    connection = add_connection(deployment, which_shop(deployment, shop).tenant, source, store, secret)
    _console.print(f"id     {connection.connection_id}")
    _print_for_cart(deployment, connection)
    return connection


def _add_polled(
    source: str, store: str, shop: str | None, key: cart_api.Key, secret: str | None = None
) -> tuple[Deployment, Connection]:
    deployment = connect()
    made = new_connection(which_shop(deployment, shop).tenant, source, store, secret)
    _check_new(deployment, made)
    connection = cart_api.with_key(made, key)
    _book(deployment).save(connection)
    _console.print(f"id     {connection.connection_id}")
    if not (connection.token or connection.refresh_token):
        _console.print(f"no API key yet: matakite connection authorize {connection.connection_id} --help")
    return deployment, connection


@app.command()
def remove(
    connection: Annotated[str, typer.Argument(help="Id of the connection (`matakite connection list`).")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Disconnect a store: its URL and keys work no more within five minutes. What it told stays."""
    book = _book(connect())
    known = book.load(ConnectionId(connection))
    if not yes:
        typer.confirm(f"Disconnect {known.source} {known.store} of shop {known.tenant}?", abort=True)
    book.remove(known.connection_id)
    _console.print(f"{known.source} {known.store} is disconnected; delete its webhook at the cart as well")


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
    proven_users: bool = False,
) -> Connection:
    """Create a connection and store it. `url`: as registered, or what makes it; for carts whose signature covers it."""
    _check_secret(source, secret)
    connection = new_connection(tenant, source, store, secret)
    _check_new(deployment, connection)
    connection = replace(connection, users_of=users_of, proven_users=proven_users)
    if url is not None:
        connection = replace(connection, url=url if isinstance(url, str) else url(deployment, connection))
    _book(deployment).save(connection)
    return connection


def add_amazon(deployment: Deployment, tenant: str, seller: str) -> Connection:
    """Connect a seller; its notices name nothing but the seller, so one seller is of one shop."""
    made = new_connection(tenant, "amazon", seller)
    connection = replace(made, connection_id=amazon_cart.connection_id(made.store))
    book = _book(deployment)
    if any(known.connection_id == connection.connection_id for known in book.all()):
        raise RejectedError(f"the seller {seller} is connected already: see `matakite connection list`")
    book.save(connection)
    return connection


def _check_new(deployment: Deployment, made: Connection) -> None:
    """A store is connected once: its webhooks would come twice, and nobody knew which secret counts. Keys for tracking
    may be several: a site and its apps.
    """
    mine = (made.tenant, made.source, made.store)
    known = [each for each in _book(deployment).all() if (each.tenant, each.source, each.store) == mine]
    if known and made.source != TRACKING:
        raise RejectedError(
            f"{made.source} {made.store} is connected already: `matakite connection rotate {known[0].connection_id}` "
            "shows its URL and gives it a new secret, `matakite connection remove` disconnects it"
        )


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
    """The address the cart posts to: the function's own (infra/ingest.py), which the API's route answers as well."""
    outputs = deployment.outputs
    return f"{outputs.get('HooksUrl', outputs['ApiUrl']).rstrip('/')}/v1/hooks/{connection.connection_id}"


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


def _print_words(words: Iterable[str]) -> None:
    """Topics, as many as fit, in lines that can be copied."""
    _console.print(textwrap.fill("  ".join(words), 100, initial_indent="  ", subsequent_indent="  "))


def _print_for_cart(deployment: Deployment, connection: Connection) -> None:
    _console.print(f"URL    {hook_url(deployment, connection)}")
    _console.print(f"secret {connection.secret}")
