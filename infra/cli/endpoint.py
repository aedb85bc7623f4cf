"""`matakite endpoint`: where a shop's webhooks and call tasks are posted, and the secret they are signed with."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import TenantId
from shared.delivery.endpoints import NAMES, new_secret, parameter_name, parse_endpoint, render_endpoint
from shared.delivery.outbound import Endpoint, Outbound

app = typer.Typer(name="endpoint", help="Where webhooks and call tasks are posted / 送信先", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)

Name = Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.")]


@app.command("set")
def set_(
    name: Name,
    url: Annotated[str, typer.Option("--url", help="https:// only; private addresses are refused.")],
    secret: Annotated[
        str | None, typer.Option("--secret", envvar="MATAKITE_SECRET", help="whsec_…; else a new one is made.")
    ] = None,
    shop: OfShop = None,
) -> None:
    """Post there from now on, signed as Standard Webhooks (webhook-id is the same in every attempt)."""
    deployment = connect()
    endpoint = save_endpoint(deployment, which_shop(deployment, shop).tenant, name, url, secret)
    _console.print(f"URL    {endpoint.url}")
    _console.print(f"secret {endpoint.secret}")
    _console.print("5分以内に有効になります。同じ webhook-id は1回だけ処理してください。")


@app.command()
def remove(name: Name, shop: OfShop = None) -> None:
    """Post nothing there any more: call tasks wait for `matakite call export`, notes for `scenario handed`."""
    deployment = connect()
    ssm, tenant = deployment.client("ssm"), which_shop(deployment, shop).tenant
    try:
        ssm.delete_parameter(Name=parameter_name(deployment.prefix, tenant, _known(name)))
    except ssm.exceptions.ParameterNotFound:
        raise NotFoundError(f"there is no endpoint {name!r}") from None
    _console.print(f"{name}: 5分以内に送信を停止します。")


def save_endpoint(
    deployment: Deployment, tenant: TenantId, name: str, url: str, secret: str | None, outbound: Outbound | None = None
) -> Endpoint:
    """Check and store an endpoint."""
    (outbound or Outbound()).check(url)
    text = render_endpoint(Endpoint(url, secret or new_secret()))
    endpoint = parse_endpoint(text)
    deployment.client("ssm").put_parameter(
        Name=parameter_name(deployment.prefix, tenant, _known(name)), Value=text, Type="SecureString", Overwrite=True
    )
    return endpoint


def _known(name: str) -> str:
    if name not in NAMES:
        raise RejectedError(f"an endpoint is one of {', '.join(NAMES)}, got {name!r}")
    return name
