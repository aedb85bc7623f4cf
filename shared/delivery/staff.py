"""Mail to the shop's own people (社内通知メール): that somebody is to be looked after, and how to find them.

Section `delivery` of the shop's settings: `{"staff_mail": "staff@shop.example.com"}`, several with commas between them
(`matakite shop set --staff-mail`).
Ids and commands, nobody's address: who may know more looks it up. At most A_DAY a day, because a segment of thousands
must not fill a mailbox: the rest waits in the tray with all the others.
It goes without our configuration set: what comes back of it is nothing a customer did.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from shared.core.clock import Clock, SystemClock, shop_day
from shared.core.errors import MatakiteError, MisconfiguredError
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.delivery.channels.ses import certain, mailbox
from shared.delivery.handing import Note
from shared.delivery.policy import SECTION
from shared.delivery.sender import sender_of

if TYPE_CHECKING:
    from mypy_boto3_sesv2.client import SESV2Client

A_DAY, MAX_ADDRESSES = 50, 5
MAX_SUBJECT = 60
_ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+")

CountDay = Callable[[str, date, int, int], bool]
"""`PaceStore.count_day`: so many more of a name on a day, unless that would pass the cap."""


def staff_of(shop: Shop) -> tuple[str, ...]:
    """Who is to be told; nobody where the shop named none. Raises MisconfiguredError for what is no address."""
    said = shop.section(SECTION).get("staff_mail") or ()
    found = [each.strip() for each in said.split(",")] if isinstance(said, str) else list(said)
    if len(found) > MAX_ADDRESSES or not all(isinstance(each, str) and _ADDRESS.fullmatch(each) for each in found):
        raise MisconfiguredError(f"{SECTION}.staff_mail must be 1 to {MAX_ADDRESSES} mail addresses, not {said!r}")
    return tuple(found)


@dataclass(frozen=True)
class StaffMail:
    """Tells the staff by SES."""

    read_shop: Callable[[TenantId], Shop]
    count_day: CountDay
    client: SESV2Client
    """Of a single attempt: a repeated call would be a second mail."""
    clock: Clock = field(default_factory=SystemClock)

    def tell(self, note: Note) -> bool:
        """See Staff. Whatever goes wrong, what it is about waits in the tray."""
        tenant = note.key.tenant
        try:
            shop = self.read_shop(tenant)
            staff = staff_of(shop)
            return bool(staff) and self._within_the_day(shop, self.clock.now()) and self._send(shop, staff, note)
        except MatakiteError as error:
            said = {"tenant": tenant, "send_id": note.key.send_id, "error": type(error).__name__}
            logger("delivery").warning("the staff was not mailed; it waits in the tray", extra=said)
            return False

    def _within_the_day(self, shop: Shop, now: datetime) -> bool:
        return self.count_day(f"staff.{shop.tenant}", shop_day(now, shop.timezone), 1, A_DAY)

    def _send(self, shop: Shop, staff: tuple[str, ...], note: Note) -> bool:
        sender = sender_of(shop)
        subject, text = written(note)
        with certain():
            self.client.send_email(
                FromEmailAddress=mailbox(sender.from_name, sender.from_address),
                Destination={"ToAddresses": list(staff)},
                Content={
                    "Simple": {
                        "Subject": {"Data": subject, "Charset": "UTF-8"},
                        "Body": {"Text": {"Data": text, "Charset": "UTF-8"}},
                    }
                },
            )
        return True


def written(note: Note) -> tuple[str, str]:
    """Subject and text."""
    words, customer = note.words.strip(), note.key.customer_id
    subject = f"【社内通知】{words.splitlines()[0] if words else note.scenario}"
    return subject[:MAX_SUBJECT], "\n".join(
        (
            words,
            "",
            "──────────",
            f"お客様ID: {customer}",
            f"シナリオ: {note.scenario}（{note.step}）",
            "",
            "お名前・ご連絡先とこれまでの経緯を見る:",
            f"  matakite customer show {customer}",
            "このお客様に何が届いたかを見る:",
            f"  matakite explain {customer} {note.scenario}",
            "まだ受け取っていない分をファイルにする:",
            f"  {note.fetch}",
            "",
            "このメールはお店の方へのお知らせです。お客様には届いていません。",
            "宛先の変更: matakite shop set 店舗ID --staff-mail 宛先",
            "",
        )
    )
