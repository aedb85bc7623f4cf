"""How fast mail may leave (送信ペース): the account's rate and day, read from SES itself, shared by every worker.

SES drops what comes faster than `MaxSendRate`, so a mail waits for its slot. Slots are spaced evenly on the wall clock;
a worker takes a block of them with one write to one row (`PaceStore.lease`), a long one while nobody else sends, and a
slot that its worker reaches too late is lost, never caught up: calls start within GRACE of their slot, and slots are
1/(1 + GRACE) of the rate, so no second of the clock, wherever it begins, holds more calls than `MaxSendRate`. Workers'
clocks must agree to a few milliseconds, as Lambda's do. A high rate is shared out to several queues, each a row of its
own: where many workers send, nearly every mail takes its slot with a write.

Waiting comes before anything is written for a person (`take`), so a person's row is not left reserved in a queue; the
last moment is waited out right before the call (`Turn.come`). Who is refused a turn was surely not sent, and the
batch comes back exactly where it stopped.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Protocol

from shared.core.clock import Clock, SystemClock, shop_day
from shared.core.errors import UnavailableError
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.delivery.channels.channel import NotSentError, StoppedError
from shared.delivery.model import Purpose, SendRequest
from shared.delivery.policy import ContactPolicy

GRACE = timedelta(milliseconds=200)
"""How late after its slot a call may start."""

BLOCK, ALONE = timedelta(seconds=0.5), timedelta(seconds=0.2)
"""The longest block, and the least of who sends alone: what of it is not used is lost to the account, and who comes
next waits for its end. Shorter than PATIENCE: whoever missed their turn still finds another.
"""

QUIET = timedelta(seconds=1)
"""Nobody sends, if the first free slot is older than this."""

QUEUE = timedelta(seconds=20)
"""A longer queue than this is not waited for: the batch comes back later, and nobody pays for a sleeping worker."""

PATIENCE = timedelta(milliseconds=500)
"""The longest wait right before the call: what was read of the person must not grow old (I3)."""

LONG = timedelta(seconds=2.5)
"""Whose block begins so much later takes the longest: by then its other threads are there to use it."""

PER_QUEUE = 100
"""Calls a second in one queue at most: even a write for each keeps its row below 100 a second (reliability.md T13). Not
fewer: a worker uses up the block of one queue before it takes another's, so this is also the most it can send.
"""

_MISSES = 10
"""Slots a mail may miss before it goes home: a worker short of processor time misses several in a row."""

LEARNT = timedelta(seconds=60)
"""How long the account's quota is believed."""

COOL_OFF = timedelta(minutes=4)
"""After SES asked to slow down nobody calls for so long, then twice as long: a throttled mail is called for thrice at
most in the ten minutes that SES's throttling may last."""

KEEP_BACK = 0.02
"""Share of the day's quota that is never used: it is read once a minute, by every worker for itself."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What SES says an account may send (GetAccount): a second, in 24 hours, and what of that is used."""

    per_second: float
    per_day: float
    """-1: no limit."""
    used_today: float
    enabled: bool = True
    """False: SES has paused the account."""

    @property
    def left(self) -> float:
        """Mails that may still leave in these 24 hours."""
        return float("inf") if self.per_day < 0 else self.per_day * (1 - KEEP_BACK) - self.used_today


@dataclass(frozen=True, slots=True)
class Lease:
    """A block of slots that is ours."""

    start: datetime
    free_at: datetime | None
    """The first slot that was free, gone by or not; None: nobody ever sent."""


class PaceStore(Protocol):
    """Slots and counts that workers share. Every method may raise UnavailableError."""

    def lease(self, account: str, length: timedelta, now: datetime, until: datetime) -> Lease | None:
        """Take the slots of so long a time from the first free one at or after `now`; None if that is after `until`."""
        ...

    def count_day(self, domain: str, on: date, count: int, cap: int) -> bool:
        """Count mails of a sending domain on a day, unless that would pass the cap."""
        ...

    def stopped(self, tenant: TenantId) -> str:
        """Why a shop's sending is stopped; empty when it is not."""
        ...


class Turn(Protocol):
    """One mail's place in the queue."""

    def come(self) -> None:
        """Wait for it; return when the call may start at once. Raises NotSentError when it was missed."""
        ...

    def answered(self, *, busy: bool) -> None:
        """What the provider said: that it is too busy, or anything else."""
        ...


class Turns(Protocol):
    """Who may call a provider when."""

    def take(self, request: SendRequest, shop: Shop, policy: ContactPolicy, domain: str) -> Turn:
        """A turn for one message, waited for until shortly before. Raises NotSentError (too busy for now) or
        StoppedError (nothing more today, or until somebody acts); nothing was written for the person then.
        """
        ...


class _AtOnce:
    def come(self) -> None:
        """See Turn."""

    def answered(self, *, busy: bool) -> None:
        """See Turn."""


class NoQueue:
    """Everybody may call at once: channels without a pace, tests and replay."""

    def take(self, request: SendRequest, shop: Shop, policy: ContactPolicy, domain: str) -> Turn:
        """See Turns."""
        return _AtOnce()


NO_QUEUE = NoQueue()


class Pace:
    """The queue of one account in this worker: blocks of slots, given out to its threads in order."""

    def __init__(
        self,
        account: str,
        store: PaceStore,
        quota: Callable[[], Quota],
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._store = store
        self._read_quota = quota
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._slots: deque[datetime] = deque()
        self._waiting = 0
        self._quota: Quota | None = None
        self._read_at: datetime | None = None
        self._leased = 0
        self._left_at: dict[int, datetime] = {}
        """The end of our last block in each queue."""
        self._alone = False
        """Nobody else took a block between our last two, or for a while before the last."""
        self._behind = False
        """Our last block began LONG after we asked."""
        self._cool_until: datetime | None = None
        self._cool_for = COOL_OFF
        self.ahead = timedelta(milliseconds=200)
        """How long before its slot a turn is given: about what a mail needs until its call, learnt from the last."""

    def now(self) -> datetime:
        """The wall clock, by which slots are counted."""
        return self._clock.now()

    def take(self) -> _Slot:
        """A slot, waited for until `ahead` of it."""
        if self._cool_until is not None and self.now() < self._cool_until:
            raise NotSentError("SES asked to slow down; nothing is called until it has had a rest")
        # Of the time at which the mail will be ready: a slot before that would be lost.
        at = self._next(QUEUE, self.ahead)
        if at is None:
            raise NotSentError("more mail is waiting than the account may send soon; come back later")
        self.sleep_until(at - self.ahead)
        return _Slot(self, at, self.now())

    def again(self, within: timedelta) -> datetime:
        """Another slot for somebody who missed theirs. Raises NotSentError if it would be too long a wait."""
        at = self._next(within)
        if at is None:
            raise NotSentError("the mail missed its turn; come back later")
        return at

    def sleep_until(self, at: datetime) -> None:
        """Wait, if it is not past."""
        seconds = (at - self.now()).total_seconds()
        if seconds > 0:
            self._sleep(seconds)

    def learn(self, took: timedelta) -> None:
        """How long a mail needed from its turn to its call."""
        floor, ceiling = timedelta(milliseconds=50), PATIENCE * 0.8
        self.ahead = min(ceiling, max(floor, self.ahead * 0.8 + took * 1.5 * 0.2))

    def answered(self, *, busy: bool) -> None:
        """Rest when SES is busy: the first of a worker's threads to hear it decides for all."""
        with self._counting:
            now = self.now()
            if not busy:
                self._cool_until, self._cool_for = None, COOL_OFF
            elif self._cool_until is None or now >= self._cool_until:
                self._cool_until, self._cool_for = now + self._cool_for, min(self._cool_for * 2, 2 * COOL_OFF)

    def _next(self, within: timedelta, ahead: timedelta = timedelta(0)) -> datetime | None:
        with self._counting:
            self._waiting += 1
        try:
            with self._lock:
                return self._from_block(within, ahead)
        finally:
            with self._counting:
                self._waiting -= 1

    def _from_block(self, within: timedelta, ahead: timedelta) -> datetime | None:
        now = self.now() + ahead  # after the lock: standing in line for it is no part of the wait
        until = now + within
        while self._slots and self._slots[0] + GRACE / 2 < now:
            self._slots.popleft()
            self._leased -= 1
        if not self._slots:
            self._lease(now, until)
        return self._slots.popleft() if self._slots and self._slots[0] <= until else None

    def _lease(self, now: datetime, until: datetime) -> None:
        """One write for a block in one of the queues; any of them, or all workers would stand in the same."""
        quota = self._known_quota(now)
        queues = max(1, math.ceil(quota.per_second / PER_QUEUE))
        queue = now.microsecond % queues
        # Whole calls a second where there are several: the parts of calls would add up to calls too many.
        rate = (quota.per_second // queues if queues > 1 else quota.per_second) / (1 + GRACE.total_seconds())
        count = int(max(1, min(self._wanted(rate, queues), quota.left - self._leased)))
        spacing = timedelta(seconds=1 / rate)
        account = f"{self._account}#{queue}" if queue else self._account
        lease = self._store.lease(account, spacing * count, now, until)
        if lease is None:
            return
        self._alone = lease.free_at in (None, self._left_at.get(queue)) or now - lease.free_at > QUIET
        self._behind = lease.start - now > LONG
        self._left_at[queue] = lease.start + spacing * count
        self._leased += count
        self._slots.extend(lease.start + spacing * n for n in range(count))

    def _wanted(self, rate: float, queues: int) -> float:
        """Where others send, too, no more slots than there are threads to use them in time."""
        longest = rate * BLOCK.total_seconds()
        if self._behind and queues == 1:
            return longest
        least = math.ceil(rate * ALONE.total_seconds()) if self._alone else 1
        return max(least, min(self._waiting, longest))

    def _known_quota(self, now: datetime) -> Quota:
        if self._quota is None or self._read_at is None or now - self._read_at > LEARNT:
            self._quota, self._read_at, self._leased = self._read_quota(), now, 0
        if not self._quota.enabled:
            raise StoppedError("SES has paused this account's sending")
        if self._quota.per_second <= 0 or self._quota.left - self._leased < 1:
            raise StoppedError("the account's mails of 24 hours are used up; it goes on by itself as they expire")
        return self._quota


class _Slot:
    """A turn that is a slot of the account's rate."""

    def __init__(self, pace: Pace, at: datetime, given_at: datetime) -> None:
        self._pace = pace
        self._at = at
        self._given_at = given_at

    def come(self) -> None:
        """See Turn."""
        now = self._pace.now()
        self._pace.learn(now - self._given_at)
        for _ in range(_MISSES):
            if now <= self._at + GRACE:
                self._pace.sleep_until(self._at)
                now = self._pace.now()
                if now <= self._at + GRACE:
                    self._at = now - GRACE * 2  # used: a second call needs another slot
                    return
            self._at = self._pace.again(PATIENCE)
        raise NotSentError("the mail missed its turn; come back later")

    def answered(self, *, busy: bool) -> None:
        """See Turn."""
        self._pace.answered(busy=busy)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A turn of a warm-up day: who is sent home by it will be counted when they come again."""

    turn: Turn
    give_back: Callable[[], None]

    def come(self) -> None:
        """See Turn."""
        try:
            self.turn.come()
        except NotSentError:
            self.give_back()
            raise

    def answered(self, *, busy: bool) -> None:
        """See Turn."""
        if busy:
            self.give_back()
        self.turn.answered(busy=busy)


_BLOCK = 20
"""A warm-up day's cap is counted in so many blocks at most per worker: few writes, and little of the cap is lost."""


class MailTurns:
    """Turns of mail: not while the shop is stopped, not over the domain's warm-up, not faster than the account."""

    def __init__(self, pace: Pace, store: PaceStore, clock: Clock | None = None) -> None:
        self._pace = pace
        self._store = store
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._allowed: dict[tuple[str, date], int] = {}
        self._stopped: dict[TenantId, tuple[datetime, str]] = {}

    def take(self, request: SendRequest, shop: Shop, policy: ContactPolicy, domain: str) -> Turn:
        """See Turns."""
        if request.channel != "email":
            return _AtOnce()
        if why := self._why_stopped(shop.tenant):
            raise StoppedError(f"sending of shop {shop.tenant!r} is stopped: {why}; see `matakite delivery status`")
        today = shop_day(self._clock.now(), shop.timezone)
        warming = policy.warm_up if request.purpose is Purpose.MARKETING else None
        cap = warming.cap(today) if warming else None
        if cap is None:
            return self._pace.take()
        self._count(domain, today, cap)
        give_back = partial(self._give_back, domain, today)
        try:
            return _Counted(self._pace.take(), give_back)
        except UnavailableError:
            give_back()
            raise

    def _why_stopped(self, tenant: TenantId) -> str:
        now = self._clock.now()
        with self._lock:
            known = self._stopped.get(tenant)
        if known is None or now - known[0] > timedelta(seconds=10):
            known = now, self._store.stopped(tenant)
            with self._lock:
                self._stopped[tenant] = known
        return known[1]

    def _give_back(self, domain: str, today: date) -> None:
        with self._lock:
            self._allowed[domain, today] = self._allowed.get((domain, today), 0) + 1

    def _count(self, domain: str, today: date, cap: int) -> None:
        block = max(1, cap // (_BLOCK * 10))
        with self._lock:
            left = self._allowed.get((domain, today), 0)
            if left == 0:
                if not self._store.count_day(domain, today, block, cap):
                    raise StoppedError(f"{domain} is warming up: its {cap} mails of {today} have left")
                left = block
            self._allowed[domain, today] = left - 1
