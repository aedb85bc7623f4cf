"""What a channel must know how to do, and the four ways a call to a provider can fail.

A channel is one file here: the parts of a template it is made of, and one call that hands a message over.

    ChannelError
    ├── NotSentError     surely not accepted, may be tried again (throttled, could not connect)
    ├── StoppedError     surely not accepted, and neither will the next be (account paused): stop the batch
    ├── RefusedError     surely not accepted, and never will be (this message is wrong)
    └── AmbiguousError   nobody knows (timeout, reset, 5xx): never repeated blindly

The first two are `UnavailableError`s: the batch they are raised in is retried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from shared.core.errors import MatakiteError, UnavailableError
from shared.delivery.model import Purpose, SendKey
from shared.delivery.sender import Sender


class ChannelError(MatakiteError):
    """A provider did not take a message."""


class NotSentError(ChannelError, UnavailableError):
    """Surely not accepted; the same call may succeed later."""


class StoppedError(ChannelError, UnavailableError):
    """Surely not accepted: sending is paused for the whole account."""


class RefusedError(ChannelError):
    """Surely not accepted, whenever it is tried: the provider refused this message."""


class AmbiguousError(ChannelError):
    """The provider may or may not have accepted the message."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message ready to leave. Personal data: held in memory only."""

    key: SendKey
    scenario: str
    step: str
    purpose: Purpose
    sender: Sender
    to: str = field(repr=False)
    """The person's address on this channel (`rules.address`)."""
    parts: Mapping[str, str] = field(repr=False)
    """The rendered parts the channel asked for: `subject.txt`, `mail.html`, …"""
    unsubscribe_url: str = field(repr=False)
    still_fresh: Callable[[], bool] = field(default=lambda: True, repr=False, compare=False)
    """Was what is known of the person read so lately that a no said since may go unheard (I3)?"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message; its own id for it."""

    message_id: str


class Channel(Protocol):
    """One way to reach a person."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Files of a template's folder that a message on this channel is made of."""
        ...

    @property
    def repeats(self) -> timedelta | None:
        """How long the provider takes a repeat of the same send for what it is, and not for a second message.

        None where it never does (SES): a send in doubt is then never repeated.
        """
        ...

    def send(self, message: Message) -> Accepted:
        """Hand the message over, once, without retries. Raises a ChannelError that says what is certain."""
        ...


@dataclass(frozen=True)
class Around:
    """A channel around another, which says what it is made of and how long a repeat is safe."""

    channel: Channel

    @property
    def parts(self) -> tuple[str, ...]:
        """See Channel."""
        return self.channel.parts

    @property
    def repeats(self) -> timedelta | None:
        """See Channel."""
        return self.channel.repeats


@dataclass(frozen=True)
class InTime(Around):
    """Right around a channel that others are around: what they write takes time, in which a no may have been said."""

    def send(self, message: Message) -> Accepted:
        """Send, unless the person was read too long ago: the next attempt reads them again."""
        if not message.still_fresh():
            raise NotSentError("it is too long ago that the person's consent was read; try again")
        return self.channel.send(message)
