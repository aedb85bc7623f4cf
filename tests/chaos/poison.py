"""Chaos of what cannot be handled (T12): a hundredth of a queue and of a stream is poison, and the rest must not care.

The live functions answer, as often as the synthesised stack says they are asked, and time is virtual. AWS does not
document the stream's pauses between tries: here they double from a second.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from functions.customers import update_state
from functions.delivery import receive_feedback
from infra.local.emulator.stream_policy import Outcome, Policy, outcome_of, policy_of, work_through
from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.shop import Shop
from shared.customers.identity import customer_ref
from shared.customers.store import MemoryCustomerStore
from shared.customers.stream import FoldDeps
from shared.delivery.breaker import Breaker
from shared.delivery.feedback import FeedbackDeps
from shared.delivery.model import SendKey
from shared.delivery.pace.store import MemoryPaceStore
from shared.delivery.store import MemoryLedgerStore
from shared.ingest.oversize import MemoryOversize, NoOversize
from shared.ingest.store import MemoryEventStore
from tests.stack import templates
from tests.unit.customers import test_stream as webhooks
from tests.unit.customers.world import KEYS, SHOP, TENANT
from tests.unit.delivery.test_feedback import about

RECORDS = 100
POISON = (1, 2, 0, 1)
"""A hundredth over all cases."""
POLLERS = 5
"""With which Lambda begins to ask a queue."""
TRIES = 5
LONGEST_STALL = 60.0
SLOWER = 2.0


def poisoned(case: int, rng: random.Random) -> None:
    """T12: one slice of a queue, and one of a stream."""
    poison = POISON[case % len(POISON)]
    _queue(poison, rng)
    _stream(poison, rng)


# --- what the stack says ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fed:
    """How the stack feeds the fold from its stream, and the feedback from its queue."""

    stream: Policy
    stream_batch: int
    queue_batch: int
    queue_window: float
    receives: int
    visibility: float


@cache
def fed() -> Fed:
    """Read from the synthesised templates, so that a change of the stack is played here."""
    stream, queue = _mapping("UpdateState"), _mapping("ReceiveFeedback")
    source = templates().resource(queue["EventSourceArn"]["Fn::GetAtt"][0])["Properties"]
    return Fed(
        stream=policy_of(stream),
        stream_batch=int(stream["BatchSize"]),
        queue_batch=int(queue["BatchSize"]),
        queue_window=float(queue.get("MaximumBatchingWindowInSeconds", 0)),
        receives=int(source["RedrivePolicy"]["maxReceiveCount"]),
        visibility=float(source["VisibilityTimeout"]),
    )


def _mapping(function: str) -> dict[str, Any]:
    mappings = templates().properties("AWS::Lambda::EventSourceMapping")
    (found,) = (mapping for _, mapping in mappings if function in json.dumps(mapping["FunctionName"]))
    return found


# --- the queue --------------------------------------------------------------------------------------------------------


@dataclass
class Queue:
    """A queue in virtual time: partial answers, a visibility timeout, and five receives."""

    bodies: Sequence[str]
    arrives: Sequence[float]
    deps: FeedbackDeps
    receives: Counter[int] = field(default_factory=Counter)
    dead: list[int] = field(default_factory=list)
    delays: dict[int, float] = field(default_factory=dict)

    def play(self) -> None:
        """Until every message is done or dead."""
        limits, pollers = fed(), [0.0] * POLLERS
        waiting = [(at, number) for number, at in enumerate(self.arrives)]
        heapq.heapify(waiting)
        while waiting:
            now = max(heapq.heappop(pollers), waiting[0][0])
            until = now + limits.queue_window
            batch: list[int] = []
            while waiting and waiting[0][0] <= until and len(batch) < limits.queue_batch:
                now = max(now, waiting[0][0])
                batch.append(heapq.heappop(waiting)[1])
            now = now if len(batch) == limits.queue_batch else until
            done_at = now + 0.1 + 0.02 * len(batch)
            heapq.heappush(pollers, done_at)
            for number in self._failed(batch, done_at):
                if self.receives[number] == limits.receives:
                    self.dead.append(number)
                else:
                    heapq.heappush(waiting, (now + limits.visibility, number))

    def _failed(self, batch: Sequence[int], done_at: float) -> set[int]:
        self.receives.update(batch)
        messages = [{"messageId": str(n), "body": self.bodies[n], "eventSource": "aws:sqs"} for n in batch]
        answer = receive_feedback.handler({"Records": messages}, None, self.deps)
        failed = {int(str(each["itemIdentifier"])) for each in answer["batchItemFailures"]}
        self.delays.update({n: done_at - self.arrives[n] for n in batch if n not in failed})
        return failed

    def p99(self, numbers: Sequence[int]) -> float:
        """The delay of all but a hundredth of these."""
        delays = sorted(self.delays[number] for number in numbers)
        return delays[len(delays) * 99 // 100]


def _queue(count: int, rng: random.Random) -> None:
    poison = set(rng.sample(range(RECORDS), count))
    healthy = [number for number in range(RECORDS) if number not in poison]
    per_second = rng.choice([0.5, 500.0])  # slowly: the poison is back among the others; at once: it shares its batches
    arrives = list(itertools.accumulate(rng.expovariate(per_second) for _ in range(RECORDS)))
    clean = Queue([_feedback(number) for number in range(RECORDS)], arrives, _feedback_deps())
    spoilt = [_spoilt(body, rng) if number in poison else body for number, body in enumerate(clean.bodies)]
    played = Queue(spoilt, arrives, _feedback_deps())
    clean.play()
    played.play()
    assert set(played.dead) == poison, f"dead: {sorted(played.dead)}, poison: {sorted(poison)}"
    assert max(played.receives.values()) <= TRIES, "tried too often"
    kept = Counter(envelope.event_id for envelope in played.deps.events.envelopes())  # type: ignore[attr-defined]
    assert len(kept) == kept.total() == len(healthy), "a healthy message is lost, or twice"
    slow, usual = played.p99(healthy), clean.p99(healthy)
    assert slow <= SLOWER * usual, f"healthy p99 {slow:.2f} s, without poison {usual:.2f} s"


def _feedback(number: int) -> str:
    key = SendKey(TenantId("mihon"), CustomerId(f"c{number}"), SendId(f"send{number}"))
    message = json.loads(about(key))
    message["detail"]["mail"]["messageId"] = f"message-{number}"
    return json.dumps(message)


def _feedback_deps() -> FeedbackDeps:
    return FeedbackDeps(MemoryEventStore(NoOversize()), MemoryLedgerStore(), Breaker(MemoryPaceStore()))


def _spoilt(body: str, rng: random.Random) -> str:
    message = json.loads(body)
    nobodys = json.loads(body)
    nobodys["detail"]["mail"]["tags"] = {}
    del message["detail"]
    return rng.choice([body[: len(body) // 2], json.dumps(message), json.dumps(nobodys), "", "[]", "null"])


# --- the stream -------------------------------------------------------------------------------------------------------


@dataclass
class Shard:
    """A stream's shard in virtual time: in order, bisected, three retries."""

    bugs: set[str]
    """Records that end the whole function."""
    deps: FoldDeps
    now: float = 0.0
    moved_at: float = 0.0
    longest_stall: float = 0.0
    dead: set[str] = field(default_factory=set)

    def play(self, records: Sequence[dict[str, Any]], size: int) -> None:
        """All of it, a batch after the other."""
        for start in range(0, len(records), size):
            batch = list(records[start : start + size])
            work_through(batch, fed().stream, self._invoke, self._give_up, self._pause, lambda _: 0.0)

    def _invoke(self, piece: list[dict[str, Any]]) -> Outcome:
        numbers = [_number(record) for record in piece]
        self.now += 0.2 + 0.01 * len(piece)
        if self.bugs & set(numbers):
            return Outcome(error=True, checkpoint=0)
        answer = update_state.handler({"Records": piece}, None, self.deps)
        outcome = outcome_of({"body": answer}, piece, partial=fed().stream.partial)
        if outcome.checkpoint:
            self._moves()
        return outcome

    def _give_up(self, piece: list[dict[str, Any]], condition: str, result: Mapping[str, Any]) -> None:
        self.dead |= {_number(record) for record in piece}
        self._moves()

    def _pause(self, attempts: int) -> None:
        self.now += 2.0 ** (attempts - 1) if attempts else 0.0

    def _moves(self) -> None:
        self.longest_stall = max(self.longest_stall, self.now - self.moved_at)
        self.moved_at = self.now


def _stream(count: int, rng: random.Random) -> None:
    poison = {str(number) for number in rng.sample(range(RECORDS), count)}
    bugs = {number for number in sorted(poison) if rng.random() < 0.5}
    records = [_order(number, rng, spoilt=str(number) in poison - bugs) for number in range(RECORDS)]
    shard = Shard(bugs, FoldDeps(MemoryCustomerStore(), MemoryOversize(), KEYS, _shop))
    shard.play(records, rng.choice((10, 40, fed().stream_batch)))
    assert poison <= shard.dead, f"neither handled nor dead: {sorted(poison - shard.dead)}"
    assert shard.longest_stall <= LONGEST_STALL, f"the shard stood still for {shard.longest_stall:.0f} s"
    for number in range(RECORDS):
        orders = _orders(shard.deps, number)
        assert orders == int(str(number) not in poison), f"record {number}: {orders} orders"


def _order(number: int, rng: random.Random, *, spoilt: bool) -> dict[str, Any]:
    """Somebody's first order; spoilt, its row or its body cannot be read."""
    email = f"p{number}@example.com"
    body = {**webhooks.AN_ORDER, "id": 1000 + number, "email": email, "customer": {"id": 1 + number, "email": email}}
    unreadable = spoilt and rng.random() < 0.5
    record = webhooks.a_record(number, "orders/create", body | ({"total_price": "free"} if unreadable else {}))
    if spoilt and not unreadable:
        record["dynamodb"]["NewImage"]["raw"] = {"B": base64.b64encode(b"not zlib").decode()}
    return record


def _orders(deps: FoldDeps, number: int) -> int:
    found = deps.store.resolve_ref(TENANT, customer_ref("shopify", webhooks.STORE, str(1 + number)))
    person = deps.store.person(TENANT, found) if found else None
    return person.profile.summary.order_count if person else 0


def _number(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def _shop(_: TenantId) -> Shop:
    return SHOP
