"""Where a person stands in a scenario (登録), and the lists that a state machine moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from shared.core.ids import CustomerId, ScenarioId, TenantId, digest
from shared.customers.model import Cart, Order, Subscription


class EnrolmentState(StrEnum):
    """ARMED waits in the due index; ENTERED moves with an execution; the others are final."""

    ARMED = "armed"
    ENTERED = "entered"
    FINISHED = "finished"
    """Came to the end."""
    EXITED = "exited"
    """Left by an exit rule, with its reason."""
    FAILED = "failed"
    """A step broke on this person again and again: put aside so that the others can go on."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What an enrolment is about: enough to find it among the person's carts, orders or contracts."""

    source: str = ""
    store: str = ""
    key: str = ""
    """Token of the cart, id of the order, contract or friend; of anything else what makes it this one."""
    kind: str = "cart"
    """`cart`, `order`, `contract`, `friend` or `person`."""

    @property
    def is_cart(self) -> bool:
        """Carts alone are touched again, and put off."""
        return self.kind == "cart"


EnrolmentKey = tuple[TenantId, ScenarioId, str]
"""Tenant, scenario and occurrence: there is one enrolment of each."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One row per (tenant, scenario, occurrence), for ever: a cart (an order, a birthday) is written to about once."""

    tenant: TenantId
    scenario: ScenarioId
    occurrence: str
    """Digest of what it is about: a cart's token opens a checkout, so it is never a key."""
    customer_id: CustomerId
    instance: Instance
    touched_at: datetime
    """When what let them in happened: "since they entered" counts from here."""
    state: EnrolmentState = EnrolmentState.ARMED
    due_at: datetime | None = None
    """When they were to be collected; kept, because what comes later is late from here."""
    execution: str = ""
    version: str = ""
    entered_at: datetime | None = None
    step: str = ""
    """The last step done."""
    outcome: str = ""
    """What became of it there: `sent`, an arm, or the reason."""
    moved_at: datetime | None = None

    @property
    def key(self) -> EnrolmentKey:
        """Which one it is."""
        return self.tenant, self.scenario, self.occurrence

    @property
    def member(self) -> Member:
        """Its line in a cohort file."""
        return Member(self.occurrence, self.customer_id)


@dataclass(frozen=True, slots=True)
class Member:
    """One line of a cohort: ids only."""

    occurrence: str
    customer_id: CustomerId


@dataclass(frozen=True, slots=True)
class Batch:
    """Some tens of people in one object of the work bucket; `part` is the list within it (`all`, or an arm)."""

    key: str
    part: str
    index: str
    """Unique among the batches that one execution sends through one step."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """A list of people: one batch (`key` is the batch), or many (`key` is the list of batches)."""

    key: str
    part: str
    size: int
    batches: int


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """What one batch of people met at one step: outcome → people. Overwritten when the batch is repeated."""

    tenant: TenantId
    scenario: ScenarioId
    on: date
    """Shop day on which the step was planned."""
    execution: str
    step: str
    batch: str
    counts: Mapping[str, int]
    due: int = 0
    """People in hand before anything was decided: the counts must add up to it."""


def occurrence_of(source: str, store: str, token: str) -> str:
    """The identity of a cart in a scenario."""
    return digest("cart", source, store, token)


def cart_occurrence(cart: Cart) -> str:
    """A cart and the checkout made from it are one occurrence: the cart's token where it is known."""
    return occurrence_of(cart.source, cart.store, cart.cart_token or cart.token)


def order_occurrence(order: Order) -> str:
    """The identity of an order in a scenario."""
    return digest("order", order.source, order.store, order.order_id)


def contract_occurrence(contract: Subscription) -> str:
    """The identity of a contract in a scenario: once for each state it comes into."""
    return digest("contract", contract.source, contract.store, contract.subscription_id, contract.state)


def person_occurrence(customer_id: CustomerId, *what: str) -> str:
    """The identity of something that happened to a person, or of a day of theirs."""
    return digest("person", customer_id, *what)


def order_occurrences(order: Order) -> tuple[str, ...]:
    """The carts an order can have come from."""
    tokens = dict.fromkeys(token for token in (order.cart_token, order.checkout_token) if token)
    return tuple(occurrence_of(order.source, order.store, token) for token in tokens)
