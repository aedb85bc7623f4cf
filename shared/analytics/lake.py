"""The lake and work buckets behind one small interface, and where each partition's objects lie."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import RawIOBase
from typing import Any, Protocol

from shared.analytics.schema import Table, partition_path, table_path
from shared.core.errors import NotFoundError, UnavailableError
from shared.core.ids import TenantId

DELETE_LIMIT = 1000
"""Keys one S3 DeleteObjects call takes."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a bucket."""

    key: str
    size: int

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]


class Objects(Protocol):
    """A bucket."""

    @property
    def bucket(self) -> str:
        """Its name."""
        ...

    def put(self, key: str, body: bytes) -> None:
        """Store an object, replacing what was there."""
        ...

    def get(self, key: str) -> bytes:
        """An object's body. Raises NotFoundError."""
        ...

    def part(self, key: str, first: int, count: int) -> bytes:
        """So many bytes of an object's body from one on, counted from 0. Raises NotFoundError."""
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects below a prefix, by key."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those already gone are fine."""
        ...


@dataclass(frozen=True)
class S3Objects:
    """A bucket in S3."""

    bucket: str
    client: Any = field(repr=False)

    def put(self, key: str, body: bytes) -> None:
        """Store an object, replacing what was there."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        """An object's body. Raises NotFoundError."""
        return self._read(key)

    def part(self, key: str, first: int, count: int) -> bytes:
        """So many bytes of an object's body from one on, counted from 0. Raises NotFoundError."""
        return self._read(key, Range=f"bytes={first}-{first + count - 1}")

    def _read(self, key: str, **wanted: str) -> bytes:
        try:
            return bytes(self.client.get_object(Bucket=self.bucket, Key=key, **wanted)["Body"].read())
        except self.client.exceptions.NoSuchKey:
            raise NotFoundError(f"no object {key!r} in {self.bucket!r}") from None

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects below a prefix, by key."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            for found in page.get("Contents", []):
                yield StoredObject(found["Key"], found["Size"])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those already gone are fine. Raises UnavailableError when S3 kept some."""
        for batch in _batches(list(keys)):
            answer = self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
            )
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise UnavailableError(f"S3 kept {len(answer['Errors'])} objects: {first['Key']} {first['Code']}")


def _batches(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), DELETE_LIMIT):
        yield keys[start : start + DELETE_LIMIT]


@dataclass
class MemoryObjects:
    """A bucket in memory, for tests and for asking an analysis of files at hand."""

    bucket: str = "memory"
    bodies: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, body: bytes) -> None:
        """Store an object, replacing what was there."""
        self.bodies[key] = body

    def get(self, key: str) -> bytes:
        """An object's body. Raises NotFoundError."""
        if key not in self.bodies:
            raise NotFoundError(f"no object {key!r} in {self.bucket!r}")
        return self.bodies[key]

    def part(self, key: str, first: int, count: int) -> bytes:
        """So many bytes of an object's body from one on, counted from 0. Raises NotFoundError."""
        return self.get(key)[first : first + count]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects below a prefix, by key."""
        return iter([StoredObject(key, len(self.bodies[key])) for key in sorted(self.bodies) if key.startswith(prefix)])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those already gone are fine."""
        for key in list(keys):
            self.bodies.pop(key, None)


class ObjectFile(RawIOBase):
    """An object as a file to read from: only what is asked for is fetched (a Parquet footer, some of its columns)."""

    def __init__(self, objects: Objects, key: str, size: int) -> None:
        super().__init__()
        self._objects, self._key, self._size = objects, key, size
        self._place = 0
        self.fetched = 0
        """Bytes so far."""

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def read(self, size: int = -1) -> bytes:
        """So many bytes from here on, in one request."""
        rest = self._size - self._place
        wanted = rest if size < 0 else min(size, rest)
        if wanted <= 0:
            return b""
        body = self._objects.part(self._key, self._place, wanted)
        self._place += len(body)
        self.fetched += len(body)
        return body


def put_partition(objects: Objects, table: Table, tenant: TenantId, value: str, name: str, body: bytes) -> str:
    """Add one object to a partition. The same name replaces: a retried batch leaves one copy. Returns its key."""
    key = f"{partition_path(table, tenant, value)}{name}.parquet"
    objects.put(key, body)
    return key


def partitions(objects: Objects, table: Table, tenant: TenantId) -> Mapping[str, list[StoredObject]]:
    """Every partition of a shop's table that holds something, with its objects."""
    found: dict[str, list[StoredObject]] = {}
    for stored in objects.list(table_path(table, tenant)):
        value = stored.key.split("/")[2].partition("=")[2]
        found.setdefault(value, []).append(stored)
    return found
