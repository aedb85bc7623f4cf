"""Who is erased leaves every scenario, in memory and in DynamoDB; nobody else does, and no figure changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.scenarios.enrolment import FunnelRow
from shared.scenarios.store import EnrolmentStore
from tests.contract.scenarios.test_enrolment_store import CART, HANAKO, HOUR, NOW, armed, claim

SECOND = ScenarioId("second_purchase")
TARO = CustomerId("taro")


def test_every_place_of_a_person_goes_whatever_its_state_and_once(store: EnrolmentStore, tenant: TenantId) -> None:
    for each in (armed(tenant, "waits"), armed(tenant, "entered"), armed(tenant, "left"), armed(tenant, "other")):
        store.arm(replace(each, scenario=SECOND) if each.occurrence == "other" else each)
    store.arm(armed(tenant, "taros", customer="taro"))
    assert claim(store, tenant, "entered")
    assert store.disarm(tenant, CART, "left", "ordered", NOW)
    store.put_funnel(FunnelRow(tenant, CART, date(2026, 3, 2), "e", "1", "0", {"sent": 2}))
    assert store.forget(tenant, HANAKO) == 4
    assert store.of_customer(tenant, HANAKO) == []
    assert [e.occurrence for e in store.of_customer(tenant, TARO)] == ["taros"]
    assert [e.occurrence for e in store.due(tenant, CART, NOW + 2 * HOUR, 10)] == ["taros"]
    assert len(list(store.funnel(tenant, CART, date(2026, 3, 1), date(2026, 3, 3)))) == 1, "figures name nobody"
    assert store.forget(tenant, HANAKO) == 0, "repeating it is harmless"


def test_somebody_of_the_same_id_in_another_shop_stays(store: EnrolmentStore, tenant: TenantId) -> None:
    other = TenantId(f"{tenant}-2")
    for each in (tenant, other):
        store.arm(armed(each))
    assert store.forget(tenant, HANAKO) == 1
    assert [e.tenant for e in store.of_customer(other, HANAKO)] == [other]
