"""Run Athena's queries on the translated SQL, over the files and with the permissions Athena would use.

Without it: see ``athena_dialect.py`` (what MiniStack's Athena cannot say) and ``athena_tables.py`` (what it reads);
besides, it ignores ``UNLOAD``, ``ExecutionParameters``, ``ClientRequestToken`` and a workgroup's scan limit, writes
result files no Athena reader would recognise, and asks no permission of the caller for the catalogue or the lake.
Mended by executing queries here. ``DataScannedInBytes`` is the compressed size of the columns named, in the files of
the partitions the ``WHERE`` clause of the same ``SELECT`` leaves over.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import io
import json
import logging
import shutil
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from ministack.core import iam_evaluator
from ministack.services import athena, glue, s3, stepfunctions
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from infra.local.emulator import athena_tables as tables
from infra.local.emulator.athena_dialect import Statement, Unload, UntranslatableError, parse, to_duckdb
from infra.local.emulator.athena_tables import DataFile, FileCache, Partition, StoredObject, TableError
from infra.local.emulator.authorisation import NotAuthorisedError, require_role
from infra.local.emulator.settings import ACCOUNT, REGION, EmulatorSettings

logger = logging.getLogger("matakite.athena")

_POLL_SECONDS = 0.05


class QueryError(ValueError):
    """The query fails, with this reason, as it would in Athena."""


@dataclass(frozen=True)
class Submitted:
    """What StartQueryExecution was given: its statement as it was read (none of DDL), and by whom."""

    statement: Statement | None
    caller: str


_submitted: contextvars.ContextVar[Submitted] = contextvars.ContextVar("matakite_athena_submitted")
_tokens: dict[str, str] = {}


@dataclass
class Answer:
    """The rows of a query and what it read."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    scanned_bytes: int = 0
    written: list[str] = field(default_factory=list)


# --- permissions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caller:
    """Whoever submitted the query; the account's root may do everything."""

    arn: str

    def require(self, action: str, resource: str, context: dict[str, Any] | None = None) -> None:
        """Fail the query unless the caller may do this."""
        if ":assumed-role/" not in self.arn:
            return
        try:
            require_role(iam_evaluator._role_name_from_assumed_arn(self.arn), action, resource, context)
        except NotAuthorisedError as error:
            raise QueryError(f"Insufficient permissions to execute the query. {error}") from error

    def require_glue(self, action: str, database: str, table: str = "") -> None:
        """Ask for the catalogue, the database and the table, as Glue does."""
        base = f"arn:aws:glue:{REGION}:{ACCOUNT}"
        self.require(action, f"{base}:catalog")
        self.require(action, f"{base}:database/{database}")
        if table:
            self.require(action, f"{base}:table/{database}/{table}")

    def require_read(self, bucket: str, prefix: str, files: Sequence[DataFile]) -> None:
        """Ask to list the prefix and to read (one object of each partition stands for the others)."""
        self.require("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix})
        for key in {file.values: file.stored.key for file in files}.values():
            self.require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")

    def require_write(self, bucket: str, key: str) -> None:
        """Ask to write the key."""
        self.require("s3:GetBucketLocation", f"arn:aws:s3:::{bucket}")
        self.require("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")


# --- what a query reads -----------------------------------------------------------------------------------------------


@dataclass
class TableUse:
    """One table as one query uses it."""

    database: str
    name: str
    glue_table: tables.GlueTable
    columns: set[str] = field(default_factory=set)
    #: One list of partition conditions per place the table stands in the query.
    places: list[list[str]] = field(default_factory=list)

    @property
    def view(self) -> str:
        """The DuckDB view standing for the table."""
        return f"{tables.quoted(self.database)}.{tables.quoted(self.name)}"


def table_uses(query: exp.Query, default_database: str) -> dict[tuple[str, str], TableUse]:
    """Every Glue table the query names, with the columns it needs and the conditions on its partitions."""
    uses: dict[tuple[str, str], TableUse] = {}
    for scope in traverse_scope(query):
        for alias, source in scope.sources.items():
            if isinstance(source, exp.Table) and source.name:
                use = _use_of(uses, source, default_database)
                use.columns |= _columns_used(scope, alias, use)
                # An UNNEST sees the tables beside it; only the SELECT that names a table filters it.
                if alias in scope.selected_sources and isinstance(scope.expression, exp.Select):
                    use.places.append(_partition_conditions(scope, alias, use))
    return uses


def _use_of(uses: dict[tuple[str, str], TableUse], source: exp.Table, default_database: str) -> TableUse:
    database, name = (source.db or default_database).lower(), source.name.lower()
    found = glue._tables.get(f"{database}/{name}")
    if found is None:
        raise QueryError(f"TABLE_NOT_FOUND: Table 'awsdatacatalog.{database}.{name}' does not exist")
    source.set("db", exp.to_identifier(database, quoted=True))
    source.set("this", exp.to_identifier(name, quoted=True))
    source.set("catalog", None)
    return uses.setdefault((database, name), TableUse(database, name, found))


def _all_columns(use: TableUse) -> list[str]:
    stored = (use.glue_table.get("StorageDescriptor") or {}).get("Columns") or ()
    return [str(column["Name"]).lower() for column in stored]


def _columns_used(scope: Scope, alias: str, use: TableUse) -> set[str]:
    known = set(_all_columns(use))
    for projection in scope.expression.args.get("expressions") or ():
        star = isinstance(projection, exp.Star)
        if star or (isinstance(projection, exp.Column) and projection.is_star and projection.table in ("", alias)):
            return known
    return {c.name.lower() for c in scope.columns if c.table in ("", alias) and c.name.lower() in known}


def _partition_conditions(scope: Scope, alias: str, use: TableUse) -> list[str]:
    """The conjuncts of this SELECT that speak of the table's partition columns alone."""
    keys = set(tables.partition_keys(use.glue_table))
    where = scope.expression.args.get("where")
    if where is None or not keys:
        return []
    conditions = []
    for conjunct in _conjuncts(where.this):
        named = list(conjunct.find_all(exp.Column))
        own = all(c.name.lower() in keys and c.table in ("", alias) for c in named)
        if named and own and not conjunct.find(exp.Query):
            alone = conjunct.copy().transform(
                lambda n: exp.column(n.name.lower(), quoted=True) if isinstance(n, exp.Column) else n
            )
            conditions.append(to_duckdb(exp.select("1").where(alone)).split(" WHERE ", 1)[1])
    return conditions


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """What all must hold, whatever brackets it stands in."""
    if isinstance(condition, exp.Paren):
        yield from _conjuncts(condition.this)
    elif isinstance(condition, exp.And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition


def _with_column_names(query: exp.Query) -> exp.Query:
    """Name the nameless columns ``_col0``, ``_col1``, … as Athena does."""
    first = query
    while isinstance(first, exp.SetOperation):
        first = first.left
    for index, column in enumerate(first.expressions if isinstance(first, exp.Select) else ()):
        if column.is_star:
            break
        if not isinstance(column, (exp.Alias, exp.Column)):
            column.replace(exp.alias_(column.copy(), f"_col{index}"))
    return query


def _require_injected(use: TableUse) -> None:
    """An injected column must be fixed by the query: Athena cannot list its values."""
    if not tables.is_projected(use.glue_table):
        return
    for name, rule in tables.projections(use.glue_table).items():
        if rule.kind == "injected" and not all(any(f'"{name}"' in c for c in place) for place in use.places):
            raise QueryError(
                f"CONSTRAINT_VIOLATION: For the injected projected partition column {name}, the WHERE clause must "
                "contain only static equality conditions, and at least one such condition must be present."
            )


def _objects(bucket_name: str, prefix: str) -> Iterator[StoredObject]:
    bucket = s3._buckets.get(bucket_name)
    if bucket is None:
        raise QueryError(f"The specified bucket does not exist (Bucket: {bucket_name})")
    for key, stored in list(bucket["objects"].items()):
        if key.startswith(prefix):
            yield StoredObject(bucket_name, key, str(stored.get("etag", "")), int(stored.get("size", 0)))


def _files_of(use: TableUse) -> list[DataFile]:
    bucket, prefix = tables.table_location(use.glue_table)
    template = (use.glue_table.get("Parameters") or {}).get("storage.location.template")
    if tables.is_projected(use.glue_table):
        if template:
            bucket, prefix = tables._bucket_and_prefix(str(template).split("${", 1)[0].rpartition("/")[0])
        return list(tables.projected_files(use.glue_table, _objects(bucket, prefix), dt.datetime.now(dt.UTC)))
    if not tables.partition_keys(use.glue_table):
        return list(tables.plain_files(use.glue_table, _objects(bucket, prefix)))
    registered = [
        Partition(tuple(map(str, p["Values"])), tables.table_location(p)[1])
        for p in glue._partitions.get(f"{use.database}/{use.name}", [])
    ]
    return list(tables.registered_files(registered, _objects(bucket, prefix)))


# --- running ----------------------------------------------------------------------------------------------------------


class Engine:
    """Runs one statement at a time per connection; connections are cheap."""

    def __init__(self, cache: FileCache) -> None:
        self._cache = cache

    def run(self, statement: Statement, database: str, caller: Caller, query_id: str) -> Answer:
        """Run the statement; blocking."""
        query = statement.query.copy()
        connection = duckdb.connect(":memory:")
        try:
            connection.execute("SET TimeZone = 'UTC'; SET ieee_floating_point_ops = true; SET threads = 2")
            uses = table_uses(query, database or "default")
            if database != "default":
                caller.require_glue("glue:GetDatabase", database)
            scanned = sum(self._prepare(connection, use, caller) for use in uses.values())
            sql = to_duckdb(_with_column_names(query))
            answer = (
                self._unload(connection, sql, statement.unload, caller, query_id)
                if statement.unload
                else self._select(connection, sql)
            )
            answer.scanned_bytes = scanned
        except duckdb.Error as error:
            raise QueryError(f"GENERIC_USER_ERROR: {error}") from error
        finally:
            connection.close()
        return answer

    def _prepare(self, connection: duckdb.DuckDBPyConnection, use: TableUse, caller: Caller) -> int:
        """Make the view the query reads this table through; the bytes it has to read."""
        caller.require_glue("glue:GetTable", use.database, use.name)
        if tables.partition_keys(use.glue_table) and not tables.is_projected(use.glue_table):
            caller.require_glue("glue:GetPartitions", use.database, use.name)
        _require_injected(use)
        everything = _files_of(use)
        files: dict[DataFile, None] = {}
        for place in use.places:
            files.update(dict.fromkeys(tables.surviving(connection, use.glue_table, everything, place)))
        chosen = list(files)
        bucket, prefix = tables.table_location(use.glue_table)
        caller.require_read(bucket, prefix, chosen)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {tables.quoted(use.database)}")
        if athena._data_format(use.glue_table) != "parquet":
            return self._prepare_other(connection, use, chosen)
        paths = [self._local(use, file) for file in chosen]
        sizes = self._cache.column_bytes(connection, paths)
        connection.execute(f"CREATE VIEW {use.view} AS {_view(use, paths, sizes)}")
        return sum(size for columns in sizes.values() for column, size in columns.items() if column in use.columns)

    def _local(self, use: TableUse, file: DataFile) -> Path:
        names = tables.partition_keys(use.glue_table)
        path = self._cache.path(f"{use.database}.{use.name}", names, file, None)
        if not path.exists():
            data = s3._get_object_data(file.stored.bucket, file.stored.key)
            self._cache.path(f"{use.database}.{use.name}", names, file, data or b"")
        return path

    def _prepare_other(self, connection: duckdb.DuckDBPyConnection, use: TableUse, files: list[DataFile]) -> int:
        """CSV and JSON tables go through MiniStack's own reader and are read whole."""
        workdirs: list[str] = []
        location = use.glue_table["StorageDescriptor"]["Location"]
        paths = athena._materialize_table_files(location, workdirs)
        try:
            relation = (
                athena._table_relation(use.glue_table, paths) if paths else athena._empty_relation(use.glue_table)
            )
            connection.execute(f"CREATE TABLE {use.view} AS SELECT * FROM {relation}")  # noqa: S608
        finally:
            for workdir in workdirs:
                shutil.rmtree(workdir, ignore_errors=True)
        return sum(file.stored.size for file in files)

    def _select(self, connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
        shaped, names, types = _shaped(connection, sql, keep_moments=False)
        rows = connection.execute(shaped).fetchall()
        cells = [[value if type(value) in _AS_PRINTED else _cell(value) for value in row] for row in rows]
        return Answer(names, types, cells)

    def _unload(
        self, connection: duckdb.DuckDBPyConnection, sql: str, unload: Unload, caller: Caller, query_id: str
    ) -> Answer:
        parsed = urllib.parse.urlparse(unload.location)
        bucket, prefix = parsed.netloc, parsed.path.lstrip("/")
        prefix = prefix if prefix.endswith("/") else prefix + "/"
        if next(_objects(bucket, prefix), None) is not None:
            raise QueryError(f"HIVE_PATH_ALREADY_EXISTS: Target directory already exists: {unload.location}")
        caller.require_write(bucket, f"{prefix}{query_id}")
        shaped, names, _types = _shaped(connection, sql, keep_moments=True)
        if tuple(names[len(names) - len(unload.partitioned_by) :]) != unload.partitioned_by:
            raise QueryError("partitioned_by must name the last columns of the query, in order")
        answer = Answer(["rows"], ["bigint"], [])
        with tempfile.TemporaryDirectory(prefix="matakite-unload-") as folder:
            for path in _copied(connection, shaped, unload, Path(folder)):
                key = prefix + "".join(f"{part}/" for part in path.relative_to(folder).parts[:-1])
                key += f"{dt.datetime.now(dt.UTC):%Y%m%d_%H%M%S}_{uuid.uuid4()}"
                _put(bucket, key, path.read_bytes(), "application/octet-stream")
                answer.written.append(f"s3://{bucket}/{key}")
        return answer


def _view(use: TableUse, paths: Sequence[Path], sizes: dict[str, dict[str, int]]) -> str:
    """A SELECT with the columns as the Glue table defines them, partition columns last."""
    keys = use.glue_table.get("PartitionKeys") or ()
    present: set[str] = set().union(*(columns.keys() for columns in sizes.values())) if sizes else set()
    same = len({frozenset(columns) for columns in sizes.values()}) <= 1
    projected = []
    for column in (use.glue_table.get("StorageDescriptor") or {}).get("Columns") or ():
        name, kind = tables.quoted(str(column["Name"]).lower()), tables.duckdb_type(str(column["Type"]))
        projected.append(f"CAST({name if str(column['Name']).lower() in present else 'NULL'} AS {kind}) AS {name}")
    for key in keys:
        name, kind = tables.quoted(str(key["Name"]).lower()), tables.duckdb_type(str(key["Type"]))
        projected.append(f"CAST({name if paths else 'NULL'} AS {kind}) AS {name}")
    if not paths:
        return f"SELECT {', '.join(projected)} WHERE false"
    listed = "[" + ", ".join(tables.text_literal(str(path)) for path in paths) + "]"
    kinds = ", ".join(
        f"{tables.quoted(str(k['Name']).lower())}: {tables.duckdb_type(str(k['Type']))}" for k in keys
    ).replace('"', "'")
    hive = f"hive_partitioning = true, hive_types = {{{kinds}}}" if keys else "hive_partitioning = false"
    union = "false" if same else "true"
    return f"SELECT {', '.join(projected)} FROM read_parquet({listed}, {hive}, union_by_name = {union})"  # noqa: S608


def _shaped(connection: duckdb.DuckDBPyConnection, sql: str, *, keep_moments: bool) -> tuple[str, list[str], list[str]]:
    """The query with DuckDB's own types turned into Athena's; the column names and Athena's type names."""
    described = connection.execute(f"DESCRIBE {sql}").fetchall()
    names, kinds = [str(row[0]) for row in described], [str(row[1]) for row in described]
    inner = ", ".join(f"c{index}" for index in range(len(names)))
    outer = ", ".join(
        f"{_athena_value(f'c{index}', kind, keep_moments=keep_moments)} AS {tables.quoted(name)}"
        for index, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    types = [athena._DUCKDB_TYPE_MAP.get(kind.split("(")[0], "varchar") for kind in kinds]
    return f"SELECT {outer} FROM ({sql}) AS result({inner})", names, types  # noqa: S608


def _athena_value(column: str, kind: str, *, keep_moments: bool) -> str:
    if kind in ("HUGEINT", "UHUGEINT", "UBIGINT"):
        return f"CAST({column} AS BIGINT)"
    if kind == "TIMESTAMP WITH TIME ZONE":
        if keep_moments:
            return f"CAST({column} AS TIMESTAMP)"
        return f"strftime({column}, '%Y-%m-%d %H:%M:%S.%g UTC')"
    return column


def _copied(connection: duckdb.DuckDBPyConnection, sql: str, unload: Unload, folder: Path) -> list[Path]:
    """Write the rows as Parquet files into the folder; nothing when there are no rows."""
    partition = (
        f", PARTITION_BY ({', '.join(map(tables.quoted, unload.partitioned_by))})" if unload.partitioned_by else ""
    )
    target = folder if unload.partitioned_by else folder / "part.parquet"
    written = connection.execute(
        f"COPY ({sql}) TO {tables.text_literal(str(target))} "
        f"(FORMAT parquet, COMPRESSION {unload.compression}{partition}"
        + (", OVERWRITE_OR_IGNORE true)" if unload.partitioned_by else ")")
    ).fetchone()
    if not written or not written[0]:
        return []
    return sorted(path for path in folder.rglob("*") if path.is_file())


_AS_PRINTED = frozenset((int, float, str, type(None)))
"""Most values of most answers, which may have a million."""


def _cell(value: Any) -> Any:
    """A value as Athena prints it."""
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"
    if isinstance(value, list):
        return "[" + ", ".join("null" if item is None else str(_cell(item)) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={'null' if item is None else _cell(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (bytes, bytearray)):
        return " ".join(f"{byte:02x}" for byte in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (dt.date, dt.time, Decimal)) else value


def _put(bucket: str, key: str, data: bytes, content_type: str) -> None:
    answer = s3._put_object(bucket, key, data, {"content-type": content_type, "content-length": str(len(data))})
    if answer[0] >= 300:
        raise QueryError(f"writing s3://{bucket}/{key} failed: {answer[2]!r}")


def csv_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A result file as Athena writes it: every value in quotes, nothing at all for NULL."""
    out = io.StringIO()
    for row in [columns, *rows]:
        out.write(",".join("" if value is None else '"' + str(value).replace('"', '""') + '"' for value in row) + "\n")
    return out.getvalue().encode()


# --- the service ------------------------------------------------------------------------------------------------------


def _start(start: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Read the statement at submission, as Athena does, and remember who submitted it."""

    def start_checked(data: dict[str, Any]) -> Any:
        token = str(data.get("ClientRequestToken") or "")
        if token and _tokens.get(token) in athena._executions:
            return athena.json_response({"QueryExecutionId": _tokens[token]})
        statement: Statement | None = None
        if athena._parse_ddl(data.get("QueryString", "")) is None:
            parameters = tuple(map(str, data.get("ExecutionParameters") or ()))
            try:
                statement = parse(str(data.get("QueryString", "")), parameters)
                to_duckdb(statement.query)
            except UntranslatableError as error:
                return athena.error_response_json("InvalidRequestException", str(error), 400)
        _submitted.set(Submitted(statement, iam_evaluator.caller_arn()))
        answer = start(data)
        if token and answer[0] == 200:
            _tokens[token] = json.loads(answer[2])["QueryExecutionId"]
        return answer

    return start_checked


class _Executor:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def execute(self, query_id: str, query: str, database: str, ddl: Any, catalog: str | None = None) -> None:
        """Run one submitted query to its end; replaces MiniStack's ``_execute_query``."""
        execution = athena._executions[query_id]
        execution["Status"]["State"] = "RUNNING"
        started = time.monotonic()
        given = _submitted.get()
        try:
            if given.statement is None:
                found = athena._run_ddl(ddl, database)
                answer = Answer(found["columns"], found.get("column_types", []), found["rows"])
            else:
                answer = await asyncio.to_thread(
                    self._engine.run, given.statement, database.lower(), Caller(given.caller), query_id
                )
            self._succeed(execution, answer, Caller(given.caller))
        except (QueryError, UntranslatableError, TableError, ValueError, OSError) as error:
            logger.warning("query %s failed: %s", query_id, error)
            execution["Status"].update(State="FAILED", StateChangeReason=str(error)[:2000])
            execution["_error"] = str(error)
        milliseconds = int((time.monotonic() - started) * 1000)
        execution["Statistics"].update(
            EngineExecutionTimeInMillis=milliseconds, TotalExecutionTimeInMillis=milliseconds
        )
        execution["Status"]["CompletionDateTime"] = int(time.time())

    def _succeed(self, execution: dict[str, Any], answer: Answer, caller: Caller) -> None:
        execution["Statistics"]["DataScannedInBytes"] = answer.scanned_bytes
        _refuse_over_limit(execution, answer.scanned_bytes)
        location = urllib.parse.urlparse(execution["ResultConfiguration"]["OutputLocation"])
        bucket, key = location.netloc, location.path.lstrip("/")
        caller.require_write(bucket, key)
        if answer.written:
            manifest = key.removesuffix(".csv") + "-manifest.csv"
            _put(bucket, manifest, ("\n".join(answer.written) + "\n").encode(), "text/csv")
            execution["Statistics"]["DataManifestLocation"] = f"s3://{bucket}/{manifest}"
        else:
            _put(bucket, key, csv_of(answer.columns, answer.rows), "text/csv")
        execution["_results"] = {"columns": answer.columns, "rows": answer.rows}
        execution["_column_types"] = answer.types
        execution["Status"]["State"] = "SUCCEEDED"


def _refuse_over_limit(execution: dict[str, Any], scanned: int) -> None:
    group = athena._workgroups.get(execution.get("WorkGroup", "primary")) or {}
    limit = int((group.get("Configuration") or {}).get("BytesScannedCutoffPerQuery") or 0)
    if 0 < limit < scanned:
        raise QueryError(f"Query cancelled: Bytes scanned limit was exceeded ({scanned} > {limit})")


def _results_checked(get: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """GetQueryResults reads the result file in the caller's name."""

    def get_checked(data: dict[str, Any]) -> Any:
        execution = athena._executions.get(data.get("QueryExecutionId")) or {}
        location = urllib.parse.urlparse((execution.get("ResultConfiguration") or {}).get("OutputLocation", ""))
        try:
            Caller(iam_evaluator.caller_arn()).require("s3:GetObject", f"arn:aws:s3:::{location.netloc}{location.path}")
        except QueryError as error:
            return athena.error_response_json("AccessDeniedException", str(error), 400)
        return get(data)

    return get_checked


def _run_in_state_machine(resource: str, given: dict[str, Any]) -> dict[str, Any]:
    """``athena:startQueryExecution[.sync]``, which MiniStack lacks: start and, when asked, wait for the end."""
    sdk = "arn:aws:states:::aws-sdk:athena"
    started: dict[str, Any] = stepfunctions._invoke_aws_sdk_integration(f"{sdk}:startQueryExecution", given)
    if not resource.endswith(".sync"):
        return started
    while True:
        wanted = {"QueryExecutionId": started["QueryExecutionId"]}
        found: dict[str, Any] = stepfunctions._invoke_aws_sdk_integration(f"{sdk}:getQueryExecution", wanted)
        state = found["QueryExecution"]["Status"]["State"]
        if state == "SUCCEEDED":
            return found
        if state in ("FAILED", "CANCELLED"):
            reason = found["QueryExecution"]["Status"].get("StateChangeReason", state)
            raise stepfunctions._ExecutionError("States.TaskFailed", reason)
        time.sleep(_POLL_SECONDS)


def install(settings: EmulatorSettings) -> None:
    """Put our engine behind MiniStack's Athena API."""
    executor = _Executor(Engine(FileCache(settings.state_dir / "lake")))
    athena._start_query_execution = _start(athena._start_query_execution)
    athena._execute_query = executor.execute
    athena._get_query_results = _results_checked(athena._get_query_results)
    for suffix in ("", ".sync"):
        stepfunctions._SERVICE_DISPATCH[f"arn:aws:states:::athena:startQueryExecution{suffix}"] = _run_in_state_machine
    stepfunctions._SERVICE_DISPATCH["arn:aws:states:::athena:getQueryExecution"] = lambda resource, given: (
        stepfunctions._invoke_aws_sdk_integration("arn:aws:states:::aws-sdk:athena:getQueryExecution", given)
    )
    stepfunctions._SERVICE_DISPATCH["arn:aws:states:::athena:getQueryResults"] = lambda resource, given: (
        stepfunctions._invoke_aws_sdk_integration("arn:aws:states:::aws-sdk:athena:getQueryResults", given)
    )
