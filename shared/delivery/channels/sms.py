"""SMS through AWS End User Messaging (`SendTextMessage`): one part or several, never retried by the SDK.

Like SES it has no idempotency key: a lost answer is settled by the delivery receipt, which brings the send id back in
its context. Japan bills every part (about $0.07, (unconfirmed)): a text longer than MAX_PARTS parts is refused.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from typing import Any

from shared.core.errors import MisconfiguredError
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.delivery.certainty import Codes, certainty
from shared.delivery.channels.channel import Accepted, Message, RefusedError
from shared.delivery.model import Purpose
from shared.delivery.policy import SECTION

TEXT = "sms.txt"
MAX_PARTS = 3
"""A shop that sends more means to write a mail."""

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")
"""GSM-7's extension table: each takes two places."""
CODES = Codes(
    service="the SMS service",
    not_sent=frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException"}),
    stopped=frozenset({"ServiceQuotaExceededException"}),
    stopped_says="the SMS spending limit is reached",
    refused=frozenset({"ValidationException", "ConflictException"}),
    check="origination identity and grants",
)


class SmsChannel:
    """Sends from a shop's origination identity (sender id, number or pool) through one configuration set."""

    parts = (TEXT,)
    repeats = None

    def __init__(self, origination_of: Callable[[TenantId], str], configuration_set: str, client: Any) -> None:
        self._origination_of = origination_of
        self._configuration_set = configuration_set
        self._client = client

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        text = plain(message.parts[TEXT])
        if segments(text) > MAX_PARTS:
            raise RefusedError(f"the text takes {segments(text)} parts, at most {MAX_PARTS} are sent")
        origination = self._origination_of(message.key.tenant)
        promotional = message.purpose is Purpose.MARKETING
        with certainty(CODES):
            answer = self._client.send_text_message(
                DestinationPhoneNumber=message.to,
                OriginationIdentity=origination,
                MessageBody=text,
                MessageType="PROMOTIONAL" if promotional else "TRANSACTIONAL",
                ConfigurationSetName=self._configuration_set,
                Context={
                    "tenant": message.key.tenant,
                    "customer": message.key.customer_id,
                    "send_id": message.key.send_id,
                },
            )
        return Accepted(answer["MessageId"])


def origination(shop: Shop) -> str:
    """Who texts come from: `{"sms": {"origination": "MIHON"}}` in section `delivery` of the shop's settings."""
    setting = shop.section(SECTION).get("sms")
    found = setting.get("origination") if isinstance(setting, dict) else None
    if not isinstance(found, str) or not found:
        raise MisconfiguredError(f"{SECTION}.sms.origination is missing: the sender id, number or pool of your SMS")
    return found


def texts(shop: Shop) -> bool:
    """Has the shop said who its texts come from, and what they may cost?"""
    section = shop.section(SECTION)
    return "sms" in section and "sms" in (section.get("budget") or {})


def plain(text: str) -> str:
    """As phones show it: NFKC (half-width kana would cost a part more and read worse), without gaps at the ends."""
    return unicodedata.normalize("NFKC", text).strip()


def segments(text: str) -> int:
    """How many parts a text is billed as: 160 letters of GSM-7, or 70 of UCS-2; 153 and 67 where there are several."""
    if set(text) <= _GSM | _GSM_TWICE:
        length, alone, joined = len(text) + sum(letter in _GSM_TWICE for letter in text), 160, 153
    else:
        length, alone, joined = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= alone else math.ceil(length / joined)
