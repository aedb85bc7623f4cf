"""`matakite customer`: look a person up. Prints personal data to the terminal of whoever may read the table."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from shared.admin.card import Section, card
from shared.admin.explain import Voice
from shared.admin.find import find_customer, find_stored, search
from shared.admin.standing import standings
from shared.analytics.segments.store import SavedSegments, SegmentStore
from shared.core.clock import SystemClock
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId
from shared.core.shop import Shop
from shared.customers.items import StoredPerson
from shared.customers.links import to_decide
from shared.customers.matches import ADDRESS, PHONE, Match
from shared.customers.model import PersonState, Profile
from shared.customers.rules import contact
from shared.customers.store import CustomerStore
from shared.delivery.model import LedgerRow
from shared.delivery.store import DynamoLedgerStore
from shared.ingest.connections import ConnectionBook
from shared.ingest.files.model import SOURCE, STORE
from shared.ingest.oversize import NoOversize
from shared.ingest.sources.admin import link_envelope
from shared.ingest.store import DynamoEventStore

IMPORTED = (SOURCE, STORE)
"""The store of files that were imported without naming one (`matakite import orders`)."""

_SEARCHING = "検索中 / looking through the shop …"

app = typer.Typer(name="customer", help="Look a person up / 顧客", no_args_is_help=True)
_console = Console(highlight=False)

Wanted = Annotated[str, typer.Argument(help="Customer id, mail address, or a store's customer number (STORE/NUMBER).")]
Actor = Annotated[str, typer.Option("--actor", help="Who decides; else the name of this login.")]
InLanguage = Annotated[str | None, typer.Option("--language", help="ja or en; else the shop's.")]


@app.callback()
def _customer() -> None:
    """One subcommand for each thing to do with a person."""


@app.command()
def find(
    text: Annotated[str, typer.Argument(help="Part of a name, kana, mail or postal address, or telephone number.")],
    shop: OfShop = None,
    limit: Annotated[int, typer.Option(min=1, help="Stop at so many: the rest of the shop is not read.")] = 50,
) -> None:
    """Who that may be (顧客検索). A whole mail address is found at once; a part of anything looks through the shop."""
    desk = open_desk(connect(), shop)
    found = _addressed(desk, text) or _looked_for(desk, text, limit)
    rows = tuple(
        (
            str(each.customer_id),
            " ".join(filter(None, (each.last_name, each.first_name))) or "–",
            each.email or "–",
            each.phone or "–",
            each.address or "–",
        )
        for each in found
    )
    columns = ("顧客ID", "お名前", "メール", "電話", "住所")
    more = "まで（ほかにもいるかもしれません。言葉を足すか --limit で / maybe more）" if len(found) == limit else ""
    _print_section(Section(f"{len(found)} 件{more}", columns, rows, "見つかりません (nobody)"))


def _addressed(desk: Desk, text: str) -> list[Profile]:
    if "@" not in text:
        return []
    try:
        return [desk.person(text)[1].profile]
    except NotFoundError:
        return []


def _looked_for(desk: Desk, text: str, limit: int) -> list[Profile]:
    with _console.status(_SEARCHING) as status, closing(desk.customers.everybody(desk.shop.tenant)) as everybody:
        return list(islice(search(text, _counted(everybody, status)), limit))


def _counted(people: Iterable[Profile], status: Status) -> Iterator[Profile]:
    for number, each in enumerate(people, 1):
        if number % 1000 == 0:
            status.update(f"{_SEARCHING} {number:,} 人")
        yield each


@app.command()
def show(customer: Wanted, shop: OfShop = None, language: InLanguage = None) -> None:
    """Everything known about a person: consent, status, segments, orders, carts and sends."""
    desk = open_desk(connect(), shop)
    for section in everything(desk, *desk.person(customer), desk.voice(language), SystemClock().now()):
        _print_section(section)


def everything(
    desk: Desk, customer_id: CustomerId, person: PersonState, voice: Voice, now: datetime
) -> tuple[Section, ...]:
    """The card, and how this became one person."""
    log = desk.customers.consent_log(desk.shop.tenant, customer_id)
    segments = standings(desk.segments.all(desk.shop.tenant), person, now, desk.shop)
    return (*card(person, log, desk.sends(person), voice, segments), history(person, voice))


def history(person: PersonState, voice: Voice) -> Section:
    """How this became one person: what events said, and what people decided (名寄せの履歴)."""
    profile = person.profile
    rows = [
        (
            how.at,
            str(gone),
            voice.say("イベント", "event"),
            how.event_id,
            ", ".join(r.partition(":")[0] for r in how.refs),
        )
        for gone, how in profile.joins.items()
    ]
    rows += [
        (each.at, f"{each.one} + {each.other}", each.actor, each.event_id, _word(each.joined, voice))
        for each in profile.decisions
    ]
    told = tuple((voice.time(at), *rest) for at, *rest in sorted(rows))
    columns = tuple(
        voice.say(ja, en)
        for ja, en in (("日時", "when"), ("顧客", "customer"), ("誰が", "by"), ("根拠", "event"), ("理由", "why"))
    )
    return Section(voice.say("名寄せの履歴", "Joins"), columns, told, voice.say("名寄せはありません", "none"))


def _word(joined: bool, voice: Voice) -> str:
    return voice.say("名寄せ", "merged") if joined else voice.say("取り消し", "taken back")


@app.command()
def review(
    shop: OfShop = None,
    limit: Annotated[
        int, typer.Option(min=1, help="So many of each list; of those who share an address, the newest.")
    ] = 20,
) -> None:
    """Who may be one person (名寄せ候補): looks through the whole shop and lists what nobody has decided yet.

    And who is one because they share an address: `merge` keeps them so, `part` or `undo` tells them apart.
    """
    desk = open_desk(connect(), shop)
    with _console.status(_SEARCHING):
        found = desk.customers.find_matches(desk.shop.tenant)
    _print_section(alike(found, limit, lambda customer_id: desk.customers.load(desk.shop.tenant, customer_id)))
    _print_section(sharing(islice(desk.customers.to_ask_about(desk.shop.tenant), limit)))


def alike(found: Sequence[Match], limit: int, load: Callable[[CustomerId], StoredPerson | None]) -> Section:
    """Who looks alike and is not one person yet, each under their own name."""
    rows = tuple(
        (match.one, _name(load(match.one)), match.other, _name(load(match.other)), _in_common(match))
        for match in found[:limit]
    )
    more = f"、うち {limit} 組（続きは --limit）" if len(found) > limit else ""
    title = f"似ている方 {len(found):,} 組{more}（同じ方なら merge、別の方なら undo）"
    return Section(title, _PAIR, rows, "候補はありません (nothing to decide)")


def sharing(found: Iterable[tuple[Match, StoredPerson, StoredPerson]]) -> Section:
    """Who is one because they share an address, each under their own name (家族か同一人物か)."""
    rows = tuple(
        (one.customer_id, _name(one), other.customer_id, _name(other), _in_common(match)) for match, one, other in found
    )
    title = "連絡先が同じなので 1 人とみなした方（このままなら merge、別の方なら undo）"
    return Section(title, _PAIR, rows, "確かめることはありません (nothing to decide)")


_PAIR = ("顧客ID", "お名前", "顧客ID", "お名前", "共通点")
_WORDS = {PHONE: "電話番号と名前", ADDRESS: "名前と住所", "email": "メールアドレス", "line": "LINE"}


def _in_common(match: Match) -> str:
    return _WORDS.get(match.because, match.because)


def _name(person: StoredPerson | None) -> str:
    if person is None:
        return "–"
    card = contact(person.record)
    return " ".join(filter(None, (card.last_name, card.first_name))) or "–"


@app.command()
def merge(customer: Wanted, other: Wanted, shop: OfShop = None, actor: Actor = "") -> None:
    """These two are one person (名寄せ). `undo` takes it back, exactly."""
    open_desk(connect(), shop).decide(customer, other, joined=True, actor=actor)


@app.command()
def undo(customer: Wanted, other: Wanted, shop: OfShop = None, actor: Actor = "") -> None:
    """Take a merge back (取り消し), or say that two who look alike, or share an address, are not one person."""
    open_desk(connect(), shop).decide(customer, other, joined=False, actor=actor)


@app.command()
def part(customer: Wanted, shop: OfShop = None, actor: Actor = "") -> None:
    """This customer number is none of those it shares an address with (家族など). `merge` takes it back."""
    desk = open_desk(connect(), shop)
    mine = desk.meant(customer)
    others = desk.customers.joined_by_evidence(desk.shop.tenant, mine.customer_id)
    if not others:
        raise RejectedError("that customer has no address in common with another customer number: nothing to part")
    for other in others:
        desk.decide(mine.customer_id, other, joined=False, actor=actor)


@dataclass(frozen=True)
class Desk:
    """What it takes to answer about people of one shop."""

    deployment: Deployment
    shop: Shop
    customers: CustomerStore
    ledger: DynamoLedgerStore
    segments: SavedSegments

    def person(self, wanted: str) -> tuple[CustomerId, PersonState]:
        """The person meant by what was typed. Raises NotFoundError."""
        customer_id = find_customer(wanted, self.shop.tenant, self.customers, self.deployment.keys(), self._stores())
        found = self.customers.person(self.shop.tenant, customer_id)
        if found is None:
            raise NotFoundError("that customer was erased or merged a moment ago: ask again")
        return customer_id, found

    def _stores(self) -> list[tuple[str, str]]:
        connections = ConnectionBook(self.deployment.client("ssm"), self.deployment.prefix).all()
        mine = {(each.source, each.store) for each in connections if each.tenant == self.shop.tenant}
        return sorted(mine | {IMPORTED})

    def decide(self, one: str, other: str, *, joined: bool, actor: str) -> None:
        """Put a decision into the events table; the fold makes it count within seconds."""
        name = actor or getpass.getuser()
        now = SystemClock().now()
        dynamodb, outputs = self.deployment.client("dynamodb"), self.deployment.outputs
        events = DynamoEventStore(dynamodb, outputs["EventsTable"], NoOversize())
        found = self.meant(one)
        together = self.customers.parts(self.shop.tenant, found.customer_id)
        for first, second in to_decide(found, self.meant(other), together, joined=joined):
            envelope = link_envelope(self.shop.tenant, first, second, joined=joined, actor=name, at=now)
            events.put_once(envelope)
            _console.print(f"{first} {'+' if joined else '≠'} {second}: kept, decided by {name}")

    def meant(self, wanted: str) -> StoredPerson:
        """Of some who are read as one, the one whose id, address or number was typed. Raises NotFoundError."""
        tenant = self.shop.tenant
        found = self.customers.load(
            tenant, find_stored(wanted, tenant, self.customers, self.deployment.keys(), self._stores())
        )
        if found is None:
            raise NotFoundError("that customer was erased or merged a moment ago: ask again")
        return found

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
        SegmentStore(outputs["ReportsTable"], dynamodb),
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
