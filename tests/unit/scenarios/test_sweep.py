"""From a changed cart to a started execution."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from functions.scenarios import sweep as sweep_function
from functions.scenarios import trigger as trigger_function
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import PersonState
from shared.customers.rows import Row, encode_item
from shared.customers.store import ChangedRow
from shared.scenarios.enrolment import Enrolment, EnrolmentState, Instance, cart_occurrence
from shared.scenarios.model import LiveStatus
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.sweep import execution_name, sweep
from shared.scenarios.trigger import (
    MET_FOR,
    TriggerDeps,
    dump_rules,
    entry_rules,
    follow,
    follow_change,
    load_rules,
    read_ahead,
)
from tests.unit.scenarios.world import CART, MORNING, TENANT, World, a_cart, a_person, jst, preset


def test_a_cart_is_collected_once_when_it_is_due() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    world.clock.at = jst("2026-03-02 10:59")
    assert world.sweeps() == {}
    world.clock.at = jst("2026-03-02 11:00")
    assert world.sweeps() == {TENANT: 1}
    assert list(world.executions) == ["mihon-cart_abandoned-20260302T0200"]
    world.play()
    assert world.sweeps() == {}


def test_the_same_tick_three_times_is_one_execution() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    world.clock.at = jst("2026-03-02 11:00")
    assert [world.sweeps(), world.sweeps(), world.sweeps()] == [{TENANT: 1}, {}, {}]
    world.play()
    assert world.mails("hanako") == ["mail_1", "mail_2", "mail_3"]


def test_two_executions_that_collected_the_same_people_send_once() -> None:
    """The machine was slow: at the next tick nobody is claimed yet."""
    world = World()
    for number in range(3):
        world.adds(a_person(f"p{number}", a_cart(f"c{number}")))
    world.clock.at = jst("2026-03-02 11:00")
    world.sweeps()
    world.clock.at = jst("2026-03-02 11:01")
    assert world.sweeps() == {TENANT: 3}
    world.play()
    assert sorted(world.mails()) == sorted(["mail_1", "mail_2", "mail_3"] * 3)
    assert len({world.enrolment(f"p{n}").execution for n in range(3)}) == 1
    assert world.funnel()["mail_2"] == {"sent": 3}, "counted by the execution that has them"


def test_a_second_sweep_of_a_minute_does_not_change_what_the_first_collected() -> None:
    """The execution that was started reads its own list, whoever became due in between."""
    world = World()
    world.adds(a_person("early", a_cart("c1", MORNING - timedelta(seconds=30))))
    world.adds(a_person("late", a_cart("c2", MORNING + timedelta(seconds=20))))
    world.clock.at = jst("2026-03-02 11:00")
    assert world.sweeps() == {TENANT: 1}
    world.clock.at += timedelta(seconds=30)
    assert world.sweeps() == {}
    world.clock.at += timedelta(seconds=30)
    assert world.sweeps() == {TENANT: 2}, "nobody has claimed the first yet, so it is offered again"
    world.play()
    assert world.mails("early") == world.mails("late") == ["mail_1", "mail_2", "mail_3"]


def test_a_sweep_that_dies_before_it_starts_anything_loses_nobody() -> None:
    class Dead(World):
        def start(self, *_: Any) -> bool:
            raise UnavailableError("Step Functions does not answer")

    world = Dead()
    world.adds(a_person("hanako", a_cart()))
    world.clock.at = jst("2026-03-02 11:00")
    with pytest.raises(UnavailableError):
        world.sweeps()
    assert World.start(world, CART, "later", {}) is True  # the ports work again
    assert world.enrolment("hanako").state is EnrolmentState.ARMED
    assert world.enrolments.due(TENANT, CART, world.clock.at, 10)


def test_a_crowd_that_did_not_come_with_carts_is_not_looked_up_one_by_one() -> None:
    world = World()
    looked: list[str] = []
    for n, kind in enumerate(["person", "order", "contract", "cart"]):
        about = Instance(key=kind, kind=kind)
        world.enrolments.arm(Enrolment(TENANT, CART, kind, CustomerId(f"p{n}"), about, MORNING, due_at=MORNING))
    deps = replace(world.sweep_deps(), person=lambda _, customer: looked.append(customer))
    assert sweep(CART, deps, MORNING) == {TENANT: 4}
    assert looked == ["p3"]


def test_one_shops_trouble_does_not_stop_the_others() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))

    class Broken(MemoryEnrolmentStore):
        def due(self, tenant: TenantId, *rest: Any) -> Any:
            if tenant == "broken":
                raise UnavailableError("throttled")
            return world.enrolments.due(tenant, *rest)

    deps = replace(world.sweep_deps(), enrolments=Broken(), tenants=lambda: [TenantId("broken"), TENANT])
    world.clock.at = jst("2026-03-02 11:00")
    with pytest.raises(UnavailableError):
        sweep(CART, deps, world.clock.at)
    assert len(world.executions) == 1


def test_an_execution_is_named_by_shop_scenario_and_minute_and_fits() -> None:
    name = execution_name(TenantId("a" * 32), preset().scenario_id, MORNING)
    assert name.endswith("-cart_abandoned-20260302T0100")
    assert len(execution_name(TenantId("a" * 32), type(CART)("s" * 31), MORNING)) <= 80


def test_what_an_execution_is_told_holds_ids_and_times_only() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart("secret-token")))
    world.clock.at = jst("2026-03-02 11:00")
    world.sweeps()
    ((_, document),) = world.executions.items()
    assert set(document) == {"tenant", "execution", "scheduled_at", "arrived_at", "cohort"}
    assert "example.com" not in str(document)
    assert "secret-token" not in str(document) + str(world.files.get(document["cohort"]["key"]))


# --- carts that are touched again ---


def touched_again(world: World, at: datetime) -> PersonState:
    """The live state knows the later touch; the due index was not written again."""
    person = a_person("hanako", a_cart(touched_at=at))
    world.people["hanako"] = person
    row = ChangedRow(TENANT, CustomerId("hanako"), "cart", False, cart=person.carts[0])
    follow(row, entry_rules([preset()]), world.enrolments, at)
    return person


@pytest.mark.parametrize("sweep_looks", [True, False])
def test_nobody_who_went_on_shopping_is_mailed_early_and_none_is_lost(sweep_looks: bool) -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    touched_again(world, jst("2026-03-02 10:40"))
    assert world.enrolment("hanako").touched_at == MORNING, "a touch costs no write"
    world.clock.at = jst("2026-03-02 11:00")
    deps = replace(world.sweep_deps(), person=world.person) if sweep_looks else world.sweep_deps()
    assert sweep(CART, deps, world.clock.at) == ({} if sweep_looks else {TENANT: 1})
    world.play()
    assert world.mails("hanako") == []
    assert world.enrolment("hanako").due_at == jst("2026-03-02 11:40")
    world.clock.at = jst("2026-03-02 11:40")
    assert sweep(CART, deps, world.clock.at) == {TENANT: 1}
    world.play()
    assert world.mails("hanako") == ["mail_1", "mail_2", "mail_3"]


def test_a_touch_that_is_long_past_too_delays_nobody_to_the_next_sweep() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    touched_again(world, jst("2026-03-02 10:05"))
    world.clock.at = jst("2026-03-02 11:05")
    assert sweep(CART, replace(world.sweep_deps(), person=world.person), world.clock.at) == {TENANT: 1}
    world.play()
    assert world.mails("hanako") == ["mail_1", "mail_2", "mail_3"]


def test_a_touch_between_the_sweep_and_the_first_step_is_seen_there() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    world.clock.at = jst("2026-03-02 11:00")
    assert world.sweeps() == {TENANT: 1}
    touched_again(world, jst("2026-03-02 11:00"))
    world.play()
    assert world.mails("hanako") == []
    world.clock.at = jst("2026-03-02 12:00")
    assert world.sweeps() == {TENANT: 1}
    world.play()
    assert world.mails("hanako") == ["mail_1", "mail_2", "mail_3"]


def test_a_cart_that_was_empty_at_first_becomes_due_when_it_is_filled() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart(lines=())))
    touched_again(world, MORNING + timedelta(minutes=5))
    assert world.enrolment("hanako").touched_at == MORNING + timedelta(minutes=5)


# --- the trigger ---


def stream(*rows: Row) -> dict[str, Any]:
    """A batch of the customers stream."""
    return {
        "Records": [
            {
                "eventID": str(n),
                "eventName": "MODIFY",
                "dynamodb": {"SequenceNumber": str(n), "NewImage": encode_item(row)},
            }
            for n, row in enumerate(rows)
        ]
    }


def cart_row(token: str, customer: str = "hanako") -> Row:
    body = (
        f'{{"source":"shopify","store":"mihon.myshopify.com","token":"{token}","updated_at":"2126-03-02T01:00:00Z",'
        '"currency":"JPY","total":3000,"lines":[{"product_id":"1","title":"豆","quantity":1,"unit_amount":3000}]}'
    )
    return Row(f"{TENANT}#{customer}", f"cart#shopify/mihon.myshopify.com/{token}", "cart", body)


def test_the_trigger_reads_the_stream_and_sets_poison_aside() -> None:
    store = MemoryEnrolmentStore()
    poison = Row(f"{TENANT}#hanako", "cart#x", "cart", '{"not": "a cart"}')
    answer = trigger_function.handler(
        stream(cart_row("a"), poison, cart_row("b")), None, deps=TriggerDeps(entry_rules([preset()]), store)
    )
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert len(store.of_customer(TENANT, CustomerId("hanako"))) == 2


def test_the_trigger_reads_a_batch_at_once_and_sees_what_it_wrote_itself() -> None:
    class Counted(MemoryEnrolmentStore):
        asked = 0

        def get(self, *which: Any) -> Any:
            raise AssertionError("a read for one row")

        def get_each(self, wanted: Any) -> Any:
            self.asked += 1
            return super().get_each(wanted)

    store = Counted()
    deps = TriggerDeps(entry_rules([preset()]), store)
    event = stream(*(cart_row(f"c{number}") for number in range(5)), cart_row("c1", "taro"))
    assert trigger_function.handler(event, None, deps) == {"batchItemFailures": []}
    assert store.asked == 1
    owners = {row.instance.key: row.customer_id for row in store.of_customer(TENANT, CustomerId("hanako"))}
    assert sorted(owners) == ["c0", "c2", "c3", "c4"]
    assert [row.instance.key for row in store.of_customer(TENANT, CustomerId("taro"))] == ["c1"]


def test_whoever_was_made_due_lately_is_not_looked_up_again() -> None:
    class Counted(MemoryEnrolmentStore):
        asked: ClassVar[list[int]] = []

        def get_each(self, wanted: Any) -> Any:
            keys = list(wanted)
            self.asked.append(len(keys))
            return super().get_each(keys)

    store = Counted()
    deps = TriggerDeps(entry_rules([preset()]), store)
    now = datetime(2126, 3, 2, 1, tzinfo=UTC)
    for at, token in ((now, "a"), (now, "a"), (now, "b"), (now + MET_FOR, "a")):
        changes = [record["dynamodb"] for record in stream(cart_row(token))["Records"]]
        ports = read_ahead(changes, deps, at)
        for change in changes:
            follow_change(change, ports, at)
    assert store.asked == [1, 1, 1], "each cart when it is new, and once more when it was long ago"
    assert len(store.of_customer(TENANT, CustomerId("hanako"))) == 2


def test_a_removed_row_is_not_an_event() -> None:
    batch = {"Records": [{"eventID": "0", "eventName": "REMOVE", "dynamodb": {"SequenceNumber": "0"}}]}
    answer = trigger_function.handler(batch, None, deps=TriggerDeps(entry_rules([preset()]), MemoryEnrolmentStore()))
    assert answer == {"batchItemFailures": []}


def test_the_trigger_knows_the_rules_from_its_environment() -> None:
    rules = entry_rules([preset()])
    assert load_rules(dump_rules(rules)) == rules
    assert entry_rules([preset().model_copy(update={"status": LiveStatus.OFF})]) == []


def test_an_order_takes_a_cart_out_before_anyone_collects_it() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    world.clock.at += timedelta(minutes=10)
    world.orders("hanako")
    assert world.enrolment("hanako").state is EnrolmentState.EXITED
    assert world.enrolment("hanako").outcome == "ordered"
    world.clock.at = jst("2026-03-02 12:00")
    assert world.sweeps() == {}


def test_a_late_cart_webhook_after_the_order_cannot_bring_the_cart_back() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    world.orders("hanako")
    world.adds(replace(world.people["hanako"], carts=(a_cart(touched_at=MORNING + timedelta(minutes=5)),)))
    assert world.enrolment("hanako").state is EnrolmentState.EXITED


def test_an_order_that_came_before_its_cart_webhook_is_found_at_the_step() -> None:
    world = World()
    world.people["hanako"] = a_person("hanako")
    world.orders("hanako")
    world.adds(replace(world.people["hanako"], carts=(a_cart(),)))
    world.at("2026-03-02 11:00", world.sweeps)
    world.play()
    assert world.mails() == []
    assert world.ledger_states("hanako") == {"mail_1": "ordered"}


def test_a_cart_that_moved_to_another_person_is_theirs() -> None:
    world = World()
    world.adds(a_person("visitor", a_cart(), email=None))
    world.adds(a_person("hanako", a_cart()))
    assert world.enrolment("hanako").occurrence == cart_occurrence(a_cart())
    assert world.enrolments.of_customer(TENANT, CustomerId("visitor")) == []


def test_the_sweep_function_hands_its_scenario_over() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    assert sweep_function.handler({"scenario": "cart_abandoned"}, None, deps=world.sweep_deps()) == {TENANT: 1}
