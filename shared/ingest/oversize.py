"""Bodies too large for a table row wait in the work bucket (claim check); the row keeps the opaque key."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import digest
from shared.ingest.model import Envelope

PREFIX = "oversize/"


class Oversize(Protocol):
    """Where oversized bodies are kept, compressed."""

    def put(self, key: str, packed: bytes) -> None:
        """Keep a body; the same key is the same body."""
        ...

    def get(self, key: str) -> bytes:
        """The body that was kept. Raises NotFoundError when it is gone."""
        ...

    def delete(self, key: str) -> None:
        """Forget a body (erasure); nothing happens when it is gone already."""
        ...


def object_key(envelope: Envelope) -> str:
    """Says nothing about anyone, and is the same on every retry, so that none leaves an orphan behind."""
    body_hash = hashlib.sha256(envelope.raw).hexdigest()
    return f"{PREFIX}{envelope.tenant}/{digest(envelope.subject, envelope.event_id, body_hash)}"


class S3Oversize:
    """Oversized bodies in the work bucket: encrypted by the bucket, expired by its lifecycle."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, packed: bytes) -> None:
        """Keep a body; the same key is the same body."""
        with domain_errors("keep an oversized body"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=packed)

    def get(self, key: str) -> bytes:
        """The body that was kept."""
        with domain_errors("read an oversized body"):
            try:
                body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except self._client.exceptions.NoSuchKey:
                raise NotFoundError("the oversized body has expired or was erased") from None
        return body

    def delete(self, key: str) -> None:
        """Forget a body."""
        with domain_errors("delete an oversized body"):
            self._client.delete_object(Bucket=self._bucket, Key=key)


class NoOversize:
    """For writers whose bodies are small by nature (our own pages, SES's records): a larger one is refused."""

    def put(self, key: str, packed: bytes) -> None:
        """Refuse it: what calls us keeps it in its dead-letter queue."""
        raise RejectedError(f"the body is too large for a row ({len(packed)} bytes)")

    def get(self, key: str) -> bytes:
        """There is none."""
        raise NotFoundError("this function keeps and reads no oversized bodies")

    def delete(self, key: str) -> None:
        """There is none."""


class MemoryOversize:
    """Oversized bodies in a dict, for tests and replay."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, packed: bytes) -> None:
        """Keep a body; the same key is the same body."""
        self.objects[key] = packed

    def get(self, key: str) -> bytes:
        """The body that was kept."""
        if key not in self.objects:
            raise NotFoundError("the oversized body has expired or was erased")
        return self.objects[key]

    def delete(self, key: str) -> None:
        """Forget a body."""
        self.objects.pop(key, None)
