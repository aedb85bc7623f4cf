"""Cohort files (対象者リスト) in the work bucket: lists of ids, written once and never changed.

A batch file holds lists by name, `{"all": [[occurrence, customer_id], …]}` (after a branch one list per arm). A list
of batches holds `[{"key", "part", "index"}, …]`. The first writer of a key wins: a repeated or overtaken step reads
what was decided before instead of deciding again, so nobody can end up in two arms.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.errors import NotFoundError, UnavailableError
from shared.core.ids import CustomerId, digest
from shared.scenarios.enrolment import Batch, Cohort, Member

FOLDER = "cohorts/"
ALL = "all"
_READERS = 16


class CohortFiles(Protocol):
    """Where cohort files are kept."""

    bucket: str

    def put(self, key: str, document: Any) -> Any:
        """Write a file unless it exists; what is there afterwards."""
        ...

    def get(self, key: str) -> Any:
        """Read a file. Raises NotFoundError."""
        ...


class S3CohortFiles:
    """Cohort files in a bucket."""

    def __init__(self, bucket: str, client: Any) -> None:
        self.bucket = bucket
        self._client = client

    def put(self, key: str, document: Any) -> Any:
        """Write a file unless it exists; what is there afterwards."""
        from botocore.exceptions import ClientError

        body = json.dumps(document, separators=(",", ":")).encode()
        try:
            with domain_errors("write a cohort file"):
                self._client.put_object(
                    Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "PreconditionFailed":
                    return self.get(key)
                case "ConditionalRequestConflict":
                    raise UnavailableError("two writers of one cohort file") from error
                case _:
                    raise
        return document

    def get(self, key: str) -> Any:
        """Read a file. Raises NotFoundError."""
        try:
            with domain_errors("read a cohort file"):
                return json.loads(self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except self._client.exceptions.NoSuchKey:
            raise NotFoundError(
                f"cohort file {key} is gone: its execution is older than the work bucket keeps"
            ) from None


class MemoryCohortFiles:
    """Cohort files in memory: the same promises."""

    def __init__(self, bucket: str = "work") -> None:
        self.bucket = bucket
        self._files: dict[str, str] = {}
        self._lock = threading.Lock()

    def put(self, key: str, document: Any) -> Any:
        """Write a file unless it exists; what is there afterwards."""
        with self._lock:
            return json.loads(self._files.setdefault(key, json.dumps(document)))

    def get(self, key: str) -> Any:
        """Read a file. Raises NotFoundError."""
        if key not in self._files:
            raise NotFoundError(f"cohort file {key} is gone: its execution is older than the work bucket keeps")
        return json.loads(self._files[key])


def write_cohort(files: CohortFiles, folder: str, members: Sequence[Member], batch_size: int) -> Cohort:
    """Write a list of people, in batches. The place depends on the content: another list never replaces this one."""
    lines = [[member.occurrence, member.customer_id] for member in members]
    place = f"{folder}/{digest(*(part for line in lines for part in line))}"
    chunks = [lines[start : start + batch_size] for start in range(0, len(lines), batch_size)] or [[]]
    batches = [{"key": f"{place}/{n:06}.json", "part": ALL, "index": f"{n:06}"} for n in range(len(chunks))]
    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(lambda batch, chunk: files.put(batch["key"], {ALL: chunk}), batches, chunks))
    if len(batches) == 1:
        return Cohort(batches[0]["key"], ALL, len(lines), 1)
    files.put(f"{place}/batches.json", batches)
    return Cohort(f"{place}/batches.json", ALL, len(lines), len(batches))


def read_batch(files: CohortFiles, batch: Batch) -> list[Member]:
    """The people of one batch."""
    return _members(files.get(batch.key).get(batch.part, []))


def write_arms(files: CohortFiles, key: str, arms: Mapping[str, Iterable[Member]]) -> dict[str, list[Member]]:
    """Record which way each person of a batch goes; what was recorded first."""
    document = {arm: [[member.occurrence, member.customer_id] for member in members] for arm, members in arms.items()}
    return {arm: _members(lines) for arm, lines in files.put(key, document).items()}


def gather_arms(
    files: CohortFiles, cohort: Cohort, folder: str, arms: Sequence[str], batch_size: int
) -> dict[str, Cohort]:
    """The sub-cohort of every arm, from what each batch recorded under `folder`."""
    with ThreadPoolExecutor(_READERS) as pool:
        split = list(pool.map(lambda batch: files.get(f"{folder}/{batch['index']}.json"), files.get(cohort.key)))
    gathered = {arm: [member for lines in split for member in _members(lines.get(arm, []))] for arm in arms}
    return {arm: write_cohort(files, f"{folder}/{arm}", gathered[arm], batch_size) for arm in arms}


def _members(lines: Iterable[Sequence[str]]) -> list[Member]:
    return [Member(occurrence, CustomerId(customer)) for occurrence, customer in lines]
