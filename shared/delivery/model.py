"""What is sent, to whom, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.core.ids import CustomerId, ScenarioId, SendId, TenantId, digest


class SendState(StrEnum):
    """Where a send stands in the ledger. RESERVED, SENDING: in flight; the others are final (UNKNOWN until settled)."""

    RESERVED = "reserved"
    SENDING = "sending"
    SENT = "sent"
    SUPPRESSED = "suppressed"
    """Held back for a reason that is the person's or the policy's."""
    EXPIRED = "expired"
    """Held back because it came too late to be welcome."""
    FAILED = "failed"
    """The provider refused it for good."""
    UNKNOWN = "unknown"
    """The provider may or may not have accepted it; never resent as marketing."""


class Reason(StrEnum):
    """The single reason why something was not sent (held back). The Japanese label is in admin's screens."""

    NONE = ""
    ORDERED = "ordered"
    """exit rule: an order arrived"""
    EXITED = "exited"
    """another exit rule of the scenario fired"""
    NO_ADDRESS = "no_address"
    NO_CONSENT = "no_consent"
    OPTED_OUT = "opted_out"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    ERASED = "erased"
    FREQUENCY_CAP = "frequency_cap"
    OUTRANKED = "outranked"
    """the slot is kept for a scenario of higher priority that is due to the same person today"""
    PAUSED = "paused"
    """they asked for a rest of 30 days (preference centre)"""
    NOT_WORTH = "not_worth"
    """it is expected to cost more than it earns (contact budget)"""
    TOPIC_OFF = "topic_off"
    """they do not want this topic (preference centre)"""
    WARM_UP = "warm_up"
    """the sending domain is new and only those who were active lately are written to yet"""
    QUIET_HOURS = "quiet_hours"
    TOO_LATE = "too_late"
    GOAL = "goal"
    """the person has done what the scenario is for"""
    HOLDOUT = "holdout"
    """held out by chance, so that the effect can be measured"""
    CLOSED = "closed"
    """outside the scenario's operating period"""
    STAGED = "staged"
    """the scenario is staged: it decides and records, and does not send"""
    NO_COUPON = "no_coupon"
    """there is no coupon left to give them: the campaign is over, or its codes are used up"""
    TEMPLATE = "template"
    """the message could not be rendered for this person"""
    REJECTED = "rejected"
    """the provider refused this message"""
    STOPPED = "stopped"
    """sending is paused for the account or the shop"""
    AMBIGUOUS = "ambiguous"


class Purpose(StrEnum):
    """Message class: marketing obeys consent, caps, quiet hours; transactional is exempt and carries no promotion."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


def send_id(tenant: TenantId, scenario: ScenarioId, step: str, occurrence: str, customer: CustomerId) -> SendId:
    """The identity of one send: the same step for the same person and occurrence is the same send, for ever, whatever
    channel carries it and whatever channels another version of the scenario gives it.
    """
    return SendId(digest(tenant, scenario, step, occurrence, customer))


@dataclass(frozen=True, slots=True)
class SendKey:
    """Names one row of the ledger; travels as tags of the message and comes back with its feedback."""

    tenant: TenantId
    customer_id: CustomerId
    send_id: SendId


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One message that a scenario step wants to send."""

    tenant: TenantId
    customer_id: CustomerId
    scenario: ScenarioId
    scenario_version: str
    step: str
    occurrence: str
    channel: str
    template: str
    """Folder under `shared/delivery/templates/`: `cart_abandoned/first`."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """Template variables the scenario adds: `cart`, `coupon`, …"""
    store: str = ""
    """The store whose consent counts."""
    purpose: Purpose = Purpose.MARKETING
    expires_at: datetime | None = None
    """After this it is too late to be welcome (I6)."""
    staged: bool = False
    rivals: int = 0
    """Scenarios of higher priority that are due to this person today: so many slots under the caps are theirs."""

    @property
    def send_id(self) -> SendId:
        """See `send_id`."""
        return send_id(self.tenant, self.scenario, self.step, self.occurrence, self.customer_id)

    @property
    def key(self) -> SendKey:
        """The row of the ledger this request is about."""
        return SendKey(self.tenant, self.customer_id, self.send_id)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a send request: one per person considered (decision 8 of the design)."""

    state: SendState
    reason: Reason = Reason.NONE
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of the send ledger (送信台帳)."""

    send_id: SendId
    tenant: TenantId
    customer_id: CustomerId
    scenario: ScenarioId
    scenario_version: str
    step: str
    occurrence: str
    channel: str
    state: SendState
    reason: Reason
    owner: str
    lease_until: datetime | None
    decided_at: datetime
    marked_at: datetime | None = None
    """When the provider was about to be called for the first time: how long a repeat is safe counts from here."""
    sent_at: datetime | None = None
    message_id: str = ""
    purpose: Purpose = Purpose.MARKETING
    template: str = ""
    unresolved_since: datetime | None = None
    """Since when nobody knows whether the provider accepted it."""
    resent: bool = False
    """Already sent a second time because the first was ambiguous (transactional only, once)."""
    reactions: frozenset[str] = frozenset()
    """What people did with it: `opened`, `clicked`. Machines (proxies, scanners) are never kept here."""
    request: SendRequest | None = None
    """The request itself, kept of a transactional send until it is final, so that it can be sent again."""

    @property
    def key(self) -> SendKey:
        """Which row this is."""
        return SendKey(self.tenant, self.customer_id, self.send_id)

    @property
    def outcome(self) -> Outcome:
        """What the row says became of the send."""
        return Outcome(self.state, self.reason, self.message_id)


IN_FLIGHT = frozenset({SendState.RESERVED, SendState.SENDING})
"""Neither sent nor held back yet: somebody owns it, or will."""


@dataclass(frozen=True, slots=True)
class Contact:
    """When a person was lately sent marketing, by any scenario on any channel: what the caps count.

    A send claims its slot before the provider is called and keeps it when nobody knows whether it was accepted.
    """

    slots: Mapping[SendId, datetime] = field(default_factory=dict)
    rev: int = 0
    """Optimistic lock of the row the next slot is claimed in."""
    about: Mapping[SendId, tuple[str, str]] = field(default_factory=dict)
    """(channel, topic) of each slot, for caps that count only some; a slot without it counts for all."""
