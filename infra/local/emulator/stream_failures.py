"""Give DynamoDB-stream event sources the failure handling AWS has, and each its own thread.

Without it: MiniStack ignores ``ReportBatchItemFailures``, ``MaximumRetryAttempts`` and ``BisectBatchOnFunctionError``,
so one poison record holds its stream for ever, and because all streams share a thread it holds every other stream too.
It also reads streams and queues without asking the function's role.
Mended with one thread per mapping that checkpoints at the first failed record, retries (with short pauses), bisects,
and finally tells the failure destination and goes on. Where AWS's documents are silent the worse case is emulated:
after a partial failure the whole rest of the batch, not only the failed record, is given up when retries run out.
A batching window is shortened to 0.1 s, and over when a batch is full.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import dynamodb, lambda_svc

from infra.local.emulator.authorisation import NotAuthorisedError, require_role, role_allows
from infra.local.emulator.service_roles import require_failure_destination
from infra.local.emulator.settings import EmulatorSettings
from infra.local.emulator.stream_policy import Mapping, Outcome, Record, outcome_of, policy_of, work_through

logger = logging.getLogger("matakite.streams")

_WINDOW_SECONDS = 0.1
_PAGE = 5_000
"""Records looked at in one go: after an import nearly all of them are filtered out."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_IDLE_SECONDS = 1.0
_STREAM_ACTIONS = ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream")
_QUEUE_ACTIONS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


class StreamReader(threading.Thread):
    """Reads one stream for one mapping."""

    def __init__(self, mapping_id: str, account: str, region: str) -> None:
        super().__init__(daemon=True, name=f"stream-{mapping_id[:8]}")
        self.mapping_id, self.account, self.region = mapping_id, account, region
        self.wake = threading.Event()

    def run(self) -> None:
        """Read until the mapping is deleted."""
        lambda_svc._request_account_id.set(self.account)
        lambda_svc._request_region.set(self.region)
        while (mapping := lambda_svc._esms.get(self.mapping_id)) is not None:
            self.wake.clear()
            try:
                worked = self._step(mapping)
            except NotAuthorisedError as error:
                mapping["LastProcessingResult"] = f"PROBLEM: {error}"
                logger.warning("%s: %s", mapping.get("FunctionName"), error)
                worked = False
            if not worked:
                self.wake.wait(_IDLE_SECONDS)

    def _step(self, mapping: Mapping) -> bool:
        table = _table_of(mapping)
        func, _config = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
        if table is None or func is None or not mapping.get("Enabled", True):
            return False
        position, size = self._position(mapping, table), int(mapping.get("BatchSize", 100))
        unread = dynamodb.stream_end_position(table) - position
        if unread <= 0:
            return False
        if unread < size and float(mapping.get("MaximumBatchingWindowInSeconds") or 0) > 0:
            time.sleep(_WINDOW_SECONDS)
        self._ask(mapping, func)
        wanted, read = self._next_batch(mapping, dynamodb.stream_records_since(table, position, _PAGE), size)
        if wanted:
            self._deliver(mapping, func, wanted)
        with lambda_svc._dynamodb_stream_positions_lock:
            lambda_svc._dynamodb_stream_positions[self.mapping_id] = position + read
        return read > 0

    def _next_batch(self, mapping: Mapping, page: list[Record], size: int) -> tuple[list[Record], int]:
        """Records the filters let through, up to a batch, and how many had to be read for them."""
        wanted: list[Record] = []
        read = 0
        while read < len(page):
            piece = page[read : read + size]
            matching = lambda_svc._apply_filter_criteria(piece, mapping)
            if len(wanted) + len(matching) > size:
                break
            wanted += matching
            read += len(piece)
        return wanted, read

    def _position(self, mapping: Mapping, table: str) -> int:
        horizon, end = dynamodb.stream_start_position(table), dynamodb.stream_end_position(table)
        first = horizon if mapping.get("StartingPosition", "LATEST") == "TRIM_HORIZON" else end
        with lambda_svc._dynamodb_stream_positions_lock:
            known = lambda_svc._dynamodb_stream_positions.get(self.mapping_id)
            position = max(first if known is None else known, horizon)
            lambda_svc._dynamodb_stream_positions[self.mapping_id] = position
        return int(position)

    def _ask(self, mapping: Mapping, func: dict[str, Any]) -> None:
        role = str((func.get("config") or func).get("Role", ""))
        for action in _STREAM_ACTIONS:
            require_role(role, action, mapping["EventSourceArn"])
        require_role(role, "dynamodb:ListStreams", "*")

    def _deliver(self, mapping: Mapping, func: dict[str, Any], records: list[Record]) -> None:
        policy = policy_of(mapping)

        def invoke(piece: list[Record]) -> Outcome:
            result = lambda_svc._execute_function(func, {"Records": piece})
            outcome = outcome_of(result, piece, partial=policy.partial)
            done = not outcome.error and outcome.checkpoint == len(piece)
            mapping["LastProcessingResult"] = f"OK - {len(piece)} records" if done else "PROBLEM: Function call failed"
            if not done:
                body = result.get("body")
                logger.warning("%s failed a batch of %d: %s", mapping["FunctionName"], len(piece), str(body)[:500])
            return outcome

        def give_up(piece: list[Record], condition: str, result: dict[str, Any]) -> None:
            logger.error("%s gave up %d records: %s", mapping["FunctionName"], len(piece), condition)
            destination = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
            if not destination:
                return
            try:
                require_failure_destination(str((func.get("config") or func).get("Role", "")), destination)
            except NotAuthorisedError as error:
                logger.warning("%s: failure record lost: %s", mapping["FunctionName"], error)
                return
            lambda_svc._send_ddb_stream_failure_record(
                mapping, func, piece, mapping["EventSourceArn"], result, condition
            )

        work_through(records, policy, invoke, give_up, _pause, _age)


def _pause(attempts: int) -> None:
    time.sleep(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(attempts, 10)))


def _age(piece: list[Record]) -> float:
    return time.time() - min(float(r["dynamodb"].get("ApproximateCreationDateTime", time.time())) for r in piece)


def _table_of(mapping: Mapping) -> str | None:
    """The table whose current stream this mapping reads."""
    found = lambda_svc._dynamodb_stream_table_from_arn_spec(parse_arn(mapping["EventSourceArn"]))
    if found is None:
        return None
    table = dynamodb._tables.get(found[0])
    current = table is not None and table.get("LatestStreamArn") == mapping["EventSourceArn"]
    return str(found[0]) if current else None


_readers: dict[str, StreamReader] = {}


def _wake_stream_readers() -> bool:
    """Runs on MiniStack's polling thread whenever a stream may have grown; never does the work itself."""
    for account, region, mapping in lambda_svc._iter_all_esms():
        if ":dynamodb:" not in mapping.get("EventSourceArn", ""):
            continue
        reader = _readers.get(mapping["UUID"])
        if reader is None or not reader.is_alive():
            reader = _readers[mapping["UUID"]] = StreamReader(mapping["UUID"], account, region)
            reader.start()
        reader.wake.set()
    return False


def _allowed_queues(iterate: Callable[[], Iterator[tuple[str, str, Mapping]]]) -> Callable[[], Iterator[Any]]:
    """Leave out the queue mappings whose function may not read its queue."""

    def iterate_allowed() -> Iterator[tuple[str, str, Mapping]]:
        for account, region, mapping in iterate():
            if _may_poll(mapping):
                yield account, region, mapping

    return iterate_allowed


_may_poll_until: dict[str, tuple[float, bool]] = {}


def _may_poll(mapping: Mapping) -> bool:
    """Whether the function's role may read the queue; asked again every second."""
    try:
        if parse_arn(mapping.get("EventSourceArn", "")).service != "sqs":
            return True
    except ArnParseError:
        return True
    until, answer = _may_poll_until.get(mapping["UUID"], (0.0, False))
    if time.monotonic() < until:
        return answer
    func, config = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    role = str((config or func or {}).get("Role", ""))
    answer = all(role_allows(role, action, mapping["EventSourceArn"]) for action in _QUEUE_ACTIONS)
    if not answer:
        mapping["LastProcessingResult"] = "PROBLEM: the function's role may not read the queue"
        logger.error("%s may not read %s", mapping["FunctionName"], mapping["EventSourceArn"])
    _may_poll_until[mapping["UUID"]] = (time.monotonic() + 1.0, answer)
    return answer


def install(settings: EmulatorSettings) -> None:
    """Replace the stream poller, and guard the queue poller."""
    lambda_svc._poll_dynamodb_streams = _wake_stream_readers
    lambda_svc._iter_all_esms = _allowed_queues(lambda_svc._iter_all_esms)
