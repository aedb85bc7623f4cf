"""What a month of paid messages may come to (配信予算, I8): reserved before the provider is called, never after.

    {"budget": {"line": 5000, "sms": 300}}

in section `delivery` of the shop's settings: messages of LINE and parts of SMS in a calendar month of the shop; `null`
is no limit. LINE's default is the free plan's 200. SMS has none: a channel that costs about ten yen a part is not
opened by default.

A crash may count a message that never left, never the other way round: the count is written before the mark on the
send's row, and every write is made once, without the SDK's retries.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from shared.core.aws import domain_errors
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

DEFAULTS = {"line": 200}
"""Messages a month where the shop says nothing."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """Whether the units are there, and whether this call took them (an earlier one may have)."""

    granted: bool
    mine: bool = False


class SpendStore(Protocol):
    """Counts the units of each month. Every method may raise UnavailableError."""

    def reserve(self, key: SendKey, account: str, units: int, cap: int | None) -> Reserved:
        """Take `units` for one send, once, unless the cap would be passed."""
        ...

    def give_back(self, key: SendKey, account: str, units: int) -> None:
        """What this send took was surely not used."""
        ...

    def count(self, tenant: TenantId, account: str, units: int) -> None:
        """Units that no cap holds back."""
        ...

    def used(self, tenant: TenantId, account: str) -> int:
        """Units taken so far."""
        ...


def account_of(channel: str, shop: Shop, now: datetime) -> str:
    """The month a message is counted in: `line#2026-11`, by the shop's calendar."""
    return f"{channel}#{shop_day(now, shop.timezone):%Y-%m}"


def cap_of(channel: str, shop: Shop) -> int | None:
    """The shop's monthly limit of a channel; None: no limit."""
    setting = shop.section(SECTION).get("budget") or {}
    if not isinstance(setting, dict):
        raise MisconfiguredError(f'{SECTION}.budget must be an object like {{"line": 5000, "sms": 300}}')
    if channel not in setting and channel not in DEFAULTS:
        raise MisconfiguredError(f"{SECTION}.budget.{channel} is not set: say how much a month may cost at most")
    cap = setting.get(channel, DEFAULTS.get(channel))
    if cap is None or (isinstance(cap, int) and not isinstance(cap, bool) and cap >= 0):
        return cap
    raise MisconfiguredError(f"{SECTION}.budget.{channel} must be a whole number, or null for no limit: {cap!r}")


@dataclass(frozen=True)
class Budgeted(Around):
    """A channel that stops when the shop's month is spent."""

    name: str
    units: Callable[[Message], int]
    """What a message counts: 1 on LINE, its parts as SMS."""
    spend: SpendStore
    read_shop: Callable[[TenantId], Shop]
    clock: Clock = field(default_factory=SystemClock)

    def send(self, message: Message) -> Accepted:
        """Reserve, then send; what surely did not leave is given back."""
        shop = self.read_shop(message.key.tenant)
        account, units = account_of(self.name, shop, self.clock.now()), self.units(message)
        reserved = self._reserve(message.key, account, units, cap_of(self.name, shop))
        try:
            return self.channel.send(message)
        except (NotSentError, StoppedError, RefusedError, MisconfiguredError):
            if reserved.mine:
                # If that fails, the month has a message less: better than one too many.
                with suppress(UnavailableError):
                    self.spend.give_back(message.key, account, units)
            raise

    def _reserve(self, key: SendKey, account: str, units: int, cap: int | None) -> Reserved:
        try:
            reserved = self.spend.reserve(key, account, units, cap)
        except UnavailableError as error:
            raise NotSentError(f"the budget could not be read: {error}") from error
        if not reserved.granted:
            raise StoppedError(f"the month's budget of {self.name} is used up ({cap}): see {SECTION}.budget (配信予算)")
        return reserved


class MemorySpend:
    """A month in memory, for tests and replay."""

    def __init__(self) -> None:
        self._used: dict[tuple[TenantId, str], int] = {}
        self._taken: set[SendKey] = set()
        self._lock = threading.Lock()

    def reserve(self, key: SendKey, account: str, units: int, cap: int | None) -> Reserved:
        """See SpendStore."""
        with self._lock:
            if key in self._taken:
                return Reserved(True)
            used = self._used.get((key.tenant, account), 0)
            if cap is not None and used + units > cap:
                return Reserved(False)
            self._used[key.tenant, account] = used + units
            self._taken.add(key)
            return Reserved(True, mine=True)

    def give_back(self, key: SendKey, account: str, units: int) -> None:
        """See SpendStore."""
        with self._lock:
            if key in self._taken:
                self._taken.discard(key)
                self._used[key.tenant, account] -= units

    def count(self, tenant: TenantId, account: str, units: int) -> None:
        """See SpendStore."""
        with self._lock:
            self._used[tenant, account] = self._used.get((tenant, account), 0) + units

    def used(self, tenant: TenantId, account: str) -> int:
        """See SpendStore."""
        return self._used.get((tenant, account), 0)


class DynamoSpend:
    """In table `deliveries`: pk `{tenant}#budget`, sk the account; who took units is marked on the send's own row.

    `client` must not retry: a lost answer of a count must not be counted twice the wrong way round.
    """

    def __init__(self, table: str, client: Any) -> None:
        self._table = table
        self._client = client

    def reserve(self, key: SendKey, account: str, units: int, cap: int | None) -> Reserved:
        """See SpendStore."""
        if not self._count(key.tenant, account, units, cap):
            return Reserved(self._is_marked(key))
        if self._mark(key, uuid.uuid4().hex):
            return Reserved(True, mine=True)
        self._count(key.tenant, account, -units, None)
        if not self._is_marked(key):
            raise UnavailableError("the send's row disappeared while it was counted (erased?); try again")
        return Reserved(True)

    def give_back(self, key: SendKey, account: str, units: int) -> None:
        """See SpendStore."""
        if self._update(_send_row(key), "REMOVE spender", "attribute_exists(spender)", {}):
            self._count(key.tenant, account, -units, None)

    def count(self, tenant: TenantId, account: str, units: int) -> None:
        """See SpendStore."""
        self._count(tenant, account, units, None)

    def used(self, tenant: TenantId, account: str) -> int:
        """See SpendStore."""
        with domain_errors("read a budget"):
            found = self._client.get_item(TableName=self._table, Key=_month(tenant, account), ConsistentRead=True)
        return int(found.get("Item", {}).get("used", {"N": "0"})["N"])

    def _count(self, tenant: TenantId, account: str, units: int, cap: int | None) -> bool:
        values = {":units": {"N": str(units)}}
        if cap is None:
            return self._update(_month(tenant, account), "ADD used :units", None, values)
        if units > cap:
            return False
        room = "attribute_not_exists(used) OR used <= :room"
        return self._update(
            _month(tenant, account), "ADD used :units", room, {**values, ":room": {"N": str(cap - units)}}
        )

    def _mark(self, key: SendKey, spender: str) -> bool:
        # Only on a row that is there: one made here would be a send without its request.
        condition = "attribute_exists(pk) AND attribute_not_exists(spender)"
        return self._update(_send_row(key), "SET spender = :me", condition, {":me": {"S": spender}})

    def _is_marked(self, key: SendKey) -> bool:
        with domain_errors("read a send"):
            found = self._client.get_item(TableName=self._table, Key=_send_row(key), ConsistentRead=True)
        return "spender" in found.get("Item", {})

    def _update(self, key: dict[str, Any], change: str, condition: str | None, values: dict[str, Any]) -> bool:
        asked: dict[str, Any] = {"TableName": self._table, "Key": key, "UpdateExpression": change}
        if condition:
            asked["ConditionExpression"] = condition
        if values:
            asked["ExpressionAttributeValues"] = values
        with domain_errors("budget"):
            try:
                self._client.update_item(**asked)
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True


def _month(tenant: TenantId, account: str) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#budget"}, "sk": {"S": account}}


def _send_row(key: SendKey) -> dict[str, Any]:
    return {"pk": {"S": f"{key.tenant}#{key.customer_id}"}, "sk": {"S": f"send#{key.send_id}"}}
