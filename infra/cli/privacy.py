"""`matakite privacy`: proof of consent, disclosure and erasure (同意記録・開示・消去)."""

from __future__ import annotations

import getpass
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.cli.customer import Desk, open_desk
from infra.cli.session import connect
from infra.cli.which_shop import OfShop
from shared.admin.erase import Certificate, SweepDeps, certificates, plan_sweep, sweep_part
from shared.admin.evidence import evidence_csv, proofs
from shared.admin.export import ExportDeps, export_person
from shared.admin.live import erasing
from shared.admin.store import Left, erase_shop
from shared.analytics.lake import S3Objects
from shared.core.clock import SystemClock, to_iso
from shared.core.errors import NotFoundError, RejectedError, UnavailableError
from shared.core.ids import CustomerId
from shared.customers.identity import customer_ref
from shared.customers.items import is_visitor
from shared.delivery.coupons.store import DynamoCoupons
from shared.delivery.links.store import DynamoLinks
from shared.delivery.tray import S3Tray
from shared.ingest.oversize import S3Oversize
from shared.ingest.sources.admin import erase_envelope
from shared.ingest.store import DynamoEventStore

app = typer.Typer(name="privacy", help="Consent, disclosure, erasure / 個人情報", no_args_is_help=True)
_progress = Console(stderr=True, highlight=False)

Wanted = Annotated[str, typer.Argument(help="Customer id, mail address, or a store's customer number (STORE/NUMBER).")]
Into = Annotated[Path | None, typer.Option("--out", help="File to write; else the terminal.")]
_WAIT = timedelta(seconds=60)


@app.callback()
def _privacy() -> None:
    """What a shop owes its customers about their data."""


@app.command()
def evidence(
    customer: Annotated[str | None, typer.Argument(help="One customer; or --all.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody in the shop's ledger.")] = False,
    channel: Annotated[str | None, typer.Option(help="email, sms, line, postal or call.")] = None,
    out: Into = None,
    shop: OfShop = None,
) -> None:
    """Export the consent ledger as evidence (同意記録, CSV)."""
    if (customer is None) is not everybody:
        raise RejectedError("say which customer, or --all")
    desk = open_desk(connect(), shop)
    if customer is None:
        found = proofs(desk.customers.ledgers(desk.shop.tenant), channel)
    else:
        customer_id, _ = desk.person(customer)
        log = desk.customers.consent_log(desk.shop.tenant, customer_id)
        found = proofs(((customer_id, entry) for entry in log), channel)
    _write(evidence_csv(found), out)
    _say(f"同意記録 {len(found):,} 件を書き出しました（{len({proof.customer_id for proof in found}):,} 人）。")


@app.command()
def export(customer: Wanted, out: Into = None, shop: OfShop = None) -> None:
    """Everything kept about one person as one JSON (開示請求). Looks through every delivery still kept."""
    desk = open_desk(connect(), shop)
    customer_id, _ = desk.person(customer)
    now = SystemClock().now()
    with _progress.status("受信データを確認しています …"):
        document = export_person(desk.shop.tenant, customer_id, _export_deps(desk), now)
    _write(json.dumps(document, ensure_ascii=False, indent=2) + "\n", out)
    _say(
        f"書き出しました: 受注 {len(document['orders'])} 件、配信 {len(document['sends'])} 件、"
        f"同意記録 {len(document['consent_ledger'])} 件、受信データ {len(document['deliveries'])} 件。"
    )
    for request in _requests(desk):
        if request["customer_id"] == document["customer_id"] and "done_at" not in request:
            desk.customers.finish_command(desk.shop.tenant, request["command"], now)
            _say(f"開示請求 {request['command'].partition('#')[2]} を対応済みにしました。")


@app.command()
def requests(
    done: Annotated[str | None, typer.Option("--done", help="Mark this request as answered.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were answered.")] = False,
    shop: OfShop = None,
) -> None:
    """What customers asked a cart for, and what waits for an admin (開示請求・ショップ削除の依頼)."""
    desk = open_desk(connect(), shop)
    if done:
        known = [each["command"] for each in desk.customers.commands(desk.shop.tenant)]
        matching = [command for command in known if done in {command, command.partition("#")[2]}]
        if not matching:
            raise NotFoundError("no such request waits")
        desk.customers.finish_command(desk.shop.tenant, matching[0], SystemClock().now())
        _say("対応済みにしました。")
        return
    found = [each for each in _requests(desk) if everything or "done_at" not in each]
    for each in found:
        kind = "開示請求" if each["command"].startswith("export_person") else "ショップ削除の依頼"
        state = f"対応済み {each['done_at']}" if "done_at" in each else "未対応"
        number = each["command"].partition("#")[2]
        _say(f"{kind}  {number}  {each['source']}/{each['store']}  顧客 {each['customer_id'] or '–'}  {state}")
    if not found:
        _say("未対応の依頼はありません。")


@app.command()
def erase(
    customer: Wanted,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    later: Annotated[bool, typer.Option("--later", help="Leave the bodies of deliveries to the coming night.")] = False,
    actor: Annotated[str, typer.Option(help="Who decided; else whoever runs this.")] = "",
    shop: OfShop = None,
) -> None:
    """Erase a person everywhere (消去). Orders stay under an id nobody can be found by; this cannot be undone."""
    desk = open_desk(connect(), shop)
    customer_id, person = desk.person(customer)
    if not yes:
        _say(f"顧客 {customer_id} を消去します。購入 {person.profile.summary.order_count} 回。元に戻せません。")
        if typer.prompt("続けるには erase と入力してください") != "erase":
            raise RejectedError("nothing was erased")
    started = SystemClock().now()
    ids = _people(desk, customer_id)
    events = _events(desk)
    for one in ids:
        events.put_once(erase_envelope(desk.shop.tenant, one, actor or getpass.getuser(), started))
    with _progress.status("消去しています（数十秒かかります） …"):
        _wait_until_erased(desk, ids, started)
        if not later:
            _sweep(desk)
    for each in _certificates(desk):
        if each.customer_id in ids and each.erased_at >= started - timedelta(seconds=1):
            _print_certificate(each)


@app.command()
def sweep(shop: OfShop = None) -> None:
    """Search everything kept for persons who were erased, now instead of in the coming night."""
    desk = open_desk(connect(), shop)
    with _progress.status("受信データを確認しています …"):
        _sweep(desk)
    _say(f"消去済み {len(_certificates(desk)):,} 人分の受信データを確認しました。")


@app.command()
def certificate(customer_id: Annotated[str | None, typer.Argument()] = None, shop: OfShop = None) -> None:
    """What was erased of whom, where, and what stays (消去証明). By customer id: the address is gone."""
    desk = open_desk(connect(), shop)
    found = [
        each for each in _certificates(desk) if customer_id in {None, each.customer_id} or customer_id in each.aliases
    ]
    if not found:
        raise NotFoundError("nobody was erased by that id")
    for each in found:
        _print_certificate(each)


@app.command(name="erase-shop")
def erase_whole_shop(
    evidence_file: Annotated[Path, typer.Option("--evidence", help="Where to save the consent ledger first (CSV).")],
    confirm: Annotated[str | None, typer.Option(help="The shop's id, instead of typing it.")] = None,
    shop: OfShop = None,
) -> None:
    """Erase a whole shop (ショップの削除, shop/redact). Only suppressions and the consent ledger stay."""
    desk = open_desk(connect(), shop)
    tenant = desk.shop.tenant
    for each in _requests(desk):
        if each["command"].startswith("erase_shop"):
            _say(f"{each['source']}/{each['store']} から削除の依頼が届いています。")
    typed = confirm if confirm is not None else typer.prompt(f"{desk.shop.name} のすべてを削除します。ショップIDを入力")
    if typed != tenant:
        raise RejectedError("the shop's id does not match: nothing was erased")
    found = proofs(desk.customers.ledgers(tenant))
    _write(evidence_csv(found), evidence_file)
    left = _erase_shop(desk)
    for command in desk.customers.commands(tenant):
        if command["command"].startswith("erase_shop"):
            desk.customers.finish_command(tenant, command["command"], SystemClock().now())
    _say(f"削除しました: 行 {left.rows:,}、ファイル {left.objects:,}。")
    _say(f"残るもの: 同意記録 {left.evidence:,} 件と配信停止 {left.suppressions:,} 件（どちらも宛先はダイジェスト）。")


def _erase_shop(desk: Desk) -> Left:
    outputs, s3 = desk.deployment.outputs, desk.deployment.client("s3")
    tables = [
        outputs[f"{name}Table"] for name in ("Events", "Customers", "Scenarios", "Deliveries", "Reports", "Pulls")
    ]
    buckets = [S3Objects(outputs[f"{name}Bucket"], s3) for name in ("Lake", "Work", "Inbox")]
    return erase_shop(desk.shop.tenant, desk.deployment.client("dynamodb"), tables, buckets)


def _people(desk: Desk, customer_id: CustomerId) -> list[CustomerId]:
    """The person, and everybody who is read as one with them; their browsers go with them."""
    people = desk.customers.parts(desk.shop.tenant, customer_id)
    if not people:
        raise NotFoundError("that customer was merged a moment ago: ask again")
    return sorted(each.customer_id for each in people if not is_visitor(each))


def _wait_until_erased(desk: Desk, ids: list[CustomerId], since: datetime) -> None:
    until = SystemClock().now() + _WAIT
    while True:
        done = {each.customer_id for each in _certificates(desk) if each.erased_at >= since - timedelta(seconds=1)}
        if done >= set(ids):
            return
        if SystemClock().now() > until:
            raise UnavailableError(
                "the erasure is kept but not yet done: look again with `matakite privacy certificate`"
            )
        time.sleep(0.5)


def _sweep(desk: Desk) -> None:
    deps = _sweep_deps(desk)
    for part in plan_sweep(deps)["parts"]:
        sweep_part(part, deps, lambda: False)


def _certificates(desk: Desk) -> list[Certificate]:
    return certificates(desk.customers.erasures(desk.shop.tenant))


_WORDS = {
    "sends": "配信の記録",
    "enrolments": "シナリオの登録",
    "letters": "未取得の郵送DM・架電タスク",
    "deliveries": "受信データの本文",
    "imported": "取り込みファイルの行",
}


def _print_certificate(found: Certificate) -> None:
    _say(f"\n■ 消去証明 {found.customer_id}")
    _say(f"  消去日時      {to_iso(found.erased_at)}")
    _say("  顧客情報      氏名・連絡先・住所・カート・閲覧履歴・属性を消去済み")
    for name, word in _WORDS.items():
        _say(f"  {word}  {found.counts.get(name, 0):,} 件を消去")
    if found.swept_at:
        looked = f"{found.rows_searched:,} 件を照合、判読不能 {found.unread:,} 件"
        _say(f"  全件の確認    {to_iso(found.swept_at)}（{looked}）")
    else:
        _say("  全件の確認    今夜行います（すぐ行うには matakite privacy sweep）")
    _say("  残るもの      受注（顧客IDのみ。集計のため）、同意記録と配信停止（宛先はダイジェスト。法定の保存期間）")
    _say("  期限で消えるもの  受信箱のファイル 30日、ログ 30日、復旧用の控え（PITR）35日")
    _say(f"  照合値        {found.hash}")


def _requests(desk: Desk) -> Iterator[dict[str, str]]:
    for each in desk.customers.every_command(desk.shop.tenant):
        source, store, number = each["source"], each["store"], each["subject"].rpartition("/")[2]
        known = desk.customers.resolve_ref(desk.shop.tenant, customer_ref(source, store, number))
        yield {**each, "customer_id": known or ""}


def _events(desk: Desk) -> DynamoEventStore:
    outputs = desk.deployment.outputs
    oversize = S3Oversize(desk.deployment.client("s3"), outputs["WorkBucket"])
    return DynamoEventStore(desk.deployment.client("dynamodb"), outputs["EventsTable"], oversize)


def _export_deps(desk: Desk) -> ExportDeps:
    erase_deps = _sweep_deps(desk).erase
    dynamodb, sends = desk.deployment.client("dynamodb"), desk.deployment.outputs["DeliveriesTable"]
    return ExportDeps(
        desk.customers,
        erase_deps.ledger,
        erase_deps.enrolments,
        _events(desk),
        desk.deployment.keys(),
        DynamoCoupons(sends, dynamodb),
        DynamoLinks(sends, dynamodb),
    )


def _sweep_deps(desk: Desk) -> SweepDeps:
    outputs, tenant = desk.deployment.outputs, desk.shop.tenant
    dynamodb = desk.deployment.client("dynamodb")
    tray = S3Tray(outputs["WorkBucket"], desk.deployment.client("s3"))
    tables = (outputs["CustomersTable"], outputs["DeliveriesTable"], outputs["ScenariosTable"])
    return SweepDeps(
        erase=erasing(dynamodb, *tables, tray),
        events=_events(desk),
        work=S3Objects(outputs["WorkBucket"], desk.deployment.client("s3")),
        keys=desk.deployment.keys(),
        tenants=lambda: [tenant],
    )


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
    else:
        out.touch(mode=0o600)
        out.write_text(text, encoding="utf-8", newline="")


def _say(text: str) -> None:
    """On stderr: what is written to the terminal may be piped."""
    Console(stderr=True, highlight=False, markup=False).print(text)
