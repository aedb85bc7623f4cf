"""A segment as SQL in Athena's dialect: who in the lake it is true of.

    leaves   one SELECT per condition: the people it is true of (or, where it is also true of somebody of whom nothing
             is known, the people it is not true of), joined by UNION ALL so that each table is read once per condition
    people   one row per person: which leaves hold
    answer   the people for whom the joined conditions hold

Every SELECT is built as a tree from the allow-list in `model.py`: columns are ours, values are typed literals, and each
read of a table carries its tenant and partition. The text has the named parameters of an analysis (`:tenant`,
`:as_of`, …), so it can be kept and asked of any day. Needs sqlglot, which is no part of any bundle: a definition is
compiled where it is saved or asked, and the night runs the text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from sqlglot import exp

from shared.analytics import catalog
from shared.analytics.catalog import Analysis
from shared.analytics.customers_of import members_select
from shared.analytics.schema import FIRST_MONTH, month_of
from shared.analytics.segments import model
from shared.analytics.segments.model import Condition, Group, Join, Node, Numbers, Segment, Truth, Window
from shared.analytics.segments.night import CHANGES, COUNTS, MEMBERS
from shared.analytics.sql import read
from shared.core.errors import RejectedError

SOURCES = Path(__file__).parent / "sources"
DIALECT = "athena"

MAX_CHARACTERS = 60_000
"""Of one segment's SQL: Athena takes 262,144 for a whole query."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The SQL of a segment, and the tables and analyses it reads."""

    sql: str
    reads: tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    """What the leaves compiled so far need before them."""

    common: dict[str, str] = field(default_factory=dict)
    """Common table expressions, in the order in which they read each other."""
    reads: dict[str, None] = field(default_factory=dict)
    leaves: list[str] = field(default_factory=list)
    """SQL of each leaf."""
    known: dict[str, int] = field(default_factory=dict)

    def source(self, name: str, *reads: str, since: exp.Expr | None = None) -> str:
        """One of `sources/*.sql` as a common table expression, from a month on; its name."""
        alias = f"{name}_{len(self.common)}" if since else name
        text = _source(name).replace(":since_month", since.sql(dialect=DIALECT)) if since else _source(name)
        for known, said in self.common.items():
            if said == text:
                return known
        self.common[alias] = text
        self.reads |= dict.fromkeys(reads)
        return alias

    def links(self) -> str:
        """Refs and whom they name."""
        return self.source("links", "person_links", "person_ids")

    def attributes(self) -> str:
        """What is known of people besides purchases."""
        return self.source("attributes", "attribute_states", "person_ids")

    def leaf(self, select: str) -> int:
        """The number of a leaf; the same question twice is asked once."""
        if select not in self.known:
            self.leaves.append(select)
            self.known[select] = len(self.leaves)
        return self.known[select]


@cache
def _source(name: str) -> str:
    return read(SOURCES / f"{name}.sql")


def compile_segment(segment: Segment, analyses: Sequence[Analysis] = ()) -> Compiled:
    """The query for a segment's people. `analyses` are needed where it names one. Raises RejectedError."""
    reading, where = _read(segment, analyses)
    sql = _assembled(reading, where.sql(dialect=DIALECT))
    if len(sql) > MAX_CHARACTERS:
        raise RejectedError(
            f"segment {segment.name}: its SQL has {len(sql):,} characters, {MAX_CHARACTERS:,} are possible: use fewer"
            " values, or split it"
        )
    return Compiled(sql, tuple(reading.reads))


def selects_of(segment: Segment, analyses: Sequence[Analysis] = ()) -> list[str]:
    """Every SELECT below the frame of a segment's query: whatever reads a table is one of them."""
    reading, _ = _read(segment, analyses)
    return [*reading.common.values(), *reading.leaves]


def _read(segment: Segment, analyses: Sequence[Analysis]) -> tuple[_Reading, exp.Expr]:
    reading = _Reading()
    where = _joined(segment.members, reading, {each.name for each in analyses})
    if truth_of_nobody(segment.members) is not False:
        # It may hold of somebody of whom nothing is known: everybody is asked.
        reading.leaves.append(f"SELECT customer_id FROM {reading.links()}")  # noqa: S608 - our own name
    return reading, where


def _assembled(reading: _Reading, where: str) -> str:
    union = "\nUNION ALL\n".join(
        f"SELECT asked.customer_id, {number} AS leaf\nFROM (\n{select}\n) AS asked"
        for number, select in enumerate(reading.leaves, 1)
    )
    flags = ",\n".join(
        f"MAX(CASE WHEN leaf = {number} THEN 1 ELSE 0 END) AS leaf_{number}"
        for number in range(1, len(reading.leaves) + 1)
    )
    common = [f"{name} AS (\n{text}\n)" for name, text in reading.common.items()]
    common.append(f"leaves AS (\n{union}\n)")
    common.append(f"people AS (\nSELECT customer_id,\n{flags}\nFROM leaves\nGROUP BY customer_id\n)")
    return f"WITH {', '.join(common)}\nSELECT customer_id\nFROM people\nWHERE {where}"


# --- the joined conditions --------------------------------------------------------------------------------------------
def _joined(node: Node, reading: _Reading, analyses: set[str]) -> exp.Expr:
    if isinstance(node, Condition):
        return _condition(node, reading, analyses)
    parts = [exp.paren(_joined(part, reading, analyses)) for part in node.parts]
    match node.join:
        case Join.ALL:
            return exp.and_(*parts, copy=False)
        case Join.ANY:
            return exp.or_(*parts, copy=False)
        case Join.NONE:
            return exp.not_(exp.paren(exp.or_(*parts, copy=False)))


def truth_of_nobody(node: Node) -> Truth:
    """Is it true of somebody of whom nothing is known? None: for some of them (a random share)."""
    if isinstance(node, Group):
        return model.joined(node.join, map(truth_of_nobody, node.parts))
    match node:
        case model.Sample():
            return None
        case model.Counted():
            return all(numbers.hold(0) for numbers in node.compared().values())
        case model.Contracts():
            return node.count.hold(0)
        case _:
            return False


def _condition(node: Condition, reading: _Reading, analyses: set[str]) -> exp.Expr:
    if isinstance(node, model.Sample):
        return _sampled(node)
    select = _cell(node, reading, analyses) if isinstance(node, model.Cell) else _SELECTS[type(node)](node, reading)
    negative = truth_of_nobody(node) is True
    flag = exp.column(f"leaf_{reading.leaf(select)}")
    return exp.EQ(this=flag, expression=_number(0 if negative else 1))


def _sampled(node: model.Sample) -> exp.Expr:
    """Lower-case hexadecimal text compares like the number; `live.py` hashes the same."""
    salted = exp.DPipe(this=_text(f"{node.seed}:"), expression=exp.column("customer_id"))
    hashed = exp.Anonymous(this="SHA256", expressions=[exp.Anonymous(this="TO_UTF8", expressions=[salted])])
    return exp.LT(
        this=exp.func("LOWER", exp.Anonymous(this="TO_HEX", expressions=[hashed])), expression=_text(node.below())
    )


def _cell(node: model.Cell, reading: _Reading, analyses: set[str]) -> str:
    if node.name not in analyses or node.name in (MEMBERS, COUNTS, CHANGES):
        raise RejectedError(f"no analysis {node.name!r}; there are: {', '.join(sorted(analyses)) or 'none here'}")
    select, reads = members_select(node.name, node.row)
    for each in reads:
        reading.reads[each] = None
    return select


# --- trees ------------------------------------------------------------------------------------------------------------
def _column(name: str) -> exp.Expr:
    return exp.column(name)


def _parameter(name: str) -> exp.Expr:
    return exp.Placeholder(this=name)


def _number(value: float) -> exp.Expr:
    if isinstance(value, int):
        return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))
    return exp.cast(exp.Literal.string(repr(value)), "double")


def _text(value: str) -> exp.Expr:
    """A text; what an engine or a reader of the query might take for more than a letter is said by its code."""
    parts: list[exp.Expr] = []
    plain = ""
    for letter in value:
        if letter == "\\" or unicodedata.category(letter) in {"Cc", "Cf", "Zl", "Zp"}:
            parts += [exp.Literal.string(plain)] if plain else []
            parts.append(exp.Anonymous(this="CHR", expressions=[exp.Literal.number(ord(letter))]))
            plain = ""
        else:
            plain += letter
    parts += [exp.Literal.string(plain)] if plain or not parts else []
    joined = parts[0]
    for part in parts[1:]:
        joined = exp.DPipe(this=joined, expression=part)
    return joined


def _day(value: date) -> exp.Expr:
    return exp.cast(exp.Literal.string(value.isoformat()), "date")


def _one_of(what: exp.Expr, words: Sequence[str]) -> exp.Expr:
    return exp.In(this=what, expressions=[_text(str(word)) for word in words])


_OPERATORS: Mapping[str, type[exp.Binary]] = {
    "at_least": exp.GTE,
    "at_most": exp.LTE,
    "more_than": exp.GT,
    "less_than": exp.LT,
    "is": exp.EQ,
}


def _compared(what: exp.Expr, numbers: Numbers) -> list[exp.Expr]:
    return [_OPERATORS[name](this=what.copy(), expression=_number(limit)) for name, limit in numbers.given().items()]


def _days_between(since: exp.Expr, until: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="DATE_DIFF", expressions=[_text("day"), since, until])


def _days_before(days: int) -> exp.Expr:
    moved = exp.Anonymous(this="DATE_ADD", expressions=[_text("day"), _number(-days), _parameter("as_of")])
    return exp.cast(moved, "date")


def _days_ago(day: exp.Expr, numbers: Numbers) -> list[exp.Expr]:
    return _compared(_days_between(day, _parameter("as_of")), numbers)


def _within(column: str, window: Window) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    if window.within_days is not None:
        found.append(exp.GT(this=_column(column), expression=_days_before(window.within_days)))
    if window.before_days is not None:
        found.append(exp.LTE(this=_column(column), expression=_days_before(window.before_days)))
    if window.since is not None:
        found.append(exp.GTE(this=_column(column), expression=_day(window.since)))
    if window.until is not None:
        found.append(exp.LTE(this=_column(column), expression=_day(window.until)))
    return found


def _month_since(window: Window) -> exp.Expr:
    """The first month partition a window can need."""
    if window.within_days is not None:
        return _month_before(window.within_days)
    return _text(month_of(window.since) if window.since else FIRST_MONTH)


def _month_before(days: int) -> exp.Expr:
    day = exp.cast(_days_before(days), "varchar")
    return exp.Anonymous(this="SUBSTR", expressions=[day, _number(1), _number(7)])


def _people(table: str, conditions: Sequence[exp.Expr], *, dated: bool = False, alike: Sequence[exp.Expr] = ()) -> str:
    """The people of a table's rows that meet the conditions; `dated` tables carry the tenant and the as-of day."""
    select = exp.select(exp.column("customer_id"), copy=False).from_(exp.to_table(table), copy=False)
    bound = (
        [
            exp.EQ(this=_column("tenant"), expression=_parameter("tenant")),
            exp.EQ(this=_column("dt"), expression=_parameter("as_of")),
        ]
        if dated
        else []
    )
    if every := [*bound, *conditions]:
        select.where(exp.and_(*every, copy=False), copy=False)
    if alike:
        select.group_by(exp.column("customer_id"), copy=False).having(exp.and_(*alike, copy=False), copy=False)
    return select.sql(dialect=DIALECT, copy=False)


def _counted(node: model.Counted, measured: Mapping[str, exp.Expr]) -> list[exp.Expr]:
    """The HAVING of a count: of those it is true of, or, where nothing at all meets it, of those it is not true of."""
    holds = [each for name, numbers in node.compared().items() for each in _compared(measured[name], numbers)]
    return [exp.not_(exp.paren(exp.and_(*holds, copy=False)))] if truth_of_nobody(node) is True else holds


def _count(what: exp.Expr | None = None) -> exp.Expr:
    return exp.Count(this=exp.Distinct(expressions=[what]) if what is not None else exp.Star())


def _sum(column: str) -> exp.Expr:
    return exp.func("COALESCE", exp.Sum(this=_column(column)), _number(0))


def _holds(column: str, word: str) -> exp.Expr:
    return exp.Anonymous(this="CONTAINS", expressions=[_column(column), _text(word)])


def _yes(column: str, wanted: bool) -> exp.Expr:
    known = exp.func("COALESCE", _column(column), exp.false())
    return known if wanted else exp.not_(known)


# --- purchases --------------------------------------------------------------------------------------------------------
def _orders(node: model.Orders, reading: _Reading) -> str:
    reading.reads["valid_orders_v1"] = None
    conditions = _within("ordered_on", node)
    for column, words in (("source", node.source), ("store", node.store), ("media", node.media)):
        conditions += [_one_of(_column(column), words)] if words else []
    if node.coupon:
        used = [_holds("coupons", code) for code in node.coupon]
        conditions.append(exp.paren(exp.or_(*used, copy=False)))
    if node.amount is not None:
        conditions += _compared(_column("amount"), node.amount)
    if node.offline is not None:
        conditions.append(_yes("offline", node.offline))
    if node.subscription is not None:
        missing = exp.Is(this=_column("subscription_id"), expression=exp.null())
        conditions.append(exp.not_(missing) if node.subscription else missing)
    having = _counted(node, {"count": _count(), "sum": _sum("amount")})
    return _people("valid_orders_v1", conditions, dated=True, alike=having)


def _bought(node: model.Bought, reading: _Reading) -> str:
    reading.reads["lines_v1"] = None
    conditions = _within("ordered_on", node)
    conditions += [_one_of(_column("product_id"), node.product)] if node.product else []
    conditions += [_one_of(_column("category"), node.category)] if node.category else []
    if node.subscription is not None:
        conditions.append(_yes("subscription", node.subscription))
    if node.first is not None:
        first = exp.EQ(this=_column("number"), expression=_number(1))
        conditions.append(first if node.first else exp.not_(first))
    if node.last is not None:
        last = exp.EQ(this=_column("number"), expression=_column("orders"))
        conditions.append(last if node.last else exp.not_(last))
    measured = {"count": _count(_column("number")), "quantity": _sum("quantity"), "sum": _sum("amount")}
    return _people("lines_v1", conditions, dated=True, alike=_counted(node, measured))


def _first_order(node: model.FirstOrder, reading: _Reading) -> str:
    reading.reads["valid_orders_v1"] = None
    day = exp.Min(this=_column("ordered_on"))
    return _people("valid_orders_v1", [], dated=True, alike=_days_ago(day, node.days_ago))


def _last_order(node: model.LastOrder, reading: _Reading) -> str:
    reading.reads["valid_orders_v1"] = None
    day = exp.Max(this=_column("ordered_on"))
    return _people("valid_orders_v1", [], dated=True, alike=_days_ago(day, node.days_ago))


def _left_cart(node: model.LeftCart, reading: _Reading) -> str:
    reading.links()
    carts = reading.source("carts", "events", since=_month_before(model.CART_DAYS))
    conditions = _days_ago(_column("last_on"), node.days_ago)
    conditions += _compared(_column("total"), node.total) if node.total else []
    conditions += [_one_of(_column("store"), node.store)] if node.store else []
    return _people(carts, conditions)


def _contracts(node: model.Contracts, reading: _Reading) -> str:
    contracts = reading.source("contracts", "subscription_states", "person_ids")
    conditions = [_one_of(_column("state"), node.state)] if node.state else []
    if node.product:
        held = [_holds("product_ids", each) for each in node.product]
        conditions.append(exp.paren(exp.or_(*held, copy=False)))
    conditions += [_one_of(_column("store"), node.store)] if node.store else []
    conditions += [_one_of(_column("cancel_reason"), node.cancel_reason)] if node.cancel_reason else []
    conditions += _compared(_column("deliveries"), node.deliveries) if node.deliveries else []
    if node.next_delivery_in_days:
        ahead = _days_between(_parameter("as_of"), _column("next_delivery_on"))
        conditions += _compared(ahead, node.next_delivery_in_days)
    conditions += _days_ago(_column("started_on"), node.started_days_ago) if node.started_days_ago else []
    conditions += _days_ago(_column("cancelled_on"), node.cancelled_days_ago) if node.cancelled_days_ago else []
    holds = _compared(_count(), node.count)
    having = [exp.not_(exp.paren(exp.and_(*holds, copy=False)))] if truth_of_nobody(node) is True else holds
    return _people(contracts, conditions, alike=having)


# --- the person -------------------------------------------------------------------------------------------------------
def _said(reading: _Reading, name: str, conditions: Sequence[exp.Expr]) -> str:
    named = exp.EQ(this=_column("name"), expression=_text(name))
    return _people(reading.attributes(), [named, *conditions])


def _part_of_value(start: int, length: int) -> exp.Expr:
    part = exp.Anonymous(this="SUBSTR", expressions=[_column("value"), _number(start), _number(length)])
    return exp.TryCast(this=part, to=exp.DataType.build("int"))


def _part_of_day(name: str) -> exp.Expr:
    return exp.func(name, _parameter("as_of"))


def _a_month() -> list[exp.Expr]:
    dash = exp.Anonymous(this="SUBSTR", expressions=[_column("value"), _number(5), _number(1)])
    return [
        exp.EQ(this=dash, expression=_text("-")),
        exp.Between(this=_part_of_value(6, 2), low=_number(1), high=_number(12)),
    ]


def _age(node: model.Age, reading: _Reading) -> str:
    later = exp.LT(this=_part_of_day("MONTH"), expression=_part_of_value(6, 2))
    not_yet = exp.Case(ifs=[exp.If(this=later, true=_number(1))], default=_number(0))
    years = exp.Sub(this=exp.Sub(this=_part_of_day("YEAR"), expression=_part_of_value(1, 4)), expression=not_yet)
    return _said(reading, "birth_month", [*_a_month(), *_compared(exp.paren(years), node.years)])


def _birthday(node: model.Birthday, reading: _Reading) -> str:
    ahead = exp.Anonymous(this="DATE_ADD", expressions=[_text("month"), _number(node.in_months), _parameter("as_of")])
    wanted = exp.EQ(this=_part_of_value(6, 2), expression=exp.func("MONTH", exp.cast(ahead, "date")))
    return _said(reading, "birth_month", [*_a_month(), wanted])


def _saying(node: model.Saying, reading: _Reading) -> str:
    return _said(reading, node.attribute, [_one_of(_column("value"), node.is_one_of)])


def _tagged(node: model.Tagged, reading: _Reading) -> str:
    named = _one_of(_column("name"), [f"tags/{tag}" for tag in node.is_one_of])
    true = exp.EQ(this=_column("value"), expression=_text("true"))
    return _people(reading.attributes(), [named, true])


def _registered(node: model.Registered, reading: _Reading) -> str:
    day = exp.TryCast(this=_column("value"), to=exp.DataType.build("date"))
    return _said(reading, "registered_on", _days_ago(day, node.days_ago))


def _custom(node: model.Custom, reading: _Reading) -> str:
    if node.number is not None:
        return _said(reading, f"custom/{node.name}", _compared(_column("number"), node.number))
    wanted = exp.EQ(this=_column("value"), expression=_text("true" if node.yes else "false"))
    return _said(reading, f"custom/{node.name}", [wanted])


def _survey(node: model.Survey, reading: _Reading) -> str:
    conditions = _within("said_on", node)
    if node.choice:
        taken = [_holds("choices", each) for each in node.choice]
        conditions.append(exp.paren(exp.or_(*taken, copy=False)))
    conditions += _compared(_column("number"), node.number) if node.number else []
    return _said(reading, f"survey/{node.survey}/{node.question}", conditions)


def _ends(column: str, ending: str) -> exp.Expr:
    return exp.Like(this=_column(column), expression=_text(f"points/%/{ending}"))


def _store_of(ending: str) -> exp.Expr:
    less = exp.Sub(this=exp.func("LENGTH", _column("name")), expression=_number(len("points/") + 1 + len(ending)))
    return exp.Anonymous(this="SUBSTR", expressions=[_column("name"), _number(len("points/") + 1), less])


_POINTS = ("balance", "expiring", "expires_on")


def _points(node: model.Points, reading: _Reading) -> str:
    """By store: what was said of its points."""
    attributes = reading.attributes()
    store = exp.Case(ifs=[exp.If(this=_ends("name", each), true=_store_of(each)) for each in _POINTS])
    named = exp.or_(*(_ends("name", each) for each in _POINTS))
    spread = exp.select(
        exp.column("customer_id"), exp.alias_(store, "store"), exp.column("name"), exp.column("value"),
        exp.column("number"),
    ).from_(exp.to_table(attributes)).where(named)  # fmt: skip

    def known(ending: str, what: exp.Expr) -> exp.Expr:
        return exp.Max(this=exp.Case(ifs=[exp.If(this=_ends("name", ending), true=what)]))

    holds: list[exp.Expr] = []
    holds += _compared(known("balance", _column("number")), node.balance) if node.balance else []
    holds += _compared(known("expiring", _column("number")), node.expiring) if node.expiring else []
    if node.expires_in_days:
        day = known("expires_on", exp.TryCast(this=_column("value"), to=exp.DataType.build("date")))
        holds += _compared(_days_between(_parameter("as_of"), day), node.expires_in_days)
    select = exp.select(exp.column("customer_id")).from_(spread.subquery("said"))
    if node.store:
        select = select.where(exp.EQ(this=_column("store"), expression=_text(node.store)))
    select = select.group_by(exp.column("customer_id"), exp.column("store")).having(exp.and_(*holds, copy=False))
    return select.sql(dialect=DIALECT)


def _member_rank(node: model.MemberRank, reading: _Reading) -> str:
    held = _one_of(_column("value"), node.is_one_of)
    if node.store:
        return _said(reading, f"rank/{node.store}", [held])
    named = exp.Like(this=_column("name"), expression=_text("rank/%"))
    until = exp.Like(this=_column("name"), expression=_text("rank/%/until"))
    return _people(reading.attributes(), [named, exp.not_(until), held])


def _consent(node: model.ConsentOn, reading: _Reading) -> str:
    """At a store: what was said there, else what was said for every store."""
    consents = reading.source("consents", "consent_states", "person_ids")
    on = exp.EQ(this=_column("channel"), expression=_text(node.channel))
    if node.store is None:
        return _people(consents, [on, exp.EQ(this=_column("status"), expression=_text(node.status))])
    places = _one_of(_column("store"), (node.store, "*"))
    here = exp.EQ(this=_column("store"), expression=_text(node.store))
    said = exp.func(
        "COALESCE",
        exp.Max(this=exp.Case(ifs=[exp.If(this=here, true=_column("status"))])),
        exp.Max(this=_column("status")),
    )
    return _people(consents, [on, places], alike=[exp.EQ(this=said, expression=_text(node.status))])


# --- behaviour --------------------------------------------------------------------------------------------------------
def _visits(node: model.Visits, reading: _Reading) -> str:
    reading.links()
    visits = reading.source("visits", "page_views", since=_month_since(node))
    conditions = _within("occurred_on", node)
    for column, words in (
        ("kind", node.kind), ("name", node.name), ("page_type", node.page_type), ("product_id", node.product),
    ):  # fmt: skip
        conditions += [_one_of(_column(column), words)] if words else []
    return _people(visits, conditions, alike=_counted(node, {"count": _count()}))


def _messages(node: model.Messages, reading: _Reading) -> str:
    messages = reading.source("messages", "messages", "person_ids", since=_month_since(node))
    conditions = [_one_of(_column("event"), node.event), *_within("occurred_on", node)]
    for column, words in (("scenario", node.scenario), ("step", node.step), ("channel", node.channel)):
        conditions += [_one_of(_column(column), words)] if words else []
    return _people(messages, conditions, alike=_counted(node, {"count": _count(_column("send_id"))}))


# --- what the night found ---------------------------------------------------------------------------------------------
_SCORES = "customer_scores_v1"
_PREDICTIONS = "customer_predictions_v1"


def _status(node: model.HasStatus, reading: _Reading) -> str:
    reading.reads[_SCORES] = None
    conditions = [_one_of(_column("status"), node.is_one_of)]
    conditions += _days_ago(_column("status_since"), node.since_days) if node.since_days else []
    return _people(_SCORES, conditions, dated=True)


def _tier(node: model.Tier, reading: _Reading) -> str:
    reading.reads[_SCORES] = None
    return _people(_SCORES, [_one_of(_column("ltv_tier"), node.is_one_of)], dated=True)


def _rfm(node: model.Rfm, reading: _Reading) -> str:
    reading.reads[_SCORES] = None
    conditions = [_one_of(_column("rfm_rank"), node.rank)] if node.rank else []
    for column, numbers in (("rfm_r", node.r), ("rfm_f", node.f), ("rfm_m", node.m)):
        conditions += _compared(_column(column), numbers) if numbers else []
    return _people(_SCORES, conditions, dated=True)


def _prediction(node: model.Prediction, reading: _Reading) -> str:
    reading.reads[_PREDICTIONS] = None
    return _people(_PREDICTIONS, _compared(_column(node.column), node.value), dated=True)


def _next_order(node: model.NextOrder, reading: _Reading) -> str:
    reading.reads[_PREDICTIONS] = None
    ahead = _days_between(_parameter("as_of"), _column("next_order_on"))
    return _people(_PREDICTIONS, _compared(ahead, node.in_days), dated=True)


_SELECTS: Mapping[type[Condition], Callable[[Any, _Reading], str]] = {
    model.Orders: _orders,
    model.Bought: _bought,
    model.FirstOrder: _first_order,
    model.LastOrder: _last_order,
    model.LeftCart: _left_cart,
    model.Contracts: _contracts,
    model.Age: _age,
    model.Birthday: _birthday,
    model.Gender: _saying,
    model.Prefecture: _saying,
    model.Occupation: _saying,
    model.Source: _saying,
    model.Tagged: _tagged,
    model.Registered: _registered,
    model.Custom: _custom,
    model.Survey: _survey,
    model.Points: _points,
    model.MemberRank: _member_rank,
    model.ConsentOn: _consent,
    model.Visits: _visits,
    model.Messages: _messages,
    model.HasStatus: _status,
    model.Tier: _tier,
    model.Rfm: _rfm,
    **dict.fromkeys(
        (model.POrder30, model.POrder90, model.PAlive, model.PredictedLtv, model.PredictedOrders), _prediction
    ),
    model.NextOrder: _next_order,
}


def tables_of(compiled: Compiled, analyses: Sequence[Analysis]) -> set[str]:
    """Base tables and stored results behind a segment."""
    by_name = {each.name: each for each in analyses}
    found: set[str] = set()
    for name in compiled.reads:
        found |= {name} if name not in by_name else {name, *catalog.stored_reads(name, analyses)}
    return found
