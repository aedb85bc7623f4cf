"""`matakite line`: connect a shop's LINE official account, see its quota and price, link a customer with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer
import urllib3
from rich.console import Console

from infra.cli.customer import open_desk
from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from shared.core.clock import SystemClock
from shared.core.errors import MisconfiguredError, NotFoundError, RejectedError, UnavailableError
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.delivery.channels.line import API, LineAccount, parameter_name, parse_account
from shared.delivery.line_link import link_path
from shared.delivery.line_price import Quota, price_of_next
from shared.delivery.spend.budget import cap_of, month_of
from shared.delivery.spend.store import DynamoSpend

app = typer.Typer(name="line", help="LINE official account / LINE公式アカウント", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class LineApi:
    """The calls of the Messaging API that the command needs."""

    account: LineAccount

    def quota(self) -> Quota:
        """What the plan allows this month, and what was used."""
        allowed = self._call("GET", "/v2/bot/message/quota")
        used = self._call("GET", "/v2/bot/message/quota/consumption")["totalUsage"]
        return Quota(int(allowed["value"]) if allowed["type"] == "limited" else None, int(used))

    def bot(self) -> str:
        """The account's own user id."""
        return str(self._call("GET", "/v2/bot/info")["userId"])

    def link_token(self, user: str) -> str:
        """A token that LINE takes for 10 minutes, once."""
        return str(self._call("POST", f"/v2/bot/user/{user}/linkToken")["linkToken"])

    def _call(self, method: str, path: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.account.access_token}"}
        try:
            answer = urllib3.request(method, f"{self.account.api}{path}", headers=headers, timeout=10, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"LINE could not be reached ({type(error).__name__})") from error
        if answer.status in (401, 403):
            raise MisconfiguredError(f"LINE refuses the channel access token ({answer.status})")
        if answer.status != 200:
            raise UnavailableError(f"LINE answered {answer.status} to {path}")
        found: dict[str, Any] = answer.json()
        return found


@app.command("connect")
def connect_account(
    token: Annotated[
        str, typer.Option("--token", envvar="MATAKITE_LINE_TOKEN", help="Channel access token (long-lived).")
    ],
    bot: Annotated[str, typer.Option("--bot", help="The account's user id, U… (LINE Developers: Your user ID's bot).")],
    shop: OfShop = None,
    api: Annotated[str, typer.Option("--api", hidden=True)] = API,
) -> None:
    """Store the account's token, after asking LINE whose it is."""
    deployment = connect()
    tenant = which_shop(deployment, shop).tenant
    save_account(deployment, tenant, LineAccount(token, api, bot))
    _console.print(f"LINE公式アカウントを接続しました: {bot}")
    _console.print(f"受信の設定: matakite connection add line --store {bot} --secret （チャネルシークレット）")


@app.command()
def status(shop: OfShop = None) -> None:
    """The plan's quota, this month's use, and what the next message costs (料金の段差)."""
    deployment = connect()
    found = which_shop(deployment, shop)
    quota = LineApi(load_account(deployment, found.tenant)).quota()
    _console.print(f"今月の送信数   {quota.used:,} 通（LINEの集計。数時間遅れることがあります）")
    _console.print(f"今月の上限     {f'{quota.limit:,} 通' if quota.limit is not None else 'なし'}")
    _console.print(f"次の1通        {price_of_next(quota)}")
    _console.print(f"配信予算       {_budget(deployment, found)}")


@app.command()
def link(
    customer: Annotated[str, typer.Argument(help="Customer id, mail address, or STORE/NUMBER.")],
    user: Annotated[str | None, typer.Option("--user", help="LINE user id, U…: the link then works at once.")] = None,
    shop: OfShop = None,
) -> None:
    """The page on which a customer links their LINE account; whoever has its URL may link theirs."""
    deployment = connect()
    desk = open_desk(deployment, shop)
    customer_id, _ = desk.person(customer)
    path = link_path(desk.shop.tenant, customer_id, deployment.keys(), SystemClock().now())
    token = LineApi(load_account(deployment, desk.shop.tenant)).link_token(user) if user else "（LINEのlinkToken）"
    _console.print(f"{desk.shop.public_url}{path}?linkToken={token}", markup=False)
    _console.print("この URL は、ご本人であることを確かめたお客様にだけお渡しください。")
    _console.print("連携用のトークンは10分間、1回だけ使えます。" if user else "ページの URL は24時間使えます。")


def save_account(deployment: Deployment, tenant: TenantId, account: LineAccount) -> None:
    """Store the account. Raises RejectedError when the token is another account's."""
    whose = LineApi(account).bot()
    if whose.lower() != account.bot.lower():
        raise RejectedError(f"this token belongs to {whose}, not to {account.bot}")
    document = {"access_token": account.access_token, "bot": account.bot}
    document |= {"api": account.api} if account.api != API else {}
    deployment.client("ssm").put_parameter(
        Name=parameter_name(deployment.prefix, tenant), Value=json.dumps(document), Type="SecureString", Overwrite=True
    )


def load_account(deployment: Deployment, tenant: TenantId) -> LineAccount:
    """The stored account. Raises NotFoundError."""
    ssm = deployment.client("ssm")
    try:
        found = ssm.get_parameter(Name=parameter_name(deployment.prefix, tenant), WithDecryption=True)
    except ssm.exceptions.ParameterNotFound:
        raise NotFoundError(f"shop {tenant!r} has no LINE account: matakite line connect --help") from None
    return parse_account(found["Parameter"]["Value"])


def _budget(deployment: Deployment, shop: Shop) -> str:
    spend = DynamoSpend(deployment.outputs["DeliveriesTable"], deployment.client("dynamodb"))
    used = spend.used(shop.tenant, month_of("line", shop, SystemClock().now()))
    cap = cap_of("line", shop)
    return f"{used:,} 通を使用 / {f'{cap:,} 通まで' if cap is not None else '上限なし'}（delivery.budget.line）"
