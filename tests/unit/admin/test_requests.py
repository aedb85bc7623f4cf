"""What customers ask a cart for waits for an admin until it is done; asking again is a request of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shared.ingest.model import Envelope
from tests.unit.admin.test_erase import GONE, NOW, STAYS, House, customer, envelope
from tests.unit.customers.world import STORE, TENANT


def asked(number: int | None, email: str, event: str, topic: str = "customers/data_request") -> Envelope:
    who: dict[str, Any] = {"id": number, "email": email, "phone": None}
    body = {"shop_id": 1, "shop_domain": STORE, "orders_requested": [], "customer": who, "data_request": {"id": 9}}
    return envelope(topic, f"customer/{number or event}", body, NOW, event)


def commands(house: House, *, every: bool = False) -> list[str]:
    found = house.customers.every_command(TENANT) if every else house.customers.commands(TENANT)
    return [each["command"] for each in found]


def test_a_request_waits_once_however_often_it_is_delivered_until_it_is_done() -> None:
    house = House()
    house.hear(customer(1, GONE), customer(2, STAYS))
    house.hear(asked(1, GONE, "r-1"), asked(1, GONE, "r-1"), asked(2, STAYS, "r-2"))
    assert commands(house) == ["export_person#r-1", "export_person#r-2"]
    assert house.customers.finish_command(TENANT, "export_person#r-1", NOW)
    assert commands(house) == ["export_person#r-2"]
    assert commands(house, every=True) == ["export_person#r-1", "export_person#r-2"]
    house.hear(asked(1, GONE, "r-3"))
    assert commands(house) == ["export_person#r-2", "export_person#r-3"], "asked anew"


def test_a_late_repetition_does_not_open_what_was_done_and_done_says_when_it_first_was() -> None:
    house = House()
    house.hear(customer(1, GONE), asked(1, GONE, "r-1"))
    house.customers.finish_command(TENANT, "export_person#r-1", NOW)
    house.customers.finish_command(TENANT, "export_person#r-1", NOW + timedelta(days=1))
    house.events.rows.clear()
    house.hear(asked(1, GONE, "r-1"))
    assert commands(house) == []
    (known,) = house.customers.every_command(TENANT)
    assert known["done_at"].startswith("2026-11-21T03:00:00"), known
    assert not house.customers.finish_command(TENANT, "export_person#never-asked", NOW)


def test_a_request_names_the_customer_number_and_never_the_address() -> None:
    house = House()
    house.hear(asked(1, GONE, "r-1"), asked(None, GONE, "r-2"))
    (known, nameless) = house.customers.every_command(TENANT)
    assert (known["source"], known["store"], known["subject"]) == ("shopify", STORE, f"shopify/{STORE}/customer/1")
    assert GONE not in str(known) + str(nameless)


def test_a_shop_that_is_to_be_erased_waits_for_an_admin_and_erases_nothing_by_itself() -> None:
    house = House()
    redact = envelope("shop/redact", "shop/shop", {"shop_id": 1, "shop_domain": STORE}, NOW, "s-1")
    house.hear(customer(1, GONE), redact)
    assert commands(house) == ["erase_shop#s-1"]
    assert house.who(GONE) is not None
