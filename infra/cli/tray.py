"""What `matakite postal` and `matakite call` have in common: the tray, its list, and files in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import which_shop
from shared.core.clock import SystemClock
from shared.core.errors import RejectedError
from shared.core.shop import Shop
from shared.delivery.printing import ENCODINGS
from shared.delivery.tray import S3Tray, Tray, batch_of, waiting


@dataclass(frozen=True)
class Desk:
    """The tray of one shop."""

    shop: Shop
    tray: Tray

    def documents(self, kind: str, again: str | None) -> list[Mapping[str, Any]]:
        """What waits, or what an earlier batch held."""
        tenant = self.shop.tenant
        return batch_of(self.tray, tenant, kind, again) if again else waiting(self.tray, tenant, kind)

    def fetched(self, kind: str, batch: str, documents: list[Mapping[str, Any]]) -> None:
        """Nobody prints or calls these a second time."""
        self.tray.mark(self.shop.tenant, kind, batch, tuple(str(each["send_id"]) for each in documents))


def open_tray(shop: str | None, deployment: Deployment | None = None) -> Desk:
    """The tray of the shop named, or of the only one."""
    place = deployment or connect()
    return Desk(which_shop(place, shop), S3Tray(place.outputs["WorkBucket"], place.client("s3")))


def new_batch(now: datetime | None = None) -> str:
    """`20261121-153000`: sorts by time and names files."""
    return f"{now or SystemClock().now():%Y%m%d-%H%M%S}"


def check_encoding(encoding: str) -> str:
    """Raises RejectedError for one we do not write."""
    if encoding not in ENCODINGS:
        raise RejectedError(f"an encoding is one of {', '.join(ENCODINGS)}, got {encoding!r}")
    return encoding


def listed(documents: Iterable[Mapping[str, Any]], fields: Sequence[str], headings: Mapping[str, str]) -> Table:
    """These fields of each, for the screen: folded where it is narrow, never cut."""
    table = Table(*(Column(headings[field], overflow="fold") for field in fields))
    for document in documents:
        table.add_row(*(Text(str(document.get(field, ""))) for field in fields))
    return table


def write(folder: Path, name: str, content: bytes) -> Path:
    """A file with personal data: only its owner may read it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path
