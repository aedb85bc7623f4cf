"""`matakite bill`: what AWS takes in a month, line by line, and what a scenario costs before it is sent."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shared.core.clock import SystemClock
from shared.core.errors import NotFoundError, RejectedError
from shared.measurement.cost.bill import (
    BARS,
    SCENARIOS,
    Assumptions,
    Bill,
    Rates,
    bill,
    price_counts,
    waiting_at_queues,
)
from shared.measurement.cost.counts import read_counts
from shared.measurement.cost.machines import transitions_per_step
from shared.measurement.cost.preview import Preview, Quota, over_budget, preview, ways_of
from shared.measurement.cost.prices import TOKYO, Prices, read_prices
from shared.scenarios.read import read_presets

app = typer.Typer(name="bill", help="What AWS takes in a month / 月額の料金", invoke_without_command=True)
_console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 130)
COUNTED = Path("shared/measurement/cost/counted.json")
CAVEAT = "当製品の金額に、人件費・ドメイン・サポート・SES のウォームアップは含みません。"
_CHANNELS = {"email": "メール", "line": "LINE", "sms": "SMS", "postal": "郵送DM", "call": "電話"}


@app.callback()
def month(
    context: typer.Context,
    addresses: Annotated[list[int] | None, typer.Option(help="配信先の数（繰り返し指定可）。")] = None,
    counted: Annotated[Path | None, typer.Option(help="数えた記録（既定は製品に付属のもの）。", exists=True)] = None,
    local: Annotated[
        bool, typer.Option("--local", help="いま動いているローカルクラウドで数えた呼び出しに値段を付ける。")
    ] = False,
    region: Annotated[str, typer.Option(help="tokyo または us_east_1。")] = TOKYO,
    free_tier: Annotated[bool, typer.Option("--free-tier", help="常時無料枠を引く。")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """The month's bill for so many addresses; without options for 10,000, 100,000 and 1,000,000."""
    if context.invoked_subcommand:
        return
    prices = read_prices(region)
    if local:
        _print_counted(prices, as_json)
        return
    rates = read_rates(json.loads((counted or _shipped()).read_text("utf-8")))
    bills = [bill(n, rates, prices, free_tier=free_tier) for n in addresses or sorted(BARS)]
    if as_json:
        typer.echo(json.dumps([_document(each, prices) for each in bills], ensure_ascii=False, indent=2))
        return
    for each in bills:
        _print_bill(each, prices)
    _print_others(bills, prices)


@app.command()
def scenario(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    people: Annotated[int, typer.Option(help="対象の人数。")],
    budget: Annotated[float | None, typer.Option(help="予算（円）。超えるなら送らずに終了状態 1。")] = None,
    line_sent: Annotated[int, typer.Option(help="今月すでに送った LINE の通数。")] = 0,
    per_second: Annotated[float, typer.Option(help="SES の毎秒の上限。")] = 14,
    per_day: Annotated[float, typer.Option(help="SES の24時間の上限。")] = 50_000,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """What a scenario costs when everybody goes its dearest way, and when its mails have left."""
    found = {each.id: each for each in read_presets()}
    if name not in found:
        raise NotFoundError(f"there is no scenario {name!r}; there are: {', '.join(sorted(found))}")
    quota = Quota(per_second, per_day)
    seen = preview(ways_of(found[name].steps), people, read_prices(), SystemClock().now(), quota, line_sent)
    if as_json:
        typer.echo(json.dumps(asdict(seen) | {"yen": seen.yen}, ensure_ascii=False, default=str, indent=2))
    else:
        _print_preview(found[name].title, seen)
    if budget is not None and (said := over_budget(seen, budget)):
        raise RejectedError(said)


def read_rates(document: dict[str, Any]) -> Rates:
    """The counted day, as the bill reads it. Raises RejectedError when it is something else."""
    try:
        mail = read_counts(document["mails"])
        mails = mail.called("Step", "ses", "SendEmail")
        webhook = read_counts(document["webhooks"])
        return Rates(
            webhook,
            document["accepted_webhooks"],
            mail,
            mails,
            document["decisions"],
            document.get("month"),
            document.get("crowd"),
            transitions_per_step(each for each in read_presets() if each.id in SCENARIOS),
        )
    except KeyError as error:
        raise RejectedError(f"{error} is missing: write the file with `python -m tests.bench.counted_day`") from None


def _shipped() -> Path:
    from shared.measurement.cost import prices

    return Path(prices.__file__).with_name(COUNTED.name)


def _print_bill(each: Bill, prices: Prices) -> None:
    table = Table("項目", "USD", "円", "前提", title=f"{each.addresses:,} 件の配信先／月")
    for line in each.lines:
        mark = " *" if prices.unconfirmed & set(line.usage) else ""
        table.add_row(line.name + mark, f"{line.usd:,.2f}", f"{prices.yen(line.usd):,.0f}", line.assumption)
    table.add_section()
    table.add_row("合計", f"{each.usd:,.2f}", f"{prices.yen(each.usd):,.0f}", f"SES だけの場合の {each.ratio:.2f} 倍")
    _console.print(table)
    if bar := BARS.get(each.addresses):
        largest = max((line for line in each.lines[1:]), key=lambda line: line.usd)
        over = each.usd - bar * each.floor
        said = "達成" if over <= 0 else f"あと ${over:,.0f}。SES の次に大きいのは「{largest.name}」"
        _console.print(f"目標 {bar:g} 倍: {said}", markup=False)
    _console.print(
        f"1通 {each.write_units_per_mail:.2f} 書込単位、Webhook 1回 {each.write_units_per_webhook:.2f} 書込単位\n",
        markup=False,
    )


def _print_others(bills: list[Bill], prices: Prices) -> None:
    table = Table("他社の公開価格（USD/月）", *(f"{each.addresses:,} 件" for each in bills))
    table.add_row("Matakite", *(f"{each.usd:,.0f}" for each in bills))
    for other in prices.others:
        shown = (other.month.get(each.addresses) for each in bills)
        table.add_row(other.name, *("—" if usd is None else f"{usd:,.0f}" for usd in shown))
    _console.print(table)
    waiting = waiting_at_queues(prices)
    _console.print(f"空のキューの待ち受け（SQS）は別に月 約 ${waiting:.2f} です（月100万回までは常時無料枠）。")
    _console.print(f"{CAVEAT}\n* は未確認の単価を含みます。価格表 {prices.as_of}、1ドル {prices.yen_per_dollar:g}円。")


def _print_preview(title: str, seen: Preview) -> None:
    table = Table("経路", "通数", "円", "前提", title=f"{title}: {seen.people:,} 人")
    for charge in seen.charges:
        name = _CHANNELS.get(charge.channel, charge.channel)
        table.add_row(name, f"{charge.messages:,}", f"{charge.yen:,.0f}", charge.said)
    table.add_section()
    table.add_row(
        "合計", "", f"{seen.yen:,.0f}", f"1人 {seen.yen / seen.people:,.2f}円。いちばん高い道を全員が通った場合"
    )
    _console.print(table)
    if seen.mails_end_at:
        _console.print(
            f"一度に送ると、1通目のメールは {seen.mails_end_at.astimezone():%Y-%m-%d %H:%M} に送り終わります。"
        )


def _print_counted(prices: Prices, as_json: bool) -> None:
    from infra.local.process import LocalPaths, internal, running

    emulator = running(LocalPaths())
    if emulator is None:
        raise NotFoundError("no local cloud is running: `matakite local up`, or leave out --local")
    lines = price_counts(read_counts(internal(emulator, "GET", "/_matakite/calls")), prices)
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines], ensure_ascii=False, indent=2))
        return
    table = Table("数えたもの", "数", "USD", "円")
    for line in lines:
        (quantity,) = line.usage.values()
        table.add_row(line.name, f"{quantity:,.2f}", f"{line.usd:.6f}", f"{prices.yen(line.usd):.4f}")
    _console.print(table)


def _document(each: Bill, prices: Prices) -> dict[str, Any]:
    return {
        "addresses": each.addresses,
        "usd": round(each.usd, 2),
        "yen": round(prices.yen(each.usd)),
        "times_ses": round(each.ratio, 3),
        "bar": BARS.get(each.addresses),
        "write_units_per_mail": round(each.write_units_per_mail, 3),
        "write_units_per_webhook": round(each.write_units_per_webhook, 3),
        "lines": [asdict(line) for line in each.lines],
        "assumptions": asdict(Assumptions()),
        "caveat": CAVEAT,
    }
