"""SES's events come back: kept once, ambiguous sends settled, transactional ones sent a second time, once."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.delivery import receive_feedback, reconcile
from shared.core.clock import SystemClock
from shared.core.errors import RejectedError, UnavailableError
from shared.core.ids import TenantId
from shared.delivery.channels.fake import Fault
from shared.delivery.feedback import FeedbackDeps, receive
from shared.delivery.model import Outcome, Purpose, Reason, SendKey, SendRequest, SendState
from shared.delivery.reconcile import Reconciled, ReconcileDeps
from shared.delivery.reconcile import reconcile as look_once
from shared.delivery.send import deliver
from shared.delivery.store import Attempt
from shared.ingest.oversize import NoOversize
from shared.ingest.store import MemoryEventStore
from tests.unit.delivery.chaos import AtCall, Killed, Ports
from tests.unit.delivery.chaos import Fault as Crash
from tests.unit.delivery.test_sources import sample
from tests.unit.delivery.world import HANAKO, NOON, TENANT, World, a_request


def from_eventbridge(record: dict[str, Any]) -> str:
    return json.dumps({"version": "0", "source": "aws.ses", "detail-type": "Email Sent", "detail": record})


def about(key: SendKey, name: str = "send") -> str:
    record = sample(name)
    record["mail"]["tags"] |= {"tenant": [key.tenant], "customer": [key.customer_id], "send_id": [key.send_id]}
    return from_eventbridge(record)


@pytest.fixture
def feedback(world: World) -> FeedbackDeps:
    return FeedbackDeps(MemoryEventStore(NoOversize()), world.ledger)


def in_doubt(world: World, **more: Any) -> SendRequest:
    world.ses.plan(Fault.LOSE_REPLY)
    request = a_request(**more)
    assert deliver(request, world.people[HANAKO], world.deps(), NOON).state is SendState.UNKNOWN
    return request


def given_up(world: World, request: SendRequest) -> SendRequest:
    """Nobody knows what became of it, and whoever was about to send it is gone."""
    attempt, now = Attempt("died", world.time.now()), world.time.now()
    world.ledger.reserve(request, attempt, now)
    world.ledger.mark(request.key, attempt, now)
    world.ledger.record(request.key, Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS), attempt, now)
    return request


def state(world: World, request: SendRequest) -> SendState:
    row = world.ledger.row(request.key)
    assert row is not None
    return row.state


@pytest.mark.parametrize("name", ["send", "delivery", "bounce@permanent", "complaint"])
def test_a_record_settles_a_send_in_doubt(world: World, feedback: FeedbackDeps, name: str) -> None:
    request = in_doubt(world)
    receive(about(request.key, name), feedback, NOON)
    row = world.ledger.row(request.key)
    assert row is not None
    assert (row.state, row.message_id) == (SendState.SENT, "0106example-00000000-0000-4000-8000-000000000001-000000")


@pytest.mark.parametrize(("name", "did"), [("open", "opened"), ("click", "clicked")])
@pytest.mark.parametrize("machine", [True, False])
def test_what_people_do_with_a_mail_is_kept_for_scenarios_and_what_machines_do_is_not(
    world: World, feedback: FeedbackDeps, name: str, did: str, machine: bool
) -> None:
    request = a_request()
    assert deliver(request, world.people[HANAKO], world.deps(), NOON).state is SendState.SENT
    message = json.loads(about(request.key, name))
    record = message["detail"]
    sent_at = datetime.fromisoformat(record["mail"]["timestamp"])
    record[name] |= {
        "timestamp": (sent_at + timedelta(hours=1)).isoformat(),
        "userAgent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)" if machine else "Mozilla/5.0 (iPhone)",
    }
    receive(json.dumps(message), feedback, NOON)
    row = world.ledger.row(request.key)
    assert row is not None
    assert row.reactions == (frozenset() if machine else {did})


def test_a_rejected_mail_settles_nothing(world: World, feedback: FeedbackDeps) -> None:
    request = in_doubt(world)
    receive(about(request.key, "reject"), feedback, NOON)
    assert state(world, request) is SendState.UNKNOWN


def test_a_record_may_come_before_the_sender_has_recorded_anything(world: World, feedback: FeedbackDeps) -> None:
    request, attempt = a_request(), Attempt("slow", NOON)
    world.ledger.reserve(request, attempt, NOON)
    world.ledger.mark(request.key, attempt, NOON)
    receive(about(request.key), feedback, NOON)
    assert state(world, request) is SendState.SENT
    assert deliver(request, world.people[HANAKO], world.deps(), NOON).state is SendState.SENT
    assert not world.ses.accepted, "SES has it: no second mail"


def test_a_settled_send_costs_a_read_and_no_write(world: World, feedback: FeedbackDeps) -> None:
    request = a_request()
    deliver(request, world.people[HANAKO], world.deps(), NOON)

    class NoWrites:
        def row(self, key: SendKey) -> object:
            return world.ledger.row(key)

    receive(about(request.key, "delivery"), FeedbackDeps(feedback.events, NoWrites()), NOON)  # type: ignore[arg-type]


def test_a_doubled_record_is_one_event(world: World, feedback: FeedbackDeps) -> None:
    for _ in range(3):
        receive(about(a_request().key, "delivery"), feedback, NOON)
    assert len(feedback.events.envelopes()) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("message", ["", "no json", "{}", '{"detail": 1}', from_eventbridge({"eventType": "Send"})])
def test_what_is_no_feedback_of_ours_is_refused(feedback: FeedbackDeps, message: str) -> None:
    with pytest.raises(RejectedError):
        receive(message, feedback, NOON)


def test_a_batch_gives_back_only_the_records_that_failed(world: World, feedback: FeedbackDeps) -> None:
    request = in_doubt(world)
    bodies = [about(request.key), "poison", about(request.key, "delivery")]
    records = [
        {
            "messageId": f"m{number}",
            "receiptHandle": "r",
            "body": body,
            "attributes": {},
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:ap-northeast-1:123456789012:feedback",
            "awsRegion": "ap-northeast-1",
        }
        for number, body in enumerate(bodies)
    ]
    answer = receive_feedback.handler({"Records": records}, None, feedback)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert state(world, request) is SendState.SENT


# --- the reconciler ---------------------------------------------------------------------------------------------------
def test_a_marketing_mail_in_doubt_stays_so_and_is_counted(world: World) -> None:
    request = in_doubt(world)
    world.time.pass_(16 * 60)
    for _ in range(3):
        assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled(unresolved=1)
    assert state(world, request) is SendState.UNKNOWN
    assert len(world.ses.accepted) == 1


def test_an_alarm_about_doubt_ends_after_a_day_and_the_row_stays(world: World) -> None:
    request = in_doubt(world)
    world.time.pass_(24 * 3600)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled()
    assert state(world, request) is SendState.UNKNOWN


def test_sess_events_are_given_a_quarter_of_an_hour(world: World) -> None:
    in_doubt(world, purpose=Purpose.TRANSACTIONAL)
    world.time.pass_(14 * 60)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled()


def test_a_transactional_mail_in_doubt_is_sent_a_second_time_and_never_a_third(world: World) -> None:
    request = in_doubt(world, purpose=Purpose.TRANSACTIONAL)
    world.ses.plan(Fault.LOSE_REPLY)
    world.time.pass_(16 * 60)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled(unresolved=1)
    world.time.pass_(16 * 60)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled(unresolved=1)
    assert world.sent_ids() == [request.send_id] * 2


def test_a_second_sending_that_succeeds_is_the_end_of_it(world: World) -> None:
    request = in_doubt(world, purpose=Purpose.TRANSACTIONAL)
    world.time.pass_(16 * 60)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled(resent=1)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled()
    assert state(world, request) is SendState.SENT


@pytest.mark.parametrize("dies_at", ["reserve", "read_person", "mark", "record"])
def test_a_reconciler_that_dies_is_continued_by_the_next(world: World, dies_at: str) -> None:
    request = in_doubt(world, purpose=Purpose.TRANSACTIONAL)
    world.time.pass_(16 * 60)
    rng = random.Random(dies_at)
    ports = Ports(world, AtCall(dies_at, Crash.KILL, rng), rng)
    with pytest.raises(Killed):
        look_once(TENANT, world.deps(ports.ledger(), ports, ports.read_person), world.time.now())
    for _ in range(3):
        world.time.pass_(16 * 60)
        look_once(TENANT, world.deps(), world.time.now())
    final = SendState.UNKNOWN if dies_at == "record" else SendState.SENT
    # Killed before the call but after the mark it cannot know: in doubt again, and that was its one more time.
    assert state(world, request) in ({final} if dies_at != "mark" else {SendState.SENT, SendState.UNKNOWN})
    assert len(world.ses.accepted) <= 2


def test_a_second_sending_that_is_throttled_is_tried_again_later(world: World) -> None:
    request = in_doubt(world, purpose=Purpose.TRANSACTIONAL)
    world.time.pass_(16 * 60)
    world.ses.plan(Fault.THROTTLE)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled(unresolved=1)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled(resent=1)
    assert state(world, request) is SendState.SENT


@pytest.mark.parametrize(
    ("first", "stays"),
    [
        # A deployment took its template away.
        ({"template": "gone"}, SendState.RESERVED),
        # A word to the staff that was given up in doubt: the reconciler has no tray to put it into again.
        ({"channel": "notify"}, SendState.UNKNOWN),
    ],
)
def test_one_that_cannot_be_sent_again_does_not_keep_the_others_from_it(
    world: World, first: dict[str, Any], stays: SendState
) -> None:
    broken = given_up(world, a_request("one", purpose=Purpose.TRANSACTIONAL, **first))
    world.time.pass_(1)
    mail = in_doubt(world, purpose=Purpose.TRANSACTIONAL)
    world.time.pass_(16 * 60)
    assert look_once(TENANT, world.deps(), world.time.now()) == Reconciled(unresolved=1, resent=1)
    assert (state(world, broken), state(world, mail)) == (stays, SendState.SENT)


def test_somebody_erased_in_between_gets_no_second_mail(world: World) -> None:
    request = in_doubt(world, purpose=Purpose.TRANSACTIONAL)
    world.people.clear()
    world.time.pass_(16 * 60)
    look_once(TENANT, world.deps(), world.time.now())
    row = world.ledger.row(request.key)
    assert row is not None
    assert row.reason is Reason.ERASED
    assert len(world.ses.accepted) == 1


def test_the_function_looks_at_every_shop_and_counts(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.time.at = SystemClock().now() - timedelta(hours=1)
    in_doubt(world)
    deps = ReconcileDeps(world.deps(), tenants=lambda: [TENANT, TenantId("empty")])
    assert reconcile.handler({}, None, deps) == {"unresolved": 1, "resent": 0}
    assert "SendsInDoubt" in capsys.readouterr().out


def test_a_busy_ledger_stops_the_run(world: World) -> None:
    class Busy:
        def unresolved(self, *_: object) -> object:
            raise UnavailableError("busy")

    deps = world.deps(ledger=Busy())  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        look_once(TENANT, deps, NOON)
