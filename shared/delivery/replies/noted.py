"""A channel that notes whom a number belongs to before it is texted: who answers STOP is known by it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.errors import UnavailableError
from shared.core.keys import KeyRing
from shared.delivery.channels.channel import Accepted, Around, Message, NotSentError
from shared.delivery.replies.store import TextedStore, number_digest


@dataclass(frozen=True)
class Noted(Around):
    """Right around the channel: what a budget holds back is not noted."""

    texted: TextedStore
    keys: KeyRing

    def send(self, message: Message) -> Accepted:
        """Note, then send: nobody is texted who could not say no."""
        tenant, number = message.key.tenant, message.to
        try:
            self.texted.note(tenant, number_digest(tenant, number, self.keys), message.key.customer_id)
        except UnavailableError as error:
            raise NotSentError(f"whom this number belongs to could not be noted: {error}") from error
        return self.channel.send(message)
