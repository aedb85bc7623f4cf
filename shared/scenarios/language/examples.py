"""The cases a file promises (例): who, what happens to them, and what is to come of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from shared.customers.model import LtvTier, Status
from shared.scenarios.language.words import Duration, Part

ENTRY = "entry"
"""Stands for "before the first step" where an example names a step."""


class ExamplePerson(Part):
    """Who the example is about; the defaults are someone who may be written to."""

    id: str = "hanako"
    """Their customer id: what a split draws by."""
    email: str | None = "hanako@example.com"
    phone: str | None = None
    line_user_id: str | None = None
    last_name: str = "見本"
    first_name: str = "花子"
    consent: Literal["opt_in", "opt_out", "unknown"] = "opt_in"
    line_consent: Literal["opt_in", "opt_out", "unknown"] = "unknown"
    sms_consent: Literal["opt_in", "opt_out", "unknown"] = "unknown"
    attributes: dict[str, str | int | float | bool | tuple[str, ...]] = Field(default_factory=dict)
    tier: LtvTier | None = None
    status: Status | None = None
    segments: tuple[str, ...] = ()
    orders: int = Field(default=0, ge=0)
    """Orders long before the cart."""
    bounced: bool = False


class ExampleCart(Part):
    """The cart of the example; by default one thing in it, last touched on a Monday morning (shop time).

    Of an entry without a cart, `touched_at` is when the thing happened that lets them in.
    """

    touched_at: datetime = datetime(2026, 3, 2, 10, 0)  # noqa: DTZ001 - shop time, as a shop owner writes it
    quantity: int = Field(default=1, ge=0)
    """0: an empty cart."""
    historical: bool = False
    """Came with an import of old data."""


class ExampleEvent(Part):
    """Something that happens to the example's person, `after` so long since the cart was last touched."""

    after: Duration
    event: Literal[
        "order_placed",
        "other_order_placed",
        "cart_completed",
        "cart_emptied",
        "cart_touched",
        "opted_out",
        "opened",
        "clicked",
        "viewed",
        "logged_in",
        "contract_cancelled",
        "friend_cancelled",
    ]
    send: str | None = None
    """Of an opening or click: what was opened."""
    page_type: str | None = None
    path: str | None = None
    product: str | None = None


class ExpectSend(Part):
    """This message goes out."""

    send: str
    at: datetime | None = None
    """Shop time, checked when given."""
    channel: str | None = None
    """Checked when given."""


class ExpectSkip(Part):
    """This step is reached and holds the person back for this reason (`entry`: never entered)."""

    skip: str
    reason: str


Expect = Annotated[
    Annotated[ExpectSend, Tag("send")] | Annotated[ExpectSkip, Tag("skip")],
    Discriminator(lambda value: "skip" if isinstance(value, ExpectSkip) or "skip" in value else "send"),
]


class Example(Part):
    """A case that the file itself promises; `matakite scenario check` runs them all (例)."""

    title: str
    person: ExamplePerson = ExamplePerson()
    cart: ExampleCart = ExampleCart()
    then: tuple[ExampleEvent, ...] = ()
    expect: tuple[Expect, ...] = Field(min_length=1)
