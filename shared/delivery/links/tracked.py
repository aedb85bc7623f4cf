"""A channel whose links lead through us, so that clicks are known (クリック計測): LINE and SMS tell of none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.core.errors import UnavailableError
from shared.core.ids import TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.delivery.channels.channel import Accepted, Around, Message, NotSentError
from shared.delivery.links.link import counted, tracks
from shared.delivery.links.store import Followed, LinkStore


@dataclass(frozen=True)
class Tracked(Around):
    """Around every other wrapper: what is counted and billed is the text as it leaves."""

    name: str
    links: LinkStore
    keys: KeyRing
    read_shop: Callable[[TenantId], Shop]

    def send(self, message: Message) -> Accepted:
        """Keep where the links lead, then send: a link that works must be there before anybody can press it."""
        shop = self.read_shop(message.key.tenant)
        if not tracks(shop, self.name):
            return self.channel.send(message)
        parts, links = counted(message.parts, message.key, shop.public_url, self.keys)
        try:
            self.links.keep([Followed(message.key, self.name, message.scenario, message.step, each) for each in links])
        except UnavailableError as error:
            raise NotSentError(f"the links could not be kept: {error}") from error
        return self.channel.send(replace(message, parts=parts))
