"""The inbox (受信トレイ): a file put into the inbox bucket is imported as the command would, with a report beside it.

`inbox/<tenant>/<kind>/<file>.csv`, or `inbox/<tenant>/<kind>/<source>/<store>/<file>.csv` to say whose numbers it
holds. What cannot be read gets a report that says why, and is not tried again. The same file twice is one import.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import IO, Any

from shared.core.aws import client, domain_errors
from shared.core.clock import to_iso
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import TenantId
from shared.core.keys import load_key_ring
from shared.core.shop import Shop, parameter_name, parse_shop
from shared.ingest import history
from shared.ingest.adapter import Connection
from shared.ingest.connections import ConnectionBook
from shared.ingest.files import importing, report
from shared.ingest.files.mapping import FileMapping, MappingBook
from shared.ingest.files.model import FileOptions, Kind
from shared.ingest.files.reading import Reading
from shared.ingest.files.registry import kind

PREFIX = "inbox/"
REPORT, REJECTED = ".report.json", ".rejected.csv"
MAX_BYTES = 200 * 1024**2
"""About a million orders; a longer file is for the command, which has no 15 minutes to end in."""

_TENANT = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)


@dataclass(frozen=True)
class InboxPorts:
    """What the inbox works with."""

    importing: importing.ImportPorts
    s3: Any
    bucket: str
    shop: Callable[[TenantId], Shop]
    """The shop's settings. Raises NotFoundError."""
    mapping: Callable[[TenantId, str], FileMapping]
    connections: Callable[[], list[Connection]]
    personal_key: Callable[[], bytes]

    @classmethod
    def live(
        cls, *, inbox_bucket: str, work_bucket: str, import_machine: str, keys_secret: str, prefix: str
    ) -> InboxPorts:
        """The ports of a deployment."""
        ssm, s3 = client("ssm"), client("s3")
        return cls(
            importing=importing.ImportPorts(s3, client("stepfunctions"), work_bucket, import_machine),
            s3=s3,
            bucket=inbox_bucket,
            shop=partial(_shop, prefix, ssm),
            mapping=MappingBook(ssm, prefix).load,
            connections=lambda: list(ConnectionBook(ssm, prefix).all()),
            personal_key=lambda: load_key_ring(keys_secret).personal,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """What a key says."""

    tenant: TenantId
    kind: Kind
    source: str | None
    store: str | None


def take_in(body: str, ports: InboxPorts, now: datetime) -> None:
    """Handle one "Object Created" event. Raises UnavailableError (and the like) only for what is worth another try."""
    key = _key(body, ports.bucket)
    if key is None or key.endswith((REPORT, REJECTED, "/")):
        return
    try:
        found = _import(key, ports, now)
    except RejectedError as error:
        found = {"state": "refused", "reason": str(error)}
    if found:
        # Only what lies in the inbox may be written: of a file put beside it the report lies there.
        beside = key if key.startswith(PREFIX) else PREFIX + key
        _put(
            ports, beside + REPORT, json.dumps({"file": key, "at": to_iso(now), **found}, ensure_ascii=False, indent=1)
        )


def _key(body: str, bucket: str) -> str | None:
    """The object's key; None for an event of something else."""
    try:
        detail = json.loads(body)["detail"]
        return str(detail["object"]["key"]) if detail["bucket"]["name"] == bucket else None
    except (ValueError, KeyError, TypeError):
        return None


def _place(key: str) -> _Place:
    parts = key.removeprefix(PREFIX).split("/")
    if not key.startswith(PREFIX) or len(parts) not in (3, 5) or not _TENANT.fullmatch(parts[0]):
        raise RejectedError(
            "置き場所は inbox/<店>/<種類>/<ファイル>.csv です / put it at inbox/<tenant>/<kind>/<file>.csv"
        )
    source, store = (parts[2], parts[3]) if len(parts) == 5 else (None, None)
    return _Place(TenantId(parts[0]), kind(parts[1]), source, store)


def _import(key: str, ports: InboxPorts, now: datetime) -> Mapping[str, Any] | None:
    place = _place(key)
    shop = ports.shop(place.tenant)
    mapping = ports.mapping(shop.tenant, place.kind.name)
    mine = [each for each in ports.connections() if each.tenant == shop.tenant]
    home = importing.home(mine, mapping, place.source, place.store)
    if not home.sure:
        raise RejectedError(
            f"{home.because}、どのカートの番号か分かりません。"
            "inbox/<店>/<種類>/<カート>/<カートの店>/<ファイル>.csv に置いてください"
            " / several carts: say whose numbers it holds by where it lies"
        )
    options = FileOptions(
        shop.tenant, shop.timezone, shop.currency, home.source, home.store, personal_key=ports.personal_key()
    )
    with tempfile.TemporaryFile() as stream, history.Pack() as pack:
        if not _download(key, stream, ports):
            return None
        reading = importing.Wanted(stream, place.kind, options, mapping).open(now)
        importing.read_into(reading, pack)
        if reading.bad:
            _put(ports, key + REJECTED, report.rejected_csv(reading))
        return {**_start(shop, reading, mapping, pack, ports), "because": home.because, **report.document(reading)}


def _start(
    shop: Shop, reading: Reading, mapping: FileMapping, pack: history.Pack, ports: InboxPorts
) -> Mapping[str, Any]:
    if not len(pack):
        return {"state": "refused", "reason": "取り込める行がありません / no row could be read"}
    name = importing.import_name(reading, mapping)
    started = importing.start_import(shop.tenant, name, pack, ports.importing)
    return {"state": "imported before" if started.again else "started", "execution": started.arn}


def _download(key: str, stream: IO[bytes], ports: InboxPorts) -> bool:
    """The object's bytes; False when it is gone again."""
    with domain_errors("fetch a file of the inbox"):
        try:
            found = ports.s3.get_object(Bucket=ports.bucket, Key=key)
        except ports.s3.exceptions.NoSuchKey:
            return False
    if found["ContentLength"] > MAX_BYTES:
        raise RejectedError(
            "200 MB を超えています。matakite import で取り込んでください / larger than 200 MB: use the command"
        )
    for block in found["Body"].iter_chunks(1 << 20):
        stream.write(block)
    stream.seek(0)
    return True


def _put(ports: InboxPorts, key: str, body: str | bytes) -> None:
    content = body if isinstance(body, bytes) else body.encode()
    with domain_errors("write a report of the inbox"):
        ports.s3.put_object(Bucket=ports.bucket, Key=key, Body=content)


def _shop(prefix: str, client: Any, tenant: TenantId) -> Shop:
    """The shop's settings, read now. Raises NotFoundError for a folder that is no shop."""
    with domain_errors("read a shop"):
        try:
            found = client.get_parameter(Name=parameter_name(prefix, tenant))
        except client.exceptions.ParameterNotFound:
            raise NotFoundError(f"店 {tenant!r} はありません / no such shop") from None
    return parse_shop(tenant, found["Parameter"]["Value"])
