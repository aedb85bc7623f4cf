"""Send one message at most once, with nothing lost: the whole protocol of the send ledger (store.py) in one call.

    deliver   read caps → gate → RESERVE → read the person again → gate → render → claim a slot → MARK → SEND → RECORD
              in doubt, on a channel that takes repeats: take the row over → read again → gate → SEND → RECORD
    hold_back record that the scenario itself holds somebody back, so that due = sent + held back

Raises UnavailableError when nothing is decided yet and the same call must be made again: another attempt owns the row,
a service did not answer, the provider throttled (NotSentError) or paused the account (StoppedError). An `Outcome` in
state RESERVED (reason QUIET_HOURS) means the same without an error: come back after `quiet_seconds`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import NoReturn

from shared.core.clock import Clock, SystemClock
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.model import PersonState
from shared.delivery import tokens
from shared.delivery.channels.channel import (
    AmbiguousError,
    Channel,
    Message,
    NotSentError,
    RefusedError,
    StoppedError,
)
from shared.delivery.content.catalogue import EMPTY, Catalogue
from shared.delivery.context import NOTHING, Drawn, share_link, template_context
from shared.delivery.coupons.issue import NoCouponError
from shared.delivery.links.link import tagged
from shared.delivery.model import Contact, LedgerRow, Outcome, Purpose, Reason, SendRequest, SendState
from shared.delivery.pacing import NO_QUEUE, Turn, Turns
from shared.delivery.policy import ContactPolicy, contact_policy
from shared.delivery.render import Renderer, TemplateError
from shared.delivery.rules import (
    Action,
    Decision,
    address,
    decide,
    held,
    held_back,
    quiet_seconds,
    remembered_days,
    with_slot,
)
from shared.delivery.sender import Sender, sender_of
from shared.delivery.store import Attempt, LedgerStore

__all__ = ["SendDeps", "deliver", "hold_back", "quiet_seconds"]

FRESH_SECONDS = 1.0
"""I3: no call starts later than this after the read that allowed it."""

CLAIMS = 10
"""Attempts at the contact row before the batch is asked to come back; each conflict is somebody else's progress."""

READS = 3
"""Reads of the person before we say the customer store is too slow to send safely."""

RELEASES = 3
"""Attempts to let go of a row that was surely not sent: one that stays SENDING is in doubt for ever."""

IN_DOUBT = Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS)

DEFERRED = Outcome(SendState.RESERVED, Reason.QUIET_HOURS)


@dataclass(frozen=True)
class SendDeps:
    """The ports `deliver` works through; everything that can fail or wait is behind one of them."""

    ledger: LedgerStore
    read_person: Callable[[TenantId, CustomerId], PersonState | None]
    """Strongly consistent; follows merges."""
    read_shop: Callable[[TenantId], Shop]
    channels: Mapping[str, Channel]
    renderer: Renderer
    keys: KeyRing
    read_catalogue: Callable[[TenantId], Catalogue] = lambda _tenant: EMPTY
    """What the shop sells: read only for a template that shows products."""
    clock: Clock = field(default_factory=SystemClock)
    """For leases: the machine's time, never the schedule's."""
    monotonic: Callable[[], float] = time.monotonic
    new_owner: Callable[[], str] = lambda: uuid.uuid4().hex
    turns: Turns = NO_QUEUE
    """Who may call a provider when: rate, day, warm-up, stopped shops."""
    put_back: Callable[[], None] = lambda: None
    """Called when a batch is done: what was taken of a budget for it and not used is anybody's again."""


def deliver(
    request: SendRequest, person: PersonState | None, deps: SendDeps, now: datetime, drawn: Drawn = NOTHING
) -> Outcome:
    """Send `request` unless the gate holds it back. `person` is what the caller already read: enough to hold somebody
    back with a single write, never enough to send (that takes a read made after the reservation). What is `drawn` is
    drawn after that: nobody who is held back uses up a coupon.
    """
    return _Delivery(request, deps, now, drawn).run(person)


def hold_back(request: SendRequest, reason: Reason, deps: SendDeps, now: datetime) -> Outcome:
    """Record that the scenario holds this person back for `reason`; the row's own outcome if it already has one.

    A row left SENDING by an attempt that died becomes UNKNOWN, so a batch that is given up can be closed with this.
    """
    delivery = _Delivery(request, deps, now)
    return delivery.close(held_back(reason))


@dataclass(frozen=True, slots=True)
class _Shop:
    """A shop's settings, parsed for one delivery before anything is written: a wrong one stops the batch, clean."""

    shop: Shop
    policy: ContactPolicy
    sender: Sender


class _Delivery:
    """One call of `deliver`."""

    def __init__(self, request: SendRequest, deps: SendDeps, now: datetime, drawn: Drawn = NOTHING) -> None:
        self.request = request
        self.key = request.key
        self.deps = deps
        self.now = now
        self.drawn = drawn
        self.attempt = Attempt(deps.new_owner(), now)
        self.people: tuple[CustomerId, ...] = (request.customer_id,)
        """The person and those merged into them; the first one's contact row takes the slot."""
        self.turn: Turn | None = None
        self.slot_at: datetime | None = None
        """The slot this send holds, from this attempt or an earlier one."""

    def run(self, person: PersonState | None) -> Outcome:
        """The protocol, from the first look to the record."""
        channel = self._channel()
        house = self._shop()
        contact = self._contact(person)
        early = decide(person, self.request, contact, house.policy, self.now)
        if early.action is Action.DEFER:
            return DEFERRED
        if early.action is not Action.SEND:
            return self.close(held(early))
        if self.request.staged:
            return self.close(held_back(Reason.STAGED))
        # Waited for before anything is written: a queue leaves no reserved rows behind.
        self.turn = self.deps.turns.take(self.request, house.shop, house.policy, house.sender.domain)
        reservation = self.deps.ledger.reserve(self.request, self.attempt, self.deps.clock.now())
        if reservation.mine:
            return self._prepare_and_send(channel, house, contact)
        if self._may_repeat(channel, reservation.row):
            return self._repeat(channel, house, contact, reservation.row)
        return self._meet(reservation.row)

    def close(self, outcome: Outcome) -> Outcome:
        """Record a final outcome in one write; if somebody was here before, what the row says."""
        found = self.deps.ledger.hold(self.request, outcome, self.attempt, self.deps.clock.now())
        if not found.mine:
            return self._meet(found.row)
        self._unclaim()
        return outcome

    def _prepare_and_send(self, channel: Channel, house: _Shop, contact: Contact) -> Outcome:
        try:
            prepared = self._prepare(house, contact)
        except (UnavailableError, MisconfiguredError):
            # Surely not sent: let go, so that the retry need not wait for the lease. If that fails too, it waits.
            with suppress(UnavailableError):
                self._let_go(Reason.NONE)
            raise
        return prepared if isinstance(prepared, Outcome) else self._send(channel, prepared)

    def _prepare(self, house: _Shop, contact: Contact) -> Outcome | Message:
        """CONSENT and MARK: the message that may go now, or the outcome of not sending it."""
        read_at, person = self._read()
        decision = decide(person, self.request, contact, house.policy, self.now)
        if person is None or decision.action is not Action.SEND:
            return self._withdraw(decision)
        try:
            message = self._message(person, house)
        except TemplateError:
            return self._withdraw_as(held_back(Reason.TEMPLATE))
        except NoCouponError:
            return self._withdraw_as(held_back(Reason.NO_COUPON))
        decision = self._claim(person, contact, house.policy)
        if decision.action is not Action.SEND:
            return self._withdraw(decision)
        if not self.deps.ledger.mark(self.key, self.attempt, self.deps.clock.now()):
            self._lost()
        return self._still_allowed(read_at, person, house, message)

    def _still_allowed(self, read_at: float, person: PersonState, house: _Shop, message: Message) -> Outcome | Message:
        """An opt-out wins until a second before the call starts (I3), which is when its turn has come."""
        for _ in range(READS):
            self._come()
            if self._still_fresh(read_at):
                return replace(message, still_fresh=partial(self._still_fresh, read_at))
            read_at, fresh = self._read()
            if fresh == person:
                continue
            decision = decide(fresh, self.request, self._contact(fresh), house.policy, self.now)
            if fresh is None or decision.action is not Action.SEND:
                return self._withdraw(decision)
            message, person = self._message(fresh, house), fresh
        raise UnavailableError("reading the person takes longer than an opt-out may wait; try again")

    def _still_fresh(self, read_at: float) -> bool:
        return self.deps.monotonic() - read_at <= FRESH_SECONDS

    def _send(self, channel: Channel, message: Message, *, again: bool = False) -> Outcome:
        """SEND and RECORD. What a repeat is told says nothing about the first call, which may have been accepted."""
        try:
            accepted = channel.send(message)
        except (NotSentError, StoppedError, MisconfiguredError) as error:
            if self.turn is not None:
                self.turn.answered(busy=isinstance(error, NotSentError))
            if again:
                self._leave_open()
            else:
                self._give_back(Reason.STOPPED if isinstance(error, StoppedError) else Reason.NONE)
            raise
        except RefusedError:
            return self._record(IN_DOUBT) if again else self._withdraw_as(held_back(Reason.REJECTED))
        except AmbiguousError as error:
            if channel.repeats is None:
                return self._record(IN_DOUBT)
            self._leave_open()
            raise UnavailableError(f"the answer to {self.key.send_id} was lost; repeat it with the same key") from error
        if self.turn is not None:
            self.turn.answered(busy=False)
        return self._record(Outcome(SendState.SENT, Reason.NONE, accepted.message_id))

    def _come(self) -> None:
        """Wait for our turn; if it was missed, surely nothing was sent."""
        if self.turn is None:
            return
        try:
            self.turn.come()
        except NotSentError:
            self._unclaim()
            raise

    def _may_repeat(self, channel: Channel, row: LedgerRow) -> bool:
        """Was this send left in doubt, and does the provider still know a repeat of it by its key?"""
        now = self.deps.clock.now()
        if row.channel != self.request.channel:
            return False
        if channel.repeats is None or row.marked_at is None or not _left_open(row, now):
            return False
        return now < row.marked_at + channel.repeats

    def _repeat(self, channel: Channel, house: _Shop, contact: Contact, row: LedgerRow) -> Outcome:
        """Send again what an attempt left in doubt: the provider drops it if it has it. A person who would be held
        back by now gets no second call, and whether they got the first stays unknown.
        """
        if not self.deps.ledger.take_over(row, self.attempt, self.deps.clock.now()).mine:
            self._lost()
        read_at, person = self._read()
        decision = decide(person, self.request, contact, house.policy, self.now)
        if decision.action is Action.DEFER:
            self._leave_open()
            return DEFERRED
        if person is None or decision.action is not Action.SEND:
            return self._record(IN_DOUBT)
        try:
            message = self._message(person, house)
        except (TemplateError, NoCouponError):
            return self._record(IN_DOUBT)
        if not self._still_fresh(read_at):
            self._leave_open()
            raise UnavailableError("reading the person takes longer than an opt-out may wait; try again")
        message = replace(message, still_fresh=partial(self._still_fresh, read_at))
        return self._send(channel, message, again=True)

    def _leave_open(self) -> None:
        """The row stays in doubt and is anybody's to repeat; if that cannot be written, once its lease is over."""
        with suppress(UnavailableError):
            self.deps.ledger.doubt(self.key, self.attempt, self.deps.clock.now())

    def _meet(self, row: LedgerRow) -> Outcome:
        """Somebody was here before: what the row says, once nobody works on it any more."""
        now = self.deps.clock.now()
        if _left_open(row, now):
            row = self.deps.ledger.abandon(row, now).row
        if row.state in (SendState.RESERVED, SendState.SENDING):
            raise UnavailableError(f"another attempt is sending {self.key.send_id}; try again after its lease")
        return row.outcome

    def _claim(self, person: PersonState, contact: Contact, policy: ContactPolicy) -> Decision:
        """Take a slot under the caps, or find that somebody else took the last one."""
        if self.request.purpose is not Purpose.MARKETING:
            return Decision(Action.SEND)
        tenant, customer = person.profile.tenant, person.profile.customer_id
        for _ in range(CLAIMS):
            decision = decide(person, self.request, contact, policy, self.now)
            if decision.action is not Action.SEND:
                return decision
            claimed = with_slot(contact, self.request, self.now, policy, remembered_days(person, policy))
            self.slot_at = self.now
            if self.deps.ledger.claim(tenant, customer, claimed.slots, contact.rev, claimed.about):
                return decision
            contact = self._contact(person)
        raise UnavailableError(f"too many sends to one person at once ({self.key.send_id}); try again")

    def _withdraw(self, decision: Decision) -> Outcome:
        if decision.action is Action.DEFER:
            self._give_back(Reason.QUIET_HOURS)
            return DEFERRED
        return self._withdraw_as(held(decision))

    def _withdraw_as(self, outcome: Outcome) -> Outcome:
        # Recorded first: a slot given back while the row is still open could be one that a retry has just claimed.
        recorded = self._record(outcome)
        self._unclaim()
        return recorded

    def _record(self, outcome: Outcome) -> Outcome:
        if not self.deps.ledger.record(self.key, outcome, self.attempt, self.deps.clock.now()):
            self._lost()
        return outcome

    def _give_back(self, reason: Reason) -> None:
        self._unclaim()
        self._let_go(reason)

    def _let_go(self, reason: Reason) -> None:
        for _ in range(RELEASES - 1):
            with suppress(UnavailableError):
                self.deps.ledger.release(self.key, reason, self.attempt)
                return
        self.deps.ledger.release(self.key, reason, self.attempt)

    def _unclaim(self) -> None:
        """Give the slot back. If that fails the person may get one mail less this week: no reason to fail the batch."""
        if self.slot_at is None:
            return
        with suppress(UnavailableError):
            self.deps.ledger.unclaim(self.request.tenant, self.people[0], self.key.send_id, self.slot_at)
        self.slot_at = None

    def _lost(self) -> NoReturn:
        raise UnavailableError(f"another attempt took over {self.key.send_id}; try again")

    def _read(self) -> tuple[float, PersonState | None]:
        """The person, and a moment surely before what was read: freshness is counted from there."""
        read_at = self.deps.monotonic()
        return read_at, self.deps.read_person(self.request.tenant, self.request.customer_id)

    def _contact(self, person: PersonState | None) -> Contact:
        if person is None or self.request.purpose is not Purpose.MARKETING:
            return Contact()
        self.people = (person.profile.customer_id, *sorted(person.profile.aliases))
        contact = self.deps.ledger.contact(self.request.tenant, self.people)
        self.slot_at = contact.slots.get(self.key.send_id)
        return contact

    def _message(self, person: PersonState, house: _Shop) -> Message:
        request = self.request
        token = tokens.UnsubscribeToken(
            request.tenant, request.customer_id, request.send_id, request.channel, request.store
        )
        url = f"{house.shop.public_url}/v1/unsubscribe/{tokens.sign(token, self.deps.keys)}"
        catalogue = partial(self.deps.read_catalogue, request.tenant)
        drawn: Drawn = {**self.drawn, "share_url": partial(share_link, house.shop, request.customer_id, self.deps.keys)}
        context = template_context(person, house.shop, house.sender, url, request.context, catalogue, drawn)
        parts = self.deps.renderer.render(request.template, self._channel().parts, context)
        return Message(
            key=self.key,
            scenario=request.scenario,
            step=request.step,
            purpose=request.purpose,
            sender=house.sender,
            to=address(person, request.channel) or "",
            parts=tagged(parts, house.shop, request),
            unsubscribe_url=url,
        )

    def _channel(self) -> Channel:
        try:
            return self.deps.channels[self.request.channel]
        except KeyError:
            raise MisconfiguredError(f"no channel {self.request.channel!r}") from None

    def _shop(self) -> _Shop:
        shop = self.deps.read_shop(self.request.tenant)
        if not shop.public_url.startswith("https://") and not shop.public_url.startswith("http://"):
            raise MisconfiguredError(
                f"public_url of shop {shop.tenant!r} is missing: every mail needs its unsubscribe link"
            )
        return _Shop(shop, contact_policy(shop), sender_of(shop))


def _left_open(row: LedgerRow, now: datetime) -> bool:
    """The provider may have been called, and nobody works on it any more."""
    return row.state is SendState.SENDING and row.lease_until is not None and row.lease_until < now
