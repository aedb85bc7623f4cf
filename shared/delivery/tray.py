"""Where letters and call tasks wait to be fetched (出力トレイ): one encrypted object per send, which expires.

`outbox/{tenant}/{kind}/{customer_id}/{send_id}.json` in the work bucket, which keeps it for 30 days. The same
send has one object, which the first to write it makes, so a repeat is no second letter. What was fetched is listed in
`outbox/{tenant}/{kind}-exports/{batch}.json`; the objects themselves stay until they expire, so that a batch can be
made again. Erasing a person deletes what is below their id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.errors import MisconfiguredError, NotFoundError
from shared.core.ids import CustomerId, TenantId
from shared.delivery.channels.channel import AmbiguousError, NotSentError
from shared.delivery.model import SendKey

PREFIX = "outbox"
KINDS = ("postal", "postal-undeliverable", "call", "notify", "export")
"""What waits in it."""
REPEATS = timedelta(days=20)
"""While the first object is surely still there, a repeat is no second one."""

_BUSY = frozenset(
    {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "ConditionalRequestConflict"}
)

Document = Mapping[str, Any]


class Tray(Protocol):
    """Where a channel without a provider leaves what somebody will fetch."""

    def put(self, kind: str, key: SendKey, document: Document) -> bool:
        """Leave one document; again is the same as once, and False. Raises NotSentError or AmbiguousError."""
        ...

    def all(self, tenant: TenantId, kind: str) -> Iterator[Document]:
        """Everything of a kind that has not expired."""
        ...

    def fetched(self, tenant: TenantId, kind: str) -> Mapping[str, tuple[str, ...]]:
        """Batch → the send ids that were fetched with it."""
        ...

    def mark(self, tenant: TenantId, kind: str, batch: str, send_ids: tuple[str, ...]) -> None:
        """These were fetched."""
        ...

    def forget(self, tenant: TenantId, customer_id: CustomerId) -> int:
        """Delete whatever waits for one person; how many documents there were."""
        ...


def waiting(tray: Tray, tenant: TenantId, kind: str) -> list[Document]:
    """What nobody fetched yet, by send id."""
    gone = {send for batch in tray.fetched(tenant, kind).values() for send in batch}
    found = (each for each in tray.all(tenant, kind) if each["send_id"] not in gone)
    return sorted(found, key=lambda each: str(each["send_id"]))


def batch_of(tray: Tray, tenant: TenantId, kind: str, batch: str) -> list[Document]:
    """What a batch held, as long as it has not expired. Raises NotFoundError."""
    batches = tray.fetched(tenant, kind)
    if batch not in batches:
        raise NotFoundError(f"no batch {batch!r}; there are {', '.join(sorted(batches)) or 'none'}")
    wanted = set(batches[batch])
    return sorted((d for d in tray.all(tenant, kind) if d["send_id"] in wanted), key=lambda each: str(each["send_id"]))


class MemoryTray:
    """A tray in memory, for tests and replay."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, SendKey], Document] = {}
        self._batches: dict[tuple[TenantId, str], dict[str, tuple[str, ...]]] = {}

    def put(self, kind: str, key: SendKey, document: Document) -> bool:
        """See Tray."""
        new = (kind, key) not in self.documents
        self.documents.setdefault((kind, key), json.loads(json.dumps(document)))
        return new

    def all(self, tenant: TenantId, kind: str) -> Iterator[Document]:
        """See Tray."""
        return (each for (of, key), each in self.documents.items() if of == kind and key.tenant == tenant)

    def fetched(self, tenant: TenantId, kind: str) -> Mapping[str, tuple[str, ...]]:
        """See Tray."""
        return self._batches.get((tenant, kind), {})

    def mark(self, tenant: TenantId, kind: str, batch: str, send_ids: tuple[str, ...]) -> None:
        """See Tray."""
        self._batches.setdefault((tenant, kind), {})[batch] = send_ids

    def forget(self, tenant: TenantId, customer_id: CustomerId) -> int:
        """See Tray."""
        theirs = [at for at in self.documents if (at[1].tenant, at[1].customer_id) == (tenant, customer_id)]
        for at in theirs:
            del self.documents[at]
        return len(theirs)


class S3Tray:
    """The tray in the work bucket. For sending, `client` makes a single attempt."""

    def __init__(self, bucket: str, client: Any) -> None:
        self._bucket = bucket
        self._client = client

    def put(self, kind: str, key: SendKey, document: Document) -> bool:
        """See Tray."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            EndpointConnectionError,
        )

        name = f"{PREFIX}/{key.tenant}/{kind}/{key.customer_id}/{key.send_id}.json"
        try:
            self._write(name, document, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] == "PreconditionFailed":
                return False
            raise _from_answer(error) from error
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise NotSentError(f"the bucket could not be reached ({type(error).__name__})") from error
        except BotoCoreError as error:
            raise AmbiguousError(f"the bucket's answer was lost ({type(error).__name__})") from error
        return True

    def all(self, tenant: TenantId, kind: str) -> Iterator[Document]:
        """See Tray."""
        return (document for _, document in self._read(f"{PREFIX}/{tenant}/{kind}/"))

    def fetched(self, tenant: TenantId, kind: str) -> Mapping[str, tuple[str, ...]]:
        """See Tray."""
        found = self._read(f"{PREFIX}/{tenant}/{kind}-exports/")
        return {name.rpartition("/")[2].removesuffix(".json"): tuple(doc["send_ids"]) for name, doc in found}

    def mark(self, tenant: TenantId, kind: str, batch: str, send_ids: tuple[str, ...]) -> None:
        """See Tray."""
        with domain_errors("mark what was fetched"):
            self._write(f"{PREFIX}/{tenant}/{kind}-exports/{batch}.json", {"send_ids": list(send_ids)})

    def forget(self, tenant: TenantId, customer_id: CustomerId) -> int:
        """See Tray."""
        with domain_errors("empty the tray"):
            theirs = [name for kind in KINDS for name in self._names(f"{PREFIX}/{tenant}/{kind}/{customer_id}/")]
            for name in theirs:
                self._client.delete_object(Bucket=self._bucket, Key=name)
        return len(theirs)

    def _write(self, name: str, document: Document, **only: str) -> None:
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        self._client.put_object(Bucket=self._bucket, Key=name, Body=body, ContentType="application/json", **only)

    def _read(self, prefix: str) -> Iterator[tuple[str, Document]]:
        with domain_errors("read the tray"):
            for name in self._names(prefix):
                yield name, json.loads(self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read())

    def _names(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return (item["Key"] for page in pages for item in page.get("Contents", []))


def _from_answer(error: Any) -> Exception:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code in _BUSY or status == 429:
        return NotSentError(f"the bucket asks to slow down ({code})")
    if status >= 500 or status < 400:
        return AmbiguousError(f"the bucket failed while it had the document ({code})")
    return MisconfiguredError(f"the bucket refused the document ({code}): check the function's grants")
