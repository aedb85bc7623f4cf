"""A mail as a channel gets it: what every test of a channel sends, or makes into a message of its own kind."""

from __future__ import annotations

import itertools

from shared.core.ids import CustomerId, SendId, TenantId
from shared.delivery.channels.channel import Message
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT
from shared.delivery.model import Purpose, SendKey
from shared.delivery.sender import Sender

SENDER = Sender(
    from_address="news@shop.example.jp",
    from_name="見本商店 髙﨑①～𠮷😀",
    company="株式会社見本",
    postal_address="〒100-0000 東京都千代田区見本町1-2-3",
    contact="support@shop.example.jp",
    reply_to="support@shop.example.jp",
    unsubscribe_mailto="stop@shop.example.jp",
)
_numbers = itertools.count(1)


def a_mail() -> Message:
    return Message(
        key=SendKey(TenantId("mihon"), CustomerId("c1"), SendId(f"contract{next(_numbers):06d}")),
        scenario="cart_abandoned",
        step="mail_1",
        purpose=Purpose.MARKETING,
        sender=SENDER,
        to="hanako@example.com",
        parts={
            SUBJECT: "【見本商店】カートにお品物が残っています 髙﨑①～𠮷😀",
            HTML: "<p>こんにちは</p>",
            TEXT: "こんにちは\n",
        },
        unsubscribe_url="https://go.example.jp/v1/unsubscribe/v1.1.abc.def",
    )
