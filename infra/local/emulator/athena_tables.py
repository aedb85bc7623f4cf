"""What a Glue table's query reads: its partitions (registered or projected), the files that survive, their bytes.

MiniStack reads every file under a table's location for every query and reports the result's length as bytes scanned.
Athena reads only the columns asked for, in the partitions the ``WHERE`` leaves over, sees only registered partitions
or those inside a projection's range, and charges by exactly that. So do we.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

GlueTable = Mapping[str, Any]


class TableError(ValueError):
    """The table cannot be read as Athena would read it."""


@dataclass(frozen=True)
class StoredObject:
    """One object under a table's location."""

    bucket: str
    key: str
    etag: str
    size: int


@dataclass(frozen=True)
class Partition:
    """One partition: the values of its keys, in order, and the prefix its objects begin with."""

    values: tuple[str, ...]
    prefix: str


@dataclass(frozen=True)
class DataFile:
    """One file to read and the partition it belongs to."""

    stored: StoredObject
    values: tuple[str, ...]


# --- types ------------------------------------------------------------------------------------------------------------

_SIMPLE_TYPES = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}


def duckdb_type(glue_type: str) -> str:
    """A Glue column type (Hive spelling) as DuckDB writes it."""
    text = glue_type.strip().lower()
    if text in _SIMPLE_TYPES:
        return _SIMPLE_TYPES[text]
    if re.fullmatch(r"(varchar|char)\(\d+\)", text):
        return "VARCHAR"
    if re.fullmatch(r"decimal(\(\d+\s*(,\s*\d+)?\))?", text):
        return text.upper() if "(" in text else "DECIMAL(10,0)"
    if text.startswith("array<") and text.endswith(">"):
        return duckdb_type(text[6:-1]) + "[]"
    if text.startswith("map<") and text.endswith(">"):
        key, value = _split_types(text[4:-1])
        return f"MAP({duckdb_type(key)}, {duckdb_type(value)})"
    if text.startswith("struct<") and text.endswith(">"):
        members = (member.split(":", 1) for member in _split_types(text[7:-1]))
        return "STRUCT(" + ", ".join(f"{quoted(name.strip())} {duckdb_type(kind)}" for name, kind in members) + ")"
    raise TableError(f"column type {glue_type!r} is not known")


def _split_types(text: str) -> list[str]:
    """Split at the commas that are not inside brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def quoted(name: str) -> str:
    """An identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


# --- partitions -------------------------------------------------------------------------------------------------------


def table_location(table: GlueTable) -> tuple[str, str]:
    """Bucket and key prefix (ending in a slash) of the table."""
    return _bucket_and_prefix(str((table.get("StorageDescriptor") or {}).get("Location", "")))


def _bucket_and_prefix(location: str) -> tuple[str, str]:
    parsed = urllib.parse.urlparse(location)
    prefix = parsed.path.lstrip("/")
    return parsed.netloc, prefix if not prefix or prefix.endswith("/") else prefix + "/"


def partition_keys(table: GlueTable) -> list[str]:
    """Names of the partition columns, in order."""
    return [str(key["Name"]).lower() for key in table.get("PartitionKeys") or ()]


def is_projected(table: GlueTable) -> bool:
    """Whether partitions are computed from the table's properties instead of registered."""
    return str((table.get("Parameters") or {}).get("projection.enabled", "")).lower() == "true"


@dataclass(frozen=True)
class Projection:
    """How one partition column's values are projected."""

    kind: str
    values: frozenset[str] = frozenset()
    lowest: str = ""
    highest: str = ""
    date_format: str = ""

    def contains(self, value: str, now: datetime) -> bool:
        """Whether Athena would look for a partition with this value."""
        if self.kind == "enum":
            return value in self.values
        if self.kind == "integer":
            return value.lstrip("-").isdigit() and int(self.lowest) <= int(value) <= int(self.highest)
        if self.kind == "date":
            try:
                moment = _parse_moment(value, self.date_format, now)
            except ValueError:
                return False
            return (
                _parse_moment(self.lowest, self.date_format, now)
                <= moment
                <= _parse_moment(self.highest, self.date_format, now)
            )
        return self.kind == "injected"


_JAVA_DATE = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_UNIT_DAYS = {
    "YEAR": 365.25,
    "MONTH": 30.44,
    "WEEK": 7,
    "DAY": 1,
    "HOUR": 1 / 24,
    "MINUTE": 1 / 1440,
    "SECOND": 1 / 86400,
}


def _parse_moment(text: str, java_format: str, now: datetime) -> datetime:
    relative = re.fullmatch(r"NOW\s*(?:([+-])\s*(\d+)\s*([A-Z]+?)S?)?", text.strip().upper())
    if relative:
        sign, count, unit = relative.groups()
        if not sign:
            return now
        return now + timedelta(days=(1 if sign == "+" else -1) * int(count) * _UNIT_DAYS[unit])
    pattern = re.sub("|".join(_JAVA_DATE), lambda found: _JAVA_DATE[found.group()], java_format.replace("'", ""))
    return datetime.strptime(text.strip(), pattern).replace(tzinfo=UTC)


def projections(table: GlueTable) -> dict[str, Projection]:
    """The projection of every partition column; raises when one has none."""
    properties = {str(k): str(v) for k, v in (table.get("Parameters") or {}).items()}
    found = {}
    for name in partition_keys(table):
        kind = properties.get(f"projection.{name}.type", "").lower()
        low, _, high = properties.get(f"projection.{name}.range", "").partition(",")
        if kind not in ("enum", "integer", "date", "injected"):
            raise TableError(f"INVALID_TABLE_PROPERTY: projection.{name}.type is missing or not known: {kind!r}")
        values = frozenset(v.strip() for v in properties.get(f"projection.{name}.values", "").split(","))
        found[name] = Projection(kind, values, low, high, properties.get(f"projection.{name}.format", "yyyy-MM-dd"))
    return found


def partition_pattern(table: GlueTable) -> re.Pattern[str]:
    """A pattern over object keys whose groups are the partition columns; the match ends before the file name."""
    location = str((table.get("StorageDescriptor") or {}).get("Location", "")).rstrip("/")
    default = location + "".join(f"/{name}=${{{name}}}" for name in partition_keys(table))
    template = (table.get("Parameters") or {}).get("storage.location.template", default)
    _bucket, prefix = _bucket_and_prefix(str(template))
    pieces = re.split(r"\$\{([^}]+)\}", prefix)
    pattern = "".join(
        re.escape(piece) if index % 2 == 0 else f"(?P<{piece.lower()}>[^/]+)" for index, piece in enumerate(pieces)
    )
    return re.compile(pattern)


def projected_files(table: GlueTable, objects: Iterable[StoredObject], now: datetime) -> Iterator[DataFile]:
    """The objects that lie in a partition the projection covers."""
    names, rules, pattern = partition_keys(table), projections(table), partition_pattern(table)
    seen: dict[tuple[str, ...], bool] = {}
    for stored in objects:
        match = pattern.match(stored.key)
        if match is None or _hidden(stored.key[match.end() :]):
            continue
        values = tuple(urllib.parse.unquote(match[name]) for name in names)
        if values not in seen:
            seen[values] = all(rules[name].contains(value, now) for name, value in zip(names, values, strict=True))
        if seen[values]:
            yield DataFile(stored, values)


def registered_files(partitions: Sequence[Partition], objects: Iterable[StoredObject]) -> Iterator[DataFile]:
    """The objects that lie in a registered partition."""
    for stored in objects:
        for partition in partitions:
            if stored.key.startswith(partition.prefix) and not _hidden(stored.key[len(partition.prefix) :]):
                yield DataFile(stored, partition.values)
                break


def _hidden(rest: str) -> bool:
    return not rest or rest.endswith("/") or any(part.startswith(("_", ".")) for part in rest.split("/"))


def plain_files(table: GlueTable, objects: Iterable[StoredObject]) -> Iterator[DataFile]:
    """The objects of a table without partitions."""
    _bucket, prefix = table_location(table)
    return (DataFile(o, ()) for o in objects if o.key.startswith(prefix) and not _hidden(o.key[len(prefix) :]))


def surviving(
    connection: duckdb.DuckDBPyConnection, table: GlueTable, files: Sequence[DataFile], conditions: Sequence[str]
) -> list[DataFile]:
    """The files whose partition satisfies every condition (DuckDB SQL over the partition columns alone)."""
    if not conditions or not files:
        return list(files)
    keys = table.get("PartitionKeys") or ()
    columns = ", ".join(quoted(str(key["Name"]).lower()) for key in keys)
    typed = ", ".join(
        f"CAST({name} AS {duckdb_type(str(key['Type']))}) AS {name}"
        for key in keys
        for name in [quoted(str(key["Name"]).lower())]
    )
    distinct = sorted({file.values for file in files})
    rows = ", ".join(
        "(" + ", ".join([str(index), *(text_literal(value) for value in values)]) + ")"
        for index, values in enumerate(distinct)
    )
    sql = (
        f"SELECT __n FROM (SELECT __n, {typed} FROM (VALUES {rows}) AS p(__n, {columns})) "  # noqa: S608
        f"WHERE {' AND '.join(f'({condition})' for condition in conditions)}"
    )
    left = {distinct[number] for (number,) in connection.execute(sql).fetchall()}
    return [file for file in files if file.values in left]


# --- files ------------------------------------------------------------------------------------------------------------


class FileCache:
    """Local copies of the lake's Parquet objects, and the size of each column in each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._columns: dict[str, dict[str, int]] = {}
        self._lock = threading.Lock()

    def path(self, table_name: str, names: Sequence[str], file: DataFile, data: bytes | None) -> Path:
        """The local file, below ``column=value`` folders; ``data`` writes it when it is not there yet."""
        digest = hashlib.sha256(f"{file.stored.bucket}/{file.stored.key}/{file.stored.etag}".encode()).hexdigest()[:32]
        folders = [
            f"{name}={urllib.parse.quote(value, safe='')}" for name, value in zip(names, file.values, strict=True)
        ]
        path = self._directory.joinpath(
            hashlib.sha256(table_name.encode()).hexdigest()[:16], *folders, f"{digest}.parquet"
        )
        if data is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            partial.write_bytes(data)
            partial.rename(path)
        return path

    def column_bytes(self, connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[str, dict[str, int]]:
        """Compressed bytes of each top-level column, by file."""
        with self._lock:
            missing = [str(path) for path in paths if str(path) not in self._columns]
            if missing:
                listed = "[" + ", ".join(text_literal(path) for path in missing) + "]"
                sizes = "SELECT file_name, lower(split_part(path_in_schema, ', ', 1)), sum(total_compressed_size) FROM "
                rows = connection.execute(f"{sizes} parquet_metadata({listed}) GROUP BY 1, 2").fetchall()
                for path in missing:
                    self._columns[path] = {}
                for path, column, size in rows:
                    self._columns[path][str(column)] = int(size)
            return {str(path): self._columns[str(path)] for path in paths}
