"""What a month of paid messages may come to (配信予算, I8): reserved before the provider is called, never after.

    {"budget": {"line": 5000, "sms": 300}}

in section `delivery` of the shop's settings: messages of LINE and parts of SMS in a calendar month of the shop; `null`
is no limit. LINE's default is the free plan's 200. SMS has none: a channel that costs about ten yen a part is not
opened by default.

A worker takes of the month in lots (`Lots`), and what is left of the last one goes back when its batch is done. A crash
may count a lot that was not used up, never the other way round: the count is written before the mark on the send's
row, and every write is made once, without the SDK's retries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from shared.core.clock import Clock, SystemClock, shop_day
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.delivery.channels.channel import (
    Accepted,
    Around,
    Message,
    NotSentError,
    RefusedError,
    StoppedError,
)
from shared.delivery.model import SendKey
from shared.delivery.policy import SECTION
from shared.delivery.spend.store import SpendStore

DEFAULTS = {"line": 200}
"""Messages a month where the shop says nothing."""

LOT = 10
"""Units of one write, from the second of a batch on: one for each would write the month's row 480 times a second
(reliability.md T13).
"""


@dataclass(frozen=True, slots=True)
class Account:
    """A month of a shop's channel, and what it may come to (None: no limit)."""

    tenant: TenantId
    name: str
    cap: int | None


@dataclass(frozen=True, slots=True)
class Reserved:
    """Whether the units are there, and whether this call took them (an earlier one may have)."""

    granted: bool
    mine: bool = False


class Lots:
    """What this worker has in hand of the budgets: taken and counted, not used yet."""

    def __init__(self, store: SpendStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._left: dict[Account, int] = {}
        self._missing: dict[Account, int] = {}
        """So many units were not to be had: asking for each message of a batch would be a write each."""

    def reserve(self, key: SendKey, account: Account, units: int) -> Reserved:
        """Take `units` for one send, once, unless the cap would be passed."""
        if not self._take(account, units):
            return Reserved(self._store.is_marked(key))
        if self._store.mark(key):
            return Reserved(True, mine=True)
        self._put(account, units)
        if not self._store.is_marked(key):
            raise UnavailableError("the send's row disappeared while it was counted (erased?); try again")
        return Reserved(True)

    def give_back(self, key: SendKey, account: Account, units: int) -> None:
        """What this send took was surely not used."""
        if self._store.unmark(key):
            self._put(account, units)

    def put_back(self) -> None:
        """A batch is done: what is left is anybody's. If that fails, the month has a lot less: better than one more."""
        with self._lock:
            left, self._left, self._missing = self._left, {}, {}
        for account, units in left.items():
            if units:
                with suppress(UnavailableError):
                    self._store.count(account.tenant, account.name, -units)

    def _take(self, account: Account, units: int) -> bool:
        with self._lock:
            short = units - self._left.get(account, 0)
            if short > 0:
                self._draw(account, short)
            enough = self._left.get(account, 0) >= units
            if enough:
                self._left[account] -= units
            return enough

    def _draw(self, account: Account, short: int) -> None:
        if short >= self._missing.get(account, short + 1):
            return
        most = max(short, LOT) if account in self._left else short
        taken = self._store.take(account.tenant, account.name, short, most, account.cap)
        self._left[account] = self._left.get(account, 0) + taken
        if not taken:
            self._missing[account] = short

    def _put(self, account: Account, units: int) -> None:
        with self._lock:
            self._left[account] = self._left.get(account, 0) + units


@dataclass(frozen=True)
class Budgeted(Around):
    """A channel that stops when the shop's month is spent."""

    name: str
    units: Callable[[Message], int]
    """What a message counts: 1 on LINE, its parts as SMS."""
    lots: Lots
    read_shop: Callable[[TenantId], Shop]
    clock: Clock = field(default_factory=SystemClock)

    def send(self, message: Message) -> Accepted:
        """Reserve, then send; what surely did not leave is given back."""
        shop = self.read_shop(message.key.tenant)
        account = Account(shop.tenant, month_of(self.name, shop, self.clock.now()), cap_of(self.name, shop))
        units = self.units(message)
        reserved = self._reserve(message.key, account, units)
        try:
            return self.channel.send(message)
        except (NotSentError, StoppedError, RefusedError, MisconfiguredError):
            if reserved.mine:
                # If that fails, the month has a message less: better than one too many.
                with suppress(UnavailableError):
                    self.lots.give_back(message.key, account, units)
            raise

    def _reserve(self, key: SendKey, account: Account, units: int) -> Reserved:
        try:
            reserved = self.lots.reserve(key, account, units)
        except UnavailableError as error:
            raise NotSentError(f"the budget could not be read: {error}") from error
        if not reserved.granted:
            said = f"the month's budget of {self.name} is used up ({account.cap}): see {SECTION}.budget (配信予算)"
            raise StoppedError(said)
        return reserved


def month_of(channel: str, shop: Shop, now: datetime) -> str:
    """The month a message is counted in: `line#2026-11`, by the shop's calendar."""
    return f"{channel}#{shop_day(now, shop.timezone):%Y-%m}"


def cap_of(channel: str, shop: Shop) -> int | None:
    """The shop's monthly limit of a channel; None: no limit."""
    setting = shop.section(SECTION).get("budget") or {}
    if not isinstance(setting, dict):
        raise MisconfiguredError(f'{SECTION}.budget must be an object like {{"line": 5000, "sms": 300}}')
    if channel not in setting and channel not in DEFAULTS:
        raise MisconfiguredError(
            f"{SECTION}.budget.{channel} is not set: `matakite shop set --setting {SECTION}.budget.{channel}=300`"
        )
    cap = setting.get(channel, DEFAULTS.get(channel))
    if cap is None or (isinstance(cap, int) and not isinstance(cap, bool) and cap >= 0):
        return cap
    raise MisconfiguredError(f"{SECTION}.budget.{channel} must be a whole number, or null for no limit: {cap!r}")
