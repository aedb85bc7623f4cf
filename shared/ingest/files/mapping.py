"""A shop's own column mapping (列の対応) of one kind of file: said once, saved, used the next time.

One SSM parameter `{prefix}/file-mappings/{tenant}/{kind}` (JSON, at most 4 KB).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.core.aws import domain_errors
from shared.core.errors import RejectedError
from shared.core.ids import TenantId

_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class FileMapping:
    """What a shop said about its files of one kind."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Heading → column; "" leaves the heading out."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Column → what it is in every row that says nothing else."""
    source: str | None = None
    store: str | None = None
    """Whose numbers the files hold; None leaves it to the connections."""

    def with_pairs(self, pairs: Iterable[str], values: Iterable[str] = ()) -> FileMapping:
        """With `見出し=項目` and `項目=値` added, as they are typed."""
        return FileMapping(
            {**self.columns, **dict(_pair(pair) for pair in pairs)},
            {**self.values, **dict(_pair(pair) for pair in values)},
            self.source,
            self.store,
        )


def _pair(text: str) -> tuple[str, str]:
    left, mark, right = text.rpartition("=")
    if not mark or not left.strip():
        raise RejectedError(f"'見出し=項目' の形で書いてください: {text[:60]!r} / write HEADING=COLUMN")
    return left.strip(), right.strip()


class MappingBook:
    """The saved mappings of a deployment."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def load(self, tenant: TenantId, kind: str) -> FileMapping:
        """The shop's mapping of a kind; an empty one when nothing was saved."""
        with domain_errors("read a file mapping"):
            try:
                found = self._client.get_parameter(Name=self._name(tenant, kind))
            except self._client.exceptions.ParameterNotFound:
                return FileMapping()
        return FileMapping(**json.loads(found["Parameter"]["Value"]))

    def save(self, tenant: TenantId, kind: str, mapping: FileMapping) -> None:
        """Keep a mapping for the next file."""
        text = json.dumps(asdict(mapping), ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) > _LIMIT:
            raise RejectedError("列の対応が多すぎて保存できません（4 KB まで） / the mapping is larger than 4 KB")
        with domain_errors("write a file mapping"):
            self._client.put_parameter(Name=self._name(tenant, kind), Value=text, Type="String", Overwrite=True)

    def _name(self, tenant: TenantId, kind: str) -> str:
        return f"{self._prefix}/file-mappings/{tenant}/{kind}"
