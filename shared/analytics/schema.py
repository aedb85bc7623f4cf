"""The lake's tables, declared once: the Parquet schema, the Glue table and the documentation all derive from here.

Every table is Parquet (zstd) below `{table}/tenant={tenant}/…` in the lake bucket. Columns hold opaque ids, times and
money; no mail address, phone number or name is ever written (個人情報は置かない).

`…_at` is a UTC instant (milliseconds), `…_on` the shop's calendar day: SQL never converts time zones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

FIRST_MONTH = "1990-01"
LAST_MONTH = "2099-12"
"""Months the catalogue knows. A day outside is kept in the nearest one; its true date stays in the row."""


class Kind(StrEnum):
    """A column type; the value is its name in the Glue catalogue."""

    STRING = "string"
    BIGINT = "bigint"
    INTEGER = "int"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    STRINGS = "array<string>"
    INTEGERS = "array<int>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column and what it means."""

    name: str
    kind: Kind
    meaning: str


class Partition(StrEnum):
    """How a table is cut below its tenant."""

    MONTH = "month"
    """Calendar month of the row's shop day, `2026-11`: late rows join the month (and keep the day) they belong to."""
    DT = "dt"
    """The day a result describes (its as-of date), `2026-11-21`."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: columns, what a row is, how it is cut and sorted."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    partition: Partition
    key: tuple[str, ...] = ()
    """What tells two rows apart; a repeated delivery repeats the key."""
    sort: tuple[str, ...] = ()
    day: tuple[str, ...] = ()
    """Columns that decide about a row's partition: the first that is set."""

    def partition_keys(self) -> Mapping[str, Kind]:
        """Hive partition keys, outermost first."""
        return {"tenant": Kind.STRING, self.partition.value: _PARTITION_KINDS[self.partition]}

    def projection(self, location: str) -> dict[str, str]:
        """Table properties that let Athena compute partitions instead of looking them up (no crawler, no repair)."""
        name = self.partition.value
        unit = "MONTHS" if self.partition is Partition.MONTH else "DAYS"
        return {
            "classification": "parquet",
            "parquet.compression": "ZSTD",
            "projection.enabled": "true",
            # Injected: a query that names no tenant is refused by Athena itself.
            "projection.tenant.type": "injected",
            f"projection.{name}.type": "date",
            f"projection.{name}.format": "yyyy-MM" if self.partition is Partition.MONTH else "yyyy-MM-dd",
            f"projection.{name}.range": _RANGES[self.partition],
            f"projection.{name}.interval": "1",
            f"projection.{name}.interval.unit": unit,
            "storage.location.template": f"{location}tenant=${{tenant}}/{name}=${{{name}}}/",
        }


_PARTITION_KINDS = {Partition.MONTH: Kind.STRING, Partition.DT: Kind.DATE}
_RANGES = {
    Partition.MONTH: f"{FIRST_MONTH},{LAST_MONTH}",
    Partition.DT: f"{FIRST_MONTH}-01,{LAST_MONTH}-31",
}


def month_of(day: date) -> str:
    """The month partition of a shop day."""
    return min(max(day.isoformat()[:7], FIRST_MONTH), LAST_MONTH)


def _columns(*columns: tuple[str, Kind, str]) -> tuple[Column, ...]:
    return tuple(Column(name, kind, meaning) for name, kind, meaning in columns)


_FROM = (
    ("source", Kind.STRING, "adapter it came through"),
    ("store", Kind.STRING, "store within the shop (店舗)"),
)
_OWNED = (("customer_id", Kind.STRING, "the person it belongs to"), *_FROM)
_HAPPENED = (
    ("occurred_at", Kind.TIMESTAMP, "when it happened"),
    ("occurred_on", Kind.DATE, "shop day of occurred_at"),
    ("received_at", Kind.TIMESTAMP, "when we heard of it"),
)
_WRITTEN = (
    ("written_at", Kind.TIMESTAMP, "when we knew"),
    ("sequence", Kind.STRING, "orders states written within one instant"),
)
_HELD = (("changed_on", Kind.DATE, "shop day from which this state held, as its source tells it"), *_WRITTEN)
_SAID = (
    ("said_at", Kind.TIMESTAMP, "when it was said"),
    ("said_on", Kind.DATE, "shop day of said_at"),
    *_WRITTEN,
)
_MOVED = ("removed", Kind.BOOLEAN, "no longer this person's: moved (名寄せ) or erased")

EVENTS = Table(
    name="events",
    meaning="Everything that happened, once per event id, without personal data (イベント)",
    partition=Partition.MONTH,
    key=("event_id",),
    sort=("occurred_at", "event_id"),
    day=("occurred_on",),
    columns=_columns(
        ("event_id", Kind.STRING, "put once by this"),
        ("event_type", Kind.STRING, "order_placed, cart_updated, …"),
        *_FROM,
        ("subject", Kind.STRING, "digest of the thing it is about"),
        ("refs", Kind.STRINGS, "opaque keys of the person, strongest first"),
        *_HAPPENED,
        ("version", Kind.STRING, "the source's version of the thing"),
        ("facts", Kind.STRING, "what it says, as JSON; bearer links are left out"),
        ("historical", Kind.BOOLEAN, "imported history: started nothing"),
    ),
)

ORDER_STATES = Table(
    name="order_states",
    meaning="Every state an order was ever in (受注の状態); the newest row of a (customer, order) is what is true now",
    partition=Partition.MONTH,
    key=("customer_id", "source", "store", "order_id"),
    sort=("customer_id", "source", "store", "order_id", "written_at", "sequence"),
    day=("ordered_on", "written_at"),
    columns=_columns(
        *_OWNED,
        ("order_id", Kind.STRING, "the source's order id"),
        ("ordered_at", Kind.TIMESTAMP, "null while only a refund or deletion is known"),
        ("ordered_on", Kind.DATE, "shop day of ordered_at"),
        ("currency", Kind.STRING, "of the amounts"),
        ("total", Kind.BIGINT, "受注金額 before refunds, minor units"),
        ("amount", Kind.BIGINT, "受注金額 less refunds, minor units; 0 when not valid"),
        ("valid", Kind.BOOLEAN, "有効受注: not cancelled, deleted or a test"),
        ("cancelled", Kind.BOOLEAN, "cancelled by its source"),
        ("version", Kind.STRING, "the source's version of the order"),
        *_HELD,
        _MOVED,
        ("historical", Kind.BOOLEAN, "imported history"),
        ("goods_total", Kind.BIGINT, "商品代金 after discounts, minor units; null where the source does not split it"),
        ("discount", Kind.BIGINT, "値引き over the whole order, minor units, positive"),
        ("coupons", Kind.STRINGS, "coupon codes used"),
        ("media", Kind.STRING, "広告媒体: how the buyer came"),
        ("subscription_id", Kind.STRING, "the contract it is a delivery of (定期)"),
        ("delivery_number", Kind.INTEGER, "お届け回数: n-th delivery of that contract, first = 1"),
        ("offline", Kind.BOOLEAN, "bought in a shop or by telephone (実店舗・電話)"),
        ("line_count", Kind.INTEGER, "lines of this state; a line_no beyond is no longer in the order"),
    ),
)

ORDER_LINES = Table(
    name="order_lines",
    meaning="Every state of every line of an order (受注明細); the order's own state says whether it counts",
    partition=Partition.MONTH,
    key=("customer_id", "source", "store", "order_id", "line_no"),
    sort=("customer_id", "source", "store", "order_id", "line_no", "written_at", "sequence"),
    day=("ordered_on", "written_at"),
    columns=_columns(
        *_OWNED,
        ("order_id", Kind.STRING, "the source's order id"),
        ("line_no", Kind.INTEGER, "place within the order, first = 1"),
        ("product_id", Kind.STRING, "the source's product id; lines without one have their title's digest"),
        ("variant_id", Kind.STRING, "the source's variant"),
        ("title", Kind.STRING, "商品名 as the order says it"),
        ("category", Kind.STRING, "where the order itself says it; else see products"),
        ("quantity", Kind.BIGINT, "pieces"),
        ("unit_amount", Kind.BIGINT, "per piece before order-level discounts, minor units"),
        ("amount", Kind.BIGINT, "quantity × unit_amount"),
        ("currency", Kind.STRING, "of the amounts"),
        ("subscription", Kind.BOOLEAN, "bought as a delivery of a subscription (定期)"),
        ("ordered_on", Kind.DATE, "shop day of the order"),
        *_HELD,
        ("removed", Kind.BOOLEAN, "no longer in the order, or the order no longer this person's"),
    ),
)

SUBSCRIPTION_STATES = Table(
    name="subscription_states",
    meaning="Every state a contract was ever in (定期契約); the newest row of a contract is what is true now",
    partition=Partition.MONTH,
    key=("customer_id", "source", "store", "subscription_id"),
    sort=("customer_id", "source", "store", "subscription_id", "written_at", "sequence"),
    day=("started_on", "written_at"),
    columns=_columns(
        *_OWNED,
        ("subscription_id", Kind.STRING, "the source's contract id"),
        ("state", Kind.STRING, "active, paused, past_due, cancelled, expired, unknown"),
        ("product_id", Kind.STRING, "first product of the contract"),
        ("product_ids", Kind.STRINGS, "every product of the contract"),
        ("interval_days", Kind.INTEGER, "お届け周期 in days, a month as 30 and a year as 365"),
        ("deliveries", Kind.INTEGER, "お届け回数: deliveries made so far; null where the source does not say"),
        ("next_delivery_on", Kind.DATE, "next delivery planned"),
        ("started_on", Kind.DATE, "shop day the contract began"),
        ("cancelled_on", Kind.DATE, "shop day of 解約"),
        ("cancel_reason", Kind.STRING, "解約理由: a word of the source or of the shop's list"),
        ("media", Kind.STRING, "広告媒体: how the contract was won"),
        ("amount", Kind.BIGINT, "of one delivery, minor units"),
        ("currency", Kind.STRING, "of the amount"),
        ("estimated", Kind.BOOLEAN, "guessed from the gaps of the orders: no source told of this contract"),
        *_HELD,
        _MOVED,
        ("historical", Kind.BOOLEAN, "imported history"),
    ),
)

ATTRIBUTE_STATES = Table(
    name="attribute_states",
    meaning="What is known about a person besides purchases (顧客属性): no names, addresses, birthdays or free text",
    partition=Partition.MONTH,
    key=("customer_id", "name"),
    sort=("customer_id", "name", "written_at", "sequence"),
    day=("said_on",),
    columns=_columns(
        ("customer_id", Kind.STRING, "whom it is about"),
        ("name", Kind.STRING, "gender, birth_month (1980-04), prefecture, tags/…, survey/…, points/…, rank/…, call/…"),
        ("value", Kind.STRING, "as text: true, 12, 1980-04, 東京都"),
        ("number", Kind.DOUBLE, "the same where it is a number"),
        ("choices", Kind.STRINGS, "the same where several were chosen"),
        *_SAID,
        ("removed", Kind.BOOLEAN, "no longer this person's: moved (名寄せ), taken back or erased"),
    ),
)

CONSENT_STATES = Table(
    name="consent_states",
    meaning="Every consent a person had (配信許諾), per channel and store; the newest row is what is true now",
    partition=Partition.MONTH,
    key=("customer_id", "channel", "store"),
    sort=("customer_id", "channel", "store", "written_at", "sequence"),
    day=("said_on",),
    columns=_columns(
        ("customer_id", Kind.STRING, "who said it"),
        ("channel", Kind.STRING, "email, sms, line"),
        ("store", Kind.STRING, "store within the shop"),
        ("status", Kind.STRING, "opt_in, opt_out, unknown"),
        *_SAID,
        _MOVED,
    ),
)

MESSAGES = Table(
    name="messages",
    meaning="What became of every message (配信結果): one row per thing its channel told us",
    partition=Partition.MONTH,
    key=("event_id",),
    sort=("customer_id", "send_id", "occurred_at", "event_id"),
    day=("occurred_on",),
    columns=_columns(
        ("event_id", Kind.STRING, "put once by this"),
        ("send_id", Kind.STRING, "the send (row of the ledger) it is about"),
        ("customer_id", Kind.STRING, "whom it was sent to, by the id of that day"),
        ("scenario", Kind.STRING, "シナリオ"),
        ("step", Kind.STRING, "step of the scenario"),
        ("arm", Kind.STRING, "arm of the experiment; null without one"),
        ("channel", Kind.STRING, "email, sms, line, …"),
        ("event", Kind.STRING, "sent, delivered, opened, clicked, bounced, complained, rejected"),
        ("reason", Kind.STRING, "of a bounce, complaint or rejection, as a code"),
        ("permanent", Kind.BOOLEAN, "a bounce that will not heal"),
        ("link", Kind.STRING, "digest of the link clicked"),
        ("machine", Kind.BOOLEAN, "opened or clicked by a proxy or scanner: decide nothing on it"),
        *_HAPPENED,
    ),
)

PAGE_VIEWS = Table(
    name="page_views",
    meaning="Page views, logins and what the shop's own site tells (閲覧・ログイン・行動)",
    partition=Partition.MONTH,
    key=("event_id",),
    sort=("ref", "occurred_at", "event_id"),
    day=("occurred_on",),
    columns=_columns(
        ("event_id", Kind.STRING, "put once by this"),
        ("ref", Kind.STRING, "strongest of the refs: whose visit it is, before anybody is looked up"),
        ("refs", Kind.STRINGS, "opaque keys of the person or visitor, strongest first"),
        *_FROM,
        ("kind", Kind.STRING, "page, login or tracked"),
        ("name", Kind.STRING, "of a tracked event, in the shop's own words"),
        ("path", Kind.STRING, "path of the page, without query"),
        ("page_type", Kind.STRING, "product, category, price, cart, home, …"),
        ("product_id", Kind.STRING, "of a product page"),
        ("category", Kind.STRING, "of a product or category page"),
        ("campaign", Kind.STRING, "utm_source/utm_medium/utm_campaign"),
        ("referrer_host", Kind.STRING, "host the visitor came from"),
        ("machine", Kind.BOOLEAN, "a bot, a prefetch or a preview: decide nothing on it"),
        *_HAPPENED,
    ),
)

PRODUCTS = Table(
    name="products",
    meaning="Every state a product was ever in (商品); the newest by (version, event_id) is what is true now",
    partition=Partition.MONTH,
    key=("event_id",),
    sort=("source", "store", "product_id", "version", "event_id"),
    day=("occurred_on",),
    columns=_columns(
        ("event_id", Kind.STRING, "put once by this"),
        *_FROM,
        ("product_id", Kind.STRING, "the source's product id"),
        ("title", Kind.STRING, "商品名"),
        ("category", Kind.STRING, "the shop's category path, outermost first, joined with ' > '"),
        ("price", Kind.BIGINT, "lowest price of its variants, minor units"),
        ("currency", Kind.STRING, "of the price"),
        ("stock", Kind.BIGINT, "pieces over all variants; null where the source does not count"),
        ("deleted", Kind.BOOLEAN, "no longer sold"),
        ("version", Kind.STRING, "the source's version of the product"),
        ("occurred_at", Kind.TIMESTAMP, "when it was so"),
        ("occurred_on", Kind.DATE, "shop day of occurred_at"),
        ("written_at", Kind.TIMESTAMP, "when we heard of it"),
        ("url", Kind.STRING, "its page in the shop"),
        ("image_url", Kind.STRING, "its picture"),
    ),
)

PERSON_LINKS = Table(
    name="person_links",
    meaning="Which refs name which person (名寄せ): joins page views to customers; the newest row of a ref counts",
    partition=Partition.MONTH,
    key=("ref",),
    sort=("ref", "written_at", "sequence"),
    day=("written_on",),
    columns=_columns(
        ("ref", Kind.STRING, "opaque key of a person or visitor"),
        ("customer_id", Kind.STRING, "whom it names"),
        ("written_at", Kind.TIMESTAMP, "when we knew"),
        ("written_on", Kind.DATE, "shop day of written_at"),
        ("sequence", Kind.STRING, "orders states written within one instant"),
        ("removed", Kind.BOOLEAN, "names them no longer: moved (名寄せ) or erased"),
    ),
)

PERSON_IDS = Table(
    name="person_ids",
    meaning="Ids whose rows are read as another person's (名寄せ); the newest row of an id counts",
    partition=Partition.MONTH,
    key=("stored_id",),
    sort=("stored_id", "written_at", "sequence"),
    day=("written_on",),
    columns=_columns(
        ("stored_id", Kind.STRING, "the id that orders, contracts, attributes and consent are kept under"),
        ("customer_id", Kind.STRING, "the person they are read as; the same id where that was taken back"),
        ("written_at", Kind.TIMESTAMP, "when we knew"),
        ("written_on", Kind.DATE, "shop day of written_at"),
        ("sequence", Kind.STRING, "orders states written within one instant"),
    ),
)

MEDIA_COSTS = Table(
    name="media_costs",
    meaning="What a medium cost in a month (広告費), as the shop told us; the newest row of a (media, month) counts",
    partition=Partition.MONTH,
    key=("media", "spent_on"),
    sort=("media", "spent_on", "written_at"),
    columns=_columns(
        ("media", Kind.STRING, "広告媒体, as the orders say it"),
        ("spent_on", Kind.DATE, "first day of the month the cost belongs to"),
        ("amount", Kind.BIGINT, "広告費, minor units"),
        ("currency", Kind.STRING, "of the amount"),
        ("written_at", Kind.TIMESTAMP, "when we knew"),
        ("removed", Kind.BOOLEAN, "taken back"),
    ),
)

COUPON_CODES = Table(
    name="coupon_codes",
    meaning="Coupon codes a shop loaded (クーポンコード), by campaign; the newest row of a code counts",
    partition=Partition.MONTH,
    key=("code", "written_at"),
    sort=("campaign", "code", "written_at"),
    day=("written_on",),
    columns=_columns(
        ("code", Kind.STRING, "in capitals: carts take a code in any case of letters"),
        ("campaign", Kind.STRING, "キャンペーン"),
        ("written_on", Kind.DATE, "shop day it was loaded"),
        ("written_at", Kind.TIMESTAMP, "when we knew"),
    ),
)

EVENT_TABLES = (EVENTS, MESSAGES, PAGE_VIEWS, PRODUCTS)
"""Filled from the events stream: each row is something that happened."""

STATE_TABLES = (
    ORDER_STATES,
    ORDER_LINES,
    SUBSCRIPTION_STATES,
    ATTRIBUTE_STATES,
    CONSENT_STATES,
    PERSON_LINKS,
    PERSON_IDS,
)
"""Filled from the customers stream: each row is how something stood from `written_at` on."""

TOLD_TABLES = (MEDIA_COSTS, COUPON_CODES)
"""Filled from what the shop tells us in a file of its own."""

BASE_TABLES = (*EVENT_TABLES, *STATE_TABLES, *TOLD_TABLES)
"""Filled by the stream consumers and the import; the nightly analyses add one table each (`analyses/*/schema.yaml`)."""


def partition_path(table: Table, tenant: str, value: str) -> str:
    """`order_states/tenant=shop/month=2026-11/`: where one partition's objects lie in the lake bucket."""
    return f"{table.name}/tenant={tenant}/{table.partition.value}={value}/"


def table_path(table: Table, tenant: str) -> str:
    """Everything of one shop in a table."""
    return f"{table.name}/tenant={tenant}/"
