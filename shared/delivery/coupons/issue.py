"""Coupons of one's own (個別クーポン): each person's code of a campaign, the same one however often it is asked for.

The cart decides what a code is worth, so it has to know every code beforehand. A campaign therefore hands out codes
from a book (コード台帳): made in the cart's admin and loaded here, or made here and imported there.

    given already?  that one
    take            the next number of the book, counted in one write (of a large book, the next few)
    give            the code of that number, unless another attempt was faster: then that one's

An attempt that dies between take and give leaves a code unused, and so does a worker that ends with a few in hand; no
code is ever given to two people.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from shared.core.clock import shop_day
from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.ids import CustomerId, TenantId
from shared.delivery.context import day

TOGETHER, OF_EACH = 10, 1_000
"""Numbers taken in one write at most, and one for so many that are left: a mail each would write the book 400 times a
second (reliability.md T13), and what ten workers may leave unused is a hundredth.
"""

_CAMPAIGN = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class NoCouponError(RejectedError):
    """There is none to give: the campaign is over, or its codes are used up. The mail must not promise one."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a campaign's coupons are worth, as the mail says it (the cart decides)."""

    benefit: str
    """`10%引き`"""
    condition: str = ""
    """`5,000円以上のお買い物`"""
    last_on: date | None = None
    """The last day any of them is good for (有効期限)."""
    valid_days: int | None = None
    """Days a code is good for, the day it is given counted; the cart must allow it until then."""

    def expires_on(self, given_on: date) -> date | None:
        """The last day a code given then is good for."""
        ends = given_on + timedelta(days=self.valid_days - 1) if self.valid_days else None
        return min((each for each in (ends, self.last_on) if each), default=None)


@dataclass(frozen=True, slots=True)
class Book:
    """A campaign's codes: how many there are, and how many have been taken."""

    campaign: str
    terms: Terms
    size: int = 0
    taken: int = 0

    @property
    def left(self) -> int:
        """Codes nobody has."""
        return self.size - self.taken


@dataclass(frozen=True, slots=True)
class Coupon:
    """One person's coupon. On the terms of the day it was given: what a mail promised does not change."""

    campaign: str
    code: str
    benefit: str
    condition: str
    expires_on: date | None
    given_at: datetime


class CouponStore(Protocol):
    """The books and who was given what. Every method may raise UnavailableError and be called again."""

    def given(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str) -> Coupon | None:
        """What this person was given on this occasion."""
        ...

    def of_customer(self, tenant: TenantId, customer: CustomerId) -> Sequence[Coupon]:
        """Everything this person was ever given, by campaign and occasion."""
        ...

    def take(self, tenant: TenantId, campaign: str, on: date, count: int = 1) -> tuple[Book, int] | None:
        """The first of the next `count` numbers (the book's first = 0) with the book as it then stands; None: no book,
        over, used up, or not known to hold so many.
        """
        ...

    def code(self, tenant: TenantId, campaign: str, number: int) -> str:
        """The code of a number that was taken."""
        ...

    def give(self, tenant: TenantId, customer: CustomerId, occurrence: str, coupon: Coupon) -> Coupon:
        """Note it, unless they were given one meanwhile: what they have."""
        ...

    def book(self, tenant: TenantId, campaign: str) -> Book | None:
        """A campaign's book."""
        ...

    def books(self, tenant: TenantId) -> Sequence[Book]:
        """Every campaign of a shop, by name."""
        ...

    def codes(self, tenant: TenantId, campaign: str) -> Iterator[str]:
        """Every code of a book, in the order of its numbers."""
        ...

    def add(self, tenant: TenantId, campaign: str, terms: Terms, codes: Sequence[str]) -> Book:
        """Codes to the end of the book (made if there is none), and its terms from now on."""
        ...


@dataclass(frozen=True)
class Coupons:
    """What a scenario's `coupon` step promises, and the message that names it gives."""

    store: CouponStore
    timezone_of: Callable[[TenantId], str]
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)
    _in_hand: dict[tuple[TenantId, str, date], deque[tuple[Book, int]]] = field(default_factory=dict, compare=False)
    """Numbers taken and not given yet, of a day: tomorrow the campaign may be over."""
    _together: dict[tuple[TenantId, str], int] = field(default_factory=dict, compare=False)

    def promise(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str, now: datetime) -> None:
        """They may be written to about one; none is used up. Raises as `issue` does."""
        if self.held(tenant, campaign, customer, occurrence):
            return
        book = self.store.book(tenant, campaign)
        on = shop_day(now, self.timezone_of(tenant))
        if book is None or book.left <= 0 or (book.terms.last_on or on) < on:
            raise _nothing(campaign, book)

    def issue(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str, now: datetime) -> Coupon:
        """This person's coupon for this occasion; asked again, the same. Raises NoCouponError (nothing to give),
        MisconfiguredError (no such campaign).
        """
        if held := self.held(tenant, campaign, customer, occurrence):
            return held
        given_on = shop_day(now, self.timezone_of(tenant))
        taken = self._take(tenant, campaign, given_on)
        if taken is None:
            raise _nothing(campaign, self.store.book(tenant, campaign))
        book, number = taken
        terms = book.terms
        coupon = Coupon(
            campaign,
            self.store.code(tenant, campaign, number),
            terms.benefit,
            terms.condition,
            terms.expires_on(given_on),
            now,
        )
        return self.store.give(tenant, customer, occurrence, coupon)

    def _take(self, tenant: TenantId, campaign: str, on: date) -> tuple[Book, int] | None:
        with self._lock:
            in_hand = self._in_hand.setdefault((tenant, campaign, on), deque())
            if not in_hand:
                in_hand.extend(self._draw(tenant, campaign, on))
            return in_hand.popleft() if in_hand else None

    def _draw(self, tenant: TenantId, campaign: str, on: date) -> list[tuple[Book, int]]:
        for count in dict.fromkeys((self._together.get((tenant, campaign), 1), 1)):
            if taken := self.store.take(tenant, campaign, on, count):
                book, first = taken
                self._together[tenant, campaign] = max(1, min(TOGETHER, book.left // OF_EACH))
                return [(book, first + n) for n in range(count)]
        return []

    def held(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str) -> Coupon | None:
        """What they were given, for a later mail about the same coupon."""
        return self.store.given(tenant, campaign, customer, occurrence)


def _nothing(campaign: str, book: Book | None) -> NoCouponError | MisconfiguredError:
    if book is None:
        return MisconfiguredError(f"no coupons {campaign!r}: load its codes with `matakite mail coupon load`")
    if book.left <= 0:
        return NoCouponError(f"the {book.size} codes of {campaign!r} are used up: load more, or end the campaign")
    return NoCouponError(f"the coupons {campaign!r} ended on {book.terms.last_on}")


def coupon_context(coupon: Coupon) -> dict[str, Any]:
    """`coupon` of a template."""
    return {
        "code": coupon.code,
        "benefit": coupon.benefit,
        "condition": coupon.condition or None,
        "expires_on": day(coupon.expires_on) if coupon.expires_on else None,
    }


def checked_campaign(name: str) -> str:
    """The name of a campaign. Raises RejectedError."""
    if not _CAMPAIGN.fullmatch(name):
        raise RejectedError(f"{name!r} is no name of a campaign: small letters, digits, - and _, at most 40")
    return name
