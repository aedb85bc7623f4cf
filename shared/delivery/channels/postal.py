"""Letters (郵送DM): "sending" one leaves it in the tray, once, for the printer's file (`matakite postal export`).

Each letter has a response code and a QR code of its own, so that who answers it can be told. A letter whose address
cannot be delivered is refused, and listed with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.core.ids import SendId, TenantId, digest
from shared.delivery.channels.channel import Accepted, Message, RefusedError
from shared.delivery.model import SendKey
from shared.delivery.postal_address import UndeliverableError, read_label
from shared.delivery.tray import REPEATS

TEXT = "postal.txt"
"""What is printed on the back of the card."""
KIND = "postal"
UNDELIVERABLE = "postal-undeliverable"
MAX_LETTERS = 400
"""What fits a postcard beside the QR code."""
CODE_PARAMETER = "mtk"
_AS_PRINTED = str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "ABCDEFGHJKLMNPQRSTUVWXYZ23456789")
"""From a digest's letters to 32 that nobody confuses when they type them from paper (no I, O, 0 or 1)."""


class Leave(Protocol):
    """Where letters wait (tray.Tray)."""

    def put(self, kind: str, key: SendKey, document: Mapping[str, Any]) -> bool:
        """See Tray.put."""
        ...


@dataclass(frozen=True)
class PostalChannel:
    """One card for one person."""

    tray: Leave
    shop_url: Callable[[TenantId], str]
    """Where the QR code leads."""
    parts = (TEXT,)
    repeats = REPEATS

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        text = message.parts[TEXT].strip()
        if not text or len(text) > MAX_LETTERS:
            raise RefusedError(f"{TEXT} has {len(text)} letters, 1 to {MAX_LETTERS} fit the card")
        letter = self._letter(message, text)
        try:
            address = read_label(message.to)
        except UndeliverableError as error:
            self.tray.put(UNDELIVERABLE, message.key, {**letter, "reason": str(error), "label": message.to})
            # Without the address: this text may be logged.
            raise RefusedError(f"the address cannot be delivered: {error}") from None
        self.tray.put(KIND, message.key, {**letter, **asdict(address)})
        return Accepted(f"postal-{letter['code']}")

    def _letter(self, message: Message, text: str) -> dict[str, Any]:
        code = response_code(message.key.send_id)
        return {
            "send_id": message.key.send_id,
            "customer_id": message.key.customer_id,
            "scenario": message.scenario,
            "step": message.step,
            "code": code,
            "url": with_code(self.shop_url(message.key.tenant), code),
            "text": text,
            "sender": {
                "name": message.sender.from_name,
                "company": message.sender.company,
                "postal_address": message.sender.postal_address,
                "contact": message.sender.contact,
            },
        }


def response_code(send_id: SendId) -> str:
    """`K7M2P-9XQ4R`: 50 bits of the send's identity, so that one in a million letters is still alone with its code."""
    letters = digest("response code", send_id)[:10].translate(_AS_PRINTED)
    return f"{letters[:5]}-{letters[5:]}"


def with_code(url: str, code: str) -> str:
    """The shop's address with the response code in it, as the tracking snippet reads it."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), (CODE_PARAMETER, code), ("utm_medium", "postal")]
    return urlunsplit(parts._replace(query=urlencode(query)))
