"""From a file that was read to the import machine: what the command and the inbox both do.

The same file read the same way is one import: its execution is named after both, so it runs once however often it
comes, and a failed one is done again under the next name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, BinaryIO

from shared.core.aws import domain_errors
from shared.core.clock import to_iso
from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from shared.ingest import history
from shared.ingest.adapter import Connection
from shared.ingest.files.mapping import FileMapping
from shared.ingest.files.model import SOURCE, STORE, FileOptions, Kind
from shared.ingest.files.reading import Reading

_UPLOADS_AT_ONCE = 4
Advance = Callable[[str, int, int], None]
"""Told (what, done, of how many) as the import goes on."""


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class ImportPorts:
    """What it takes to hand events to the import machine."""

    s3: Any
    stepfunctions: Any
    work_bucket: str
    machine_arn: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """The latest execution of an import, if any."""

    arn: str = ""
    status: str = ""
    output: str = "[]"
    next_name: str = ""
    """Name of the execution that would come next: a failed one keeps its name for 90 days."""


@dataclass(frozen=True, slots=True)
class Started:
    """What became of an import that was asked for."""

    arn: str
    import_id: str
    again: bool
    """This very file had been imported before, and nothing was done."""


def import_name(reading: Reading, mapping: FileMapping) -> str:
    """The import's id: of the file's content and how it is read, so the same import is one execution."""
    options = reading.options
    return history.import_id(
        reading.digest,
        reading.kind.name,
        options.tenant,
        options.timezone,
        options.currency,
        options.source,
        options.store,
        str(options.revision),
        to_iso(options.as_of) if options.as_of else "",
        reading.encoding,
        json.dumps(asdict(mapping), sort_keys=True),
    )


def start_import(
    tenant: TenantId, name: str, pack: history.Pack, ports: ImportPorts, advance: Advance = _quiet
) -> Started:
    """Put the events into the work bucket and start the machine, unless this import ran or runs already."""
    before = last_attempt(f"{tenant}-{name}", ports)
    if before.status in {"RUNNING", "SUCCEEDED"}:
        return Started(before.arn, name, again=before.status == "SUCCEEDED")
    keys = _upload(tenant, name, pack, ports, advance)
    given = {"tenant": tenant, "import_id": name, "bucket": ports.work_bucket, "keys": keys}
    return Started(_start(before.next_name, given, ports), name, again=False)


def last_attempt(name: str, ports: ImportPorts) -> Attempt:
    """What became of an import so far."""
    client, attempt = ports.stepfunctions, Attempt(next_name=name)
    while True:
        arn = f"{ports.machine_arn.replace(':stateMachine:', ':execution:')}:{attempt.next_name}"
        with domain_errors("look an import up"):
            try:
                found = client.describe_execution(executionArn=arn)
            except client.exceptions.ExecutionDoesNotExist:
                return attempt
        number = int(attempt.next_name.removeprefix(name).removeprefix("-again-") or "0") + 1
        attempt = Attempt(arn, found["status"], found.get("output") or "[]", f"{name}-again-{number}")
        if found["status"] in {"RUNNING", "SUCCEEDED"}:
            return attempt


def _start(name: str, given: Mapping[str, Any], ports: ImportPorts) -> str:
    with domain_errors("start an import"):
        answer = ports.stepfunctions.start_execution(
            stateMachineArn=ports.machine_arn, name=name, input=json.dumps(given)
        )
    arn: str = answer["executionArn"]
    return arn


def _upload(tenant: TenantId, name: str, pack: history.Pack, ports: ImportPorts, advance: Advance) -> list[str]:
    """One object for each chunk; returns their keys in order."""
    total = -(-len(pack) // history.CHUNK_EVENTS)
    if total > history.MAX_CHUNKS // 2:
        raise RejectedError(
            "一度に取り込むには長すぎるファイルです。分けてください / the file is too long for one import: split it"
        )

    def put(numbered: tuple[int, bytes]) -> str:
        number, chunk = numbered
        key = history.chunk_key(tenant, name, number)
        with domain_errors("upload a chunk"):
            ports.s3.put_object(Bucket=ports.work_bucket, Key=key, Body=chunk)
        return key

    keys: list[str] = []
    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        waiting: list[Any] = []
        for numbered in enumerate(pack.chunks(), 1):
            waiting.append(pool.submit(put, numbered))
            # No more than the pool works on: chunks must not pile up in memory.
            if len(waiting) >= 2 * _UPLOADS_AT_ONCE:
                keys.append(waiting.pop(0).result())
                advance("送信", len(keys), max(total, len(keys)))
        keys += [each.result() for each in waiting]
    advance("送信", len(keys), len(keys))
    return keys


# --- whose numbers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Home:
    """Whose order and member numbers a file holds, and why we think so."""

    source: str
    store: str
    because: str
    """In Japanese, as the beginning of a sentence."""
    sure: bool = True


_NO_CARTS = frozenset({"callcentre", "line", "track"})
"""Whose connections bring no orders: a file's numbers are never theirs unless somebody says so."""


def carts(connections: Iterable[Connection]) -> list[tuple[str, str]]:
    """Source and store of every connection that brings orders."""
    return sorted({(each.source, each.store) for each in connections if each.source not in _NO_CARTS})


def home(
    connections: list[Connection], mapping: FileMapping, source: str | None = None, store: str | None = None
) -> Home:
    """The cart a file's numbers belong to: as said, as saved, or the shop's only one. Raises RejectedError.

    It matters: an order imported under another name than the cart's webhooks use is counted twice once it is updated.
    """
    wanted_source, wanted_store = source or mapping.source, store or mapping.store
    stores = [
        each for each in carts(connections) if wanted_source in (None, each[0]) and wanted_store in (None, each[1])
    ]
    if wanted_source and wanted_store:
        return Home(wanted_source, wanted_store, "指定のとおり" if source or store else "保存した設定のとおり")
    if len(stores) == 1:
        return Home(*stores[0], "接続中のカートが1つなので" if not (wanted_source or wanted_store) else "接続から")
    known = "、".join(f"{source} / {store}" for source, store in carts(connections))
    if wanted_source or wanted_store:
        raise RejectedError(
            f"--source と --store を両方指定してください（接続中: {known or 'なし'}） / name both --source and --store"
        )
    if not stores:
        return Home(SOURCE, STORE, "接続中のカートがないので")
    return Home(SOURCE, STORE, f"接続中のカートが複数あるので（{known}）", sure=False)


def read_into(reading: Reading, pack: history.Pack, advance: Advance = _quiet) -> None:
    """Read a whole file into a pack."""
    for event in reading.events():
        pack.add(event)
        if len(pack) % 1000 == 0:
            advance("読み込み", len(pack), 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to be read: where its bytes are and how to read them."""

    stream: BinaryIO
    kind: Kind
    options: FileOptions
    mapping: FileMapping
    encoding: str | None = None

    def open(self, now: datetime) -> Reading:
        """Begin to read. Raises RejectedError when it is no such file."""
        return Reading(self.stream, self.kind, self.options, now, self.mapping, self.encoding)
