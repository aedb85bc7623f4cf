"""`matakite mail coupon`: the codes of a campaign, who is given them, and what they earned (クーポン)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from infra.cli.analysis import ask
from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from shared.analytics.coupon_codes import write_codes
from shared.analytics.lake import Objects, S3Objects
from shared.core.clock import SystemClock, shop_day
from shared.core.errors import RejectedError
from shared.core.money import format_amount
from shared.core.shop import Shop
from shared.core.spreadsheet import csv_lines
from shared.delivery.coupons.codes import make_codes, read_codes
from shared.delivery.coupons.issue import Book, CouponStore, Terms, checked_campaign
from shared.delivery.coupons.store import DynamoCoupons

ANALYSIS = "coupons_v1"

app = typer.Typer(name="coupon", help="Coupons of one's own / 個別クーポン", no_args_is_help=True)
_console = Console(highlight=False, soft_wrap=True)

Campaign = Annotated[str, typer.Argument(help="Name of the campaign, as the scenario's coupon step says it.")]
Benefit = Annotated[str, typer.Option("--benefit", help="What it is worth, as the mail says it: 10%引き.")]
Condition = Annotated[str, typer.Option("--condition", help="On what terms: 5,000円以上のお買い物.")]
Until = Annotated[datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day it is good for.")]
Days = Annotated[int | None, typer.Option("--days", min=1, max=3650, help="Days from being given, that day counted.")]


@app.command()
def load(
    campaign: Campaign,
    file: Annotated[Path, typer.Argument(help="CSV of codes that the cart's admin made.", exists=True)],
    benefit: Benefit,
    condition: Condition = "",
    until: Until = None,
    days: Days = None,
    shop: OfShop = None,
) -> None:
    """Take in codes made in the cart's admin; more of them may follow."""
    desk = open_coupons(connect(), shop)
    book = desk.add(campaign, read_codes(file.read_bytes()), desk.terms(benefit, condition, until, days))
    _console.print(f"{campaign}: {book.size} codes, {book.left} to give", markup=False)


@app.command()
def make(
    campaign: Campaign,
    prefix: Annotated[str, typer.Option("--prefix", help="What every code begins with: AKI.")],
    count: Annotated[int, typer.Option("--count", help="How many.")],
    out: Annotated[Path, typer.Option("--out", help="CSV to import in the cart's admin, before anything is sent.")],
    benefit: Benefit,
    condition: Condition = "",
    until: Until = None,
    days: Days = None,
    shop: OfShop = None,
) -> None:
    """Make codes nobody can guess, for the cart to import."""
    deployment = connect()
    desk = open_coupons(deployment, shop)
    terms = desk.terms(benefit, condition, until, days)
    known = desk.store.book(desk.shop.tenant, checked_campaign(campaign))
    start = known.size if known else 0
    codes = make_codes(desk.shop.tenant, campaign, prefix, range(start, start + count), deployment.keys())
    # The file first: codes that are given out and that no cart knows would be promises nobody keeps.
    out.write_text("".join(csv_lines(["code"], ([code] for code in codes))), "utf-8", newline="")
    book = desk.add(campaign, codes, terms)
    _console.print(f"{out}: {count} codes; import them in the cart before the scenario runs", markup=False)
    _console.print(f"{campaign}: {book.size} codes, {book.left} to give", markup=False)


@app.command("list")
def list_(shop: OfShop = None) -> None:
    """Every campaign: codes, how many are given, and what the orders up to now say of them."""
    deployment = connect()
    desk = open_coupons(deployment, shop)
    books = desk.store.books(desk.shop.tenant)
    today = shop_day(SystemClock().now(), desk.shop.timezone)
    rows = ask(deployment, desk.shop, ANALYSIS, today) if books else []
    _console.print(listed(books, rows, desk.shop.currency))


@dataclass(frozen=True)
class CouponDesk:
    """The books of one shop, and the lake in which their codes are known by campaign."""

    shop: Shop
    store: CouponStore
    lake: Objects

    def terms(self, benefit: str, condition: str, until: datetime | None, days: int | None) -> Terms:
        """What a coupon is worth and until when. Raises RejectedError."""
        if not benefit.strip():
            raise RejectedError("--benefit says what the coupon is worth; a mail cannot promise nothing")
        last_on: date | None = until.date() if until else None
        if last_on and last_on < shop_day(SystemClock().now(), self.shop.timezone):
            raise RejectedError(f"--until {last_on} is over: nobody could use a code any more")
        return Terms(benefit.strip(), condition.strip(), last_on, days)

    def add(self, campaign: str, codes: Sequence[str], terms: Terms) -> Book:
        """Codes to the end of a campaign's book. Raises RejectedError for one that any campaign has already."""
        tenant = self.shop.tenant
        checked_campaign(campaign)
        wanted = {code.upper() for code in codes}
        for book in self.store.books(tenant):
            twice = [code for code in self.store.codes(tenant, book.campaign) if code.upper() in wanted]
            if twice:
                known = ", ".join(twice[:5])
                raise RejectedError(f"{len(twice)} codes are in campaign {book.campaign!r} already: {known}")
        # Where they belong first: a code that is given and not known by campaign would earn for nobody.
        write_codes(campaign, codes, self.lake, self.shop, SystemClock().now())
        return self.store.add(tenant, campaign, terms, codes)


def open_coupons(deployment: Deployment, shop: str | None) -> CouponDesk:
    """The books of the shop named, or of the only one."""
    store = DynamoCoupons(deployment.outputs["DeliveriesTable"], deployment.client("dynamodb"))
    lake = S3Objects(deployment.outputs["LakeBucket"], deployment.client("s3"))
    return CouponDesk(which_shop(deployment, shop), store, lake)


def listed(books: Sequence[Book], rows: Sequence[Mapping[str, Any]], currency: str) -> Table:
    """Campaigns with what their coupons did."""
    table = Table("キャンペーン", "内容", "期限", "コード", "配布", "利用", "利用率", "注文", "受注金額", "使い回し")
    used = {row["campaign"]: row for row in rows}
    for book in books:
        row = used.get(book.campaign, {})
        rate = f"{row.get('used', 0) / book.taken:.1%}" if book.taken else "-"
        ends = f"{book.terms.valid_days}日間" if book.terms.valid_days else str(book.terms.last_on or "なし")
        counts = (book.size, book.taken, row.get("used", 0))
        money = format_amount(row.get("amount", 0), currency)
        table.add_row(
            book.campaign, book.terms.benefit, ends, *(f"{count:,}" for count in counts), rate,
            f"{row.get('orders', 0):,}", money, f"{row.get('reused', 0):,}",
        )  # fmt: skip
    return table
