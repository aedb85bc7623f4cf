"""What a channel must know how to do, and the four ways a call to a provider can fail.

    ChannelError
    ├── NotSentError     surely not accepted, may be tried again (throttled, could not connect)
    ├── StoppedError     surely not accepted, and neither will the next be (account paused): stop the batch
    ├── RefusedError     surely not accepted, and never will be (this message is wrong)
    └── AmbiguousError   nobody knows (timeout, reset, 5xx): never repeated blindly

The first two are `UnavailableError`s: the batch they are raised in is retried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """The person's address on this channel."""
    subject: str = field(repr=False)
    html: str = field(repr=False)
    text: str = field(repr=False)
    unsubscribe_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message; its own id for it."""

    message_id: str


class Channel(Protocol):
    """One way to reach a person."""

    def send(self, message: Message) -> Accepted:
        """Hand the message over, once, without retries. Raises a ChannelError that says what is certain."""
        ...
