"""Whoever texts STOP hears that it is done (配信停止の確認): once a day at most, so that no machine that answers is
answered for ever.

AWS answers STOP itself only where it keeps the opt-outs; with self-managed ones it leaves the answer to us (user guide,
"Self-managed opt-outs"). They asked for it, so neither consent nor the month's budget holds it back; the month counts
it. It goes without our configuration set: a receipt would name no send of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.core.clock import shop_day
from shared.core.errors import MatakiteError
from shared.core.ids import CustomerId
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.delivery.certainty import certainty
from shared.delivery.channels.sms import CODES, plain, segments
from shared.delivery.replies.store import TextedStore
from shared.delivery.spend.budget import month_of
from shared.delivery.spend.store import SpendStore


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Texts back. `client` makes a single attempt: a repeated call would be a second text."""

    texted: TextedStore
    spend: SpendStore
    client: Any

    def tell(self, shop: Shop, customer: CustomerId, digest: str, number: str, ours: str, now: datetime) -> bool:
        """Did it leave? The opt-out stands whatever becomes of it."""
        try:
            if not self.texted.answer(shop.tenant, digest, customer, shop_day(now, shop.timezone)):
                return False
            self._send(shop, number, ours, now)
        except MatakiteError as error:
            said = {"tenant": shop.tenant, "error": type(error).__name__}
            logger("delivery").warning("an opt-out by text could not be confirmed", extra=said)
            return False
        return True

    def _send(self, shop: Shop, number: str, ours: str, now: datetime) -> None:
        text = plain(f"{shop.name}: SMSの配信を停止しました。今後はお送りしません。")
        self.spend.count(shop.tenant, month_of("sms", shop, now), segments(text))
        with certainty(CODES):
            self.client.send_text_message(
                DestinationPhoneNumber=number,
                OriginationIdentity=ours,
                MessageBody=text,
                MessageType="TRANSACTIONAL",
            )
