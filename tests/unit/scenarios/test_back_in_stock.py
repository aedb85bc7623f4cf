"""入荷通知: whoever asked for a product is told on the day after the night that finds it back, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.ids import CustomerId
from shared.customers.model import Visit
from shared.customers.store import ChangedRow
from shared.delivery.content.catalogue import Catalogue, Product
from shared.delivery.send import SendDeps
from shared.ingest.model import Line
from shared.scenarios.language.entries import STOCK_REQUEST
from shared.scenarios.model import LiveStatus
from shared.scenarios.read import read_text
from tests.unit.scenarios.test_places import Shop
from tests.unit.scenarios.test_words import AN_EXAMPLE, SEND, scenario_of
from tests.unit.scenarios.world import MORNING, TENANT, a_person, an_order

ENTRY = "{event: back_in_stock, product: [A-1, B-2], within: 10d}"


class Stock(Shop):
    """A shop whose product is sold out; the sweep comes every hour."""

    stock = 0

    def sends(self, deps: SendDeps) -> SendDeps:
        products = {"A-1": Product("A-1", "豆", stock=self.stock)}
        return replace(deps, read_catalogue=lambda _: Catalogue(products))

    def asks(self, product: str = "A-1") -> None:
        visit = Visit(f"v-{product}", self.clock.at, "tracked", STOCK_REQUEST, product_id=product)
        self.people["hanako"] = replace(a_person("hanako"), visits=(visit,))
        for _ in range(2):
            self._row(ChangedRow(TENANT, CustomerId("hanako"), "visits", False, visits=(visit,)))

    def delivery(self) -> None:
        self.stock = 5

    def runs(self, days: int) -> Stock:
        for hour in range(24 * days):
            self.timeline.at(MORNING + timedelta(hours=hour), lambda: void(self.sweeps()))
        self.play()
        return self


def void(_: object) -> None:
    """Forget an answer."""


@pytest.fixture
def shop() -> Stock:
    text = scenario_of(ENTRY, f"  - {SEND}", AN_EXAMPLE)
    return Stock(scenario=read_text(text).model_copy(update={"status": LiveStatus.LIVE}))


def test_they_are_told_once_it_is_back_and_not_before(shop: Stock) -> None:
    shop.asks()
    shop.at("2026-03-05 03:00", shop.delivery)
    shop.runs(8)
    (mail,) = shop.ledger.rows(TENANT, CustomerId("hanako"))
    assert (mail.sent_at, len(shop.ses.accepted)) == (MORNING + timedelta(days=3), 1)
    assert len(shop.executions) == 4, "one small look a day while it is sold out"


def test_a_request_does_not_stand_for_ever(shop: Stock) -> None:
    shop.asks()
    shop.at("2026-03-13 03:00", shop.delivery)
    shop.runs(16)
    assert shop.ses.accepted == []
    assert shop.enrolment("hanako").outcome == "not_eligible"


def test_who_has_bought_it_meanwhile_is_not_told(shop: Stock) -> None:
    shop.asks()
    line = Line(product_id="A-1", title="豆", quantity=1, unit_amount=1500)
    order = an_order("x", MORNING + timedelta(days=1), lines=(line,))
    shop.people["hanako"] = replace(shop.people["hanako"], orders=(order,))
    shop.delivery()
    shop.timeline.at(MORNING + timedelta(days=2), lambda: void(shop.sweeps()))
    shop.play()
    assert shop.ses.accepted == []


def test_a_product_the_scenario_is_not_about_arms_nobody(shop: Stock) -> None:
    shop.asks("Z-9")
    assert list(shop.enrolments.people(TENANT, shop.scenario.scenario_id)) == []
