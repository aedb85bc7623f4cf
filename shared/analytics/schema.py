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
    return min(max(f"{day:%Y-%m}" if day.year >= 1000 else FIRST_MONTH, FIRST_MONTH), LAST_MONTH)


def _columns(*columns: tuple[str, Kind, str]) -> tuple[Column, ...]:
    return tuple(Column(name, kind, meaning) for name, kind, meaning in columns)


EVENTS = Table(
    name="events",
    meaning="Everything that happened, once per event id, without personal data (イベント)",
    partition=Partition.MONTH,
    key=("event_id",),
    sort=("occurred_at", "event_id"),
    columns=_columns(
        ("event_id", Kind.STRING, "put once by this"),
        ("event_type", Kind.STRING, "order_placed, cart_updated, …"),
        ("source", Kind.STRING, "adapter it came through"),
        ("store", Kind.STRING, "store within the shop (店舗)"),
        ("subject", Kind.STRING, "digest of the thing it is about"),
        ("refs", Kind.STRINGS, "opaque keys of the person, strongest first"),
        ("occurred_at", Kind.TIMESTAMP, "when it happened"),
        ("occurred_on", Kind.DATE, "shop day of occurred_at"),
        ("received_at", Kind.TIMESTAMP, "when we heard of it"),
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
    columns=_columns(
        ("customer_id", Kind.STRING, "the person it belongs to"),
        ("source", Kind.STRING, "adapter it came through"),
        ("store", Kind.STRING, "store within the shop"),
        ("order_id", Kind.STRING, "the source's order id"),
        ("ordered_at", Kind.TIMESTAMP, "null while only a refund or deletion is known"),
        ("ordered_on", Kind.DATE, "shop day of ordered_at"),
        ("currency", Kind.STRING, "of the amounts"),
        ("total", Kind.BIGINT, "受注金額 before refunds, minor units"),
        ("amount", Kind.BIGINT, "受注金額 less refunds, minor units; 0 when not valid"),
        ("valid", Kind.BOOLEAN, "有効受注: not cancelled, deleted or a test"),
        ("cancelled", Kind.BOOLEAN, "cancelled by its source"),
        ("version", Kind.STRING, "the source's version of the order"),
        ("changed_on", Kind.DATE, "shop day from which this state held, as its source tells it"),
        ("written_at", Kind.TIMESTAMP, "when we knew"),
        ("sequence", Kind.STRING, "orders states written within one instant"),
        ("removed", Kind.BOOLEAN, "no longer this person's: moved (名寄せ) or erased"),
        ("historical", Kind.BOOLEAN, "imported history"),
    ),
)

BASE_TABLES = (EVENTS, ORDER_STATES)
"""Filled by the stream consumers and the import; the nightly analyses add one table each (`analyses/*/schema.yaml`)."""


def partition_path(table: Table, tenant: str, value: str) -> str:
    """`order_states/tenant=shop/month=2026-11/`: where one partition's objects lie in the lake bucket."""
    return f"{table.name}/tenant={tenant}/{table.partition.value}={value}/"


def table_path(table: Table, tenant: str) -> str:
    """Everything of one shop in a table."""
    return f"{table.name}/tenant={tenant}/"
