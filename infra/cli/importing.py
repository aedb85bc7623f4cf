"""`matakite import`: bring in history from files. Nothing imported starts a scenario."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import which_shop
from infra.names import IMPORT_MACHINE
from shared.core.clock import SystemClock
from shared.core.errors import RejectedError, UnavailableError
from shared.core.shop import Shop
from shared.ingest import history
from shared.ingest.model import Event
from shared.ingest.order_file import SOURCE, BadRow, FileOptions, OrderFile, parse_order_file, rejected_csv

app = typer.Typer(
    name="import", help="Bring in history from files / データ取り込み", no_args_is_help=True, add_completion=False
)
_console = Console(soft_wrap=True, highlight=False)

SHOWN_BAD_ROWS = 20
POLL_SECONDS = 0.5
_UPLOADS_AT_ONCE = 4
_LOADED = frozenset({"LambdaFunctionSucceeded", "TaskSucceeded"})

Advance = Callable[[str, int, int], None]
"""Told (what, done, of how many) as the import goes on."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    orders: int
    changed: int
    """Orders that were new or different."""
    again: bool
    """This very file had been imported before."""


@app.callback()
def _import() -> None:
    """One subcommand for each kind of file."""


@app.command()
def orders(
    file: Annotated[
        Path, typer.Argument(help="CSV: order_id 注文番号, ordered_at 注文日, amount 金額, customer_id/email …")
    ],
    shop: Annotated[str | None, typer.Option("--shop", help="Shop (tenant); needed when there are several.")] = None,
    source: Annotated[str, typer.Option(help="Cart the numbers belong to, when its webhooks bring the same.")] = SOURCE,
    store: Annotated[str, typer.Option(help="Store the numbers belong to, as in `connection add`.")] = "history",
    revision: Annotated[int, typer.Option(min=1, max=9999, help="A corrected file wins with a higher number.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the file only.")] = False,
) -> None:
    """Import an order history (受注データ): good rows go in, bad rows are listed and written to FILE.rejected.csv."""
    deployment = connect()
    found = which_shop(deployment, shop)
    content = _content(file)
    options = FileOptions(found.tenant, found.timezone, found.currency, source, store, revision)
    with _console.status("reading …"):
        read = parse_order_file(content, options, SystemClock().now())
    _report(file, read)
    if dry_run or not read.events:
        raise typer.Exit(1 if read.bad else 0)
    with _progress() as progress:
        done = import_events(deployment, found, read.events, import_name(content, options), _advance(progress))
    if done.again:
        _console.print("this file was imported before: nothing changed / 取り込み済みのファイルです。変更はありません")
    _console.print(
        f"{done.orders:,} orders, {done.changed:,} of them new or changed "
        f"/ 受注 {done.orders:,} 件（うち新規・変更 {done.changed:,} 件）"
    )


def import_name(content: bytes, options: FileOptions) -> str:
    """The import's id: of the file's content and how it is read, so the same import is one execution."""
    return history.import_id(content, *(str(getattr(options, name)) for name in FileOptions.__dataclass_fields__))


def import_events(
    deployment: Deployment, shop: Shop, events: Sequence[Event], name: str, advance: Advance = lambda *_: None
) -> Imported:
    """Put the events into the work bucket, let the machine load them, and wait for it."""
    machine = Machine(deployment)
    before = machine.last_attempt(f"{shop.tenant}-{name}")
    if before.status == "SUCCEEDED":
        return _imported(before.output, again=True)
    arn = before.arn
    if before.status != "RUNNING":
        keys = _upload(deployment, shop, events, name, advance)
        arn = machine.start(
            before.next_name,
            {
                "tenant": shop.tenant,
                "import_id": name,
                "bucket": deployment.outputs["WorkBucket"],
                "keys": keys,
            },
        )
    return _imported(machine.follow(arn, advance), again=False)


def _imported(output: str, *, again: bool) -> Imported:
    chunks = json.loads(output)
    changed = 0 if again else sum(chunk["changed"] for chunk in chunks)
    return Imported(sum(chunk["orders"] for chunk in chunks), changed, again)


def _upload(deployment: Deployment, shop: Shop, events: Sequence[Event], name: str, advance: Advance) -> list[str]:
    """One object for each chunk; returns their keys in order."""
    chunks = list(history.chunks(events, history.CHUNK_EVENTS))
    if len(chunks) > history.MAX_CHUNKS:
        raise RejectedError(
            f"the file is too long for one import: split it into {len(chunks) // history.MAX_CHUNKS + 1}"
        )
    s3, bucket = deployment.client("s3"), deployment.outputs["WorkBucket"]

    def put(number: int) -> str:
        key = history.chunk_key(shop.tenant, name, number)
        s3.put_object(Bucket=bucket, Key=key, Body=history.write_chunk(chunks[number - 1]))
        return key

    keys = []
    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        for key in pool.map(put, range(1, len(chunks) + 1)):
            keys.append(key)
            advance("uploading / 送信", len(keys), len(chunks))
    return keys


# --- the state machine ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """The latest execution of an import, if any."""

    arn: str = ""
    status: str = ""
    output: str = "[]"
    next_name: str = ""
    """Name of the execution that would come next: a failed one keeps its name for 90 days."""


class Machine:
    """The import state machine of a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._client = deployment.client("stepfunctions")
        pages = self._client.get_paginator("list_state_machines").paginate()
        machines = (machine for page in pages for machine in page["stateMachines"])
        found = next((m["stateMachineArn"] for m in machines if m["name"] == IMPORT_MACHINE), None)
        if found is None:
            raise UnavailableError("the import machine is not deployed: deploy the stacks first")
        self._arn: str = found

    def last_attempt(self, name: str) -> Attempt:
        """What became of this import so far."""
        attempt = Attempt(next_name=name)
        while True:
            arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{attempt.next_name}"
            try:
                found = self._client.describe_execution(executionArn=arn)
            except self._client.exceptions.ExecutionDoesNotExist:
                return attempt
            number = int(attempt.next_name.removeprefix(name).removeprefix("-again-") or "0") + 1
            attempt = Attempt(arn, found["status"], found.get("output") or "[]", f"{name}-again-{number}")
            if found["status"] in {"RUNNING", "SUCCEEDED"}:
                return attempt

    def start(self, name: str, given: Mapping[str, Any]) -> str:
        """Start an execution; returns its ARN."""
        answer = self._client.start_execution(stateMachineArn=self._arn, name=name, input=json.dumps(given))
        arn: str = answer["executionArn"]
        return arn

    def follow(self, arn: str, advance: Advance) -> str:
        """Wait for an execution; returns its output. Raises UnavailableError when it failed."""
        while True:
            found = self._client.describe_execution(executionArn=arn)
            total = len(json.loads(found["input"])["keys"])
            advance("loading / 取り込み", self._loaded(arn), total)
            if found["status"] == "SUCCEEDED":
                output: str = found["output"]
                return output
            if found["status"] != "RUNNING":
                cause = f"{found.get('error', '')} {found.get('cause', '')}".strip()[:500]
                raise UnavailableError(f"the import {found['status'].lower()}: {cause}. Run the same command again")
            time.sleep(POLL_SECONDS)

    def _loaded(self, arn: str) -> int:
        """Chunks loaded so far: AWS names the event after the function, the local cloud after the task."""
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=arn, includeExecutionData=False, PaginationConfig={"PageSize": 1000}
        )
        return sum(event["type"] in _LOADED for page in pages for event in page["events"])


# --- the screen -------------------------------------------------------------------------------------------------------


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RejectedError(f"cannot read {file}: {error.strerror}") from None


def _report(file: Path, read: OrderFile) -> None:
    _console.print(
        f"{read.rows:,} rows ({read.encoding}): {len(read.events):,} orders, {len(read.bad):,} rows refused "
        f"/ {read.rows:,} 行：受注 {len(read.events):,} 件、取り込めない行 {len(read.bad):,}"
    )
    if not read.bad:
        return
    for row in read.bad[:SHOWN_BAD_ROWS]:
        _console.print(_shown(row), markup=False)
    if len(read.bad) > SHOWN_BAD_ROWS:
        _console.print(f"  … and {len(read.bad) - SHOWN_BAD_ROWS:,} more")
    rejected = file.with_name(f"{file.name}.rejected.csv")
    rejected.write_bytes(rejected_csv(read))
    _console.print(f"refused rows: {rejected} / 取り込めなかった行を書き出しました", markup=False)


def _shown(row: BadRow) -> str:
    return f"  line {row.line:,}: {row.reason}"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=_console
    )


def _advance(progress: Progress) -> Advance:
    tasks: dict[str, Any] = {}

    def advance(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=total)
        progress.update(tasks[what], completed=done, total=total)

    return advance
