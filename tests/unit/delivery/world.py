"""A small shop to send from: one person, one scenario, a virtual clock and the real parts of delivery around them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.core.keys import KeyRing, derive_key_ring
from shared.core.shop import Shop
from shared.customers.model import Consent, ConsentStatus, PersonState, Profile
from shared.delivery.channels.channel import Channel
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.model import Purpose, SendRequest
from shared.delivery.render import TemplateStore
from shared.delivery.send import SendDeps
from shared.delivery.store import LedgerStore, MemoryLedgerStore

TENANT = TenantId("mihon")
HANAKO = CustomerId("hanako")
STORE = "mihon.myshopify.com"
KEYS: KeyRing = derive_key_ring("a master key that exists in tests only")
NOON = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""12:00 in Tokyo, a Friday."""

DELIVERY: dict[str, Any] = {
    "from_address": "news@shop.example.jp",
    "from_name": "見本商店",
    "company": "株式会社見本",
    "postal_address": "〒100-0000 東京都千代田区見本町1-2-3",
    "contact": "support@shop.example.jp",
    "shop_url": "https://shop.example.jp/",
}


def jst(text: str) -> datetime:
    """`2026-11-20 21:59` on a clock in Japan."""
    return datetime.fromisoformat(f"{text}+09:00").astimezone(UTC)


def a_shop(**delivery: Any) -> Shop:
    return Shop(TENANT, "見本商店", public_url="https://go.example.jp", sections={"delivery": DELIVERY | delivery})


def a_consent(status: ConsentStatus = ConsentStatus.OPT_IN, store: str = STORE, method: str = "test") -> Consent:
    return Consent("email", store, status, NOON - timedelta(days=30), method)


def a_person(
    customer: CustomerId = HANAKO, *, consents: tuple[Consent, ...] | None = None, **profile: Any
) -> PersonState:
    known = {"email": f"{customer}@example.com", "last_name": "見本"} | profile
    return PersonState(Profile(TENANT, customer, **known), consents=(a_consent(),) if consents is None else consents)


def opted_out(person: PersonState) -> PersonState:
    return replace(person, consents=(a_consent(ConsentStatus.OPT_OUT),))


def a_request(step: str = "first", customer: CustomerId = HANAKO, **more: Any) -> SendRequest:
    given: dict[str, Any] = {
        "tenant": TENANT,
        "customer_id": customer,
        "scenario": ScenarioId("cart_abandoned"),
        "scenario_version": "v1",
        "step": step,
        "occurrence": "cart-1",
        "channel": "email",
        "template": "plain",
        "store": STORE,
        "purpose": Purpose.MARKETING,
    }
    return SendRequest(**given | more)


def plain_templates(root: Path) -> TemplateStore:
    """The real renderer over the smallest template there can be."""
    folder = root / "plain"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "subject.txt").write_text("{{ shop.name }}")
    (folder / "mail.html").write_text("<p>{{ person.name }}</p>")
    (folder / "mail.txt").write_text("{{ person.name }}")
    (folder / "line.json").write_text('[{"type": "text", "text": {{ person.name | json }}}]')
    (folder / "sms.txt").write_text("{{ person.name }}")
    (folder / "postal.txt").write_text("{{ person.name }}")
    (folder / "call.json").write_text('{"reason": "risk", "script": {{ person.name | json }}}')
    (folder / "webhook.json").write_text('{"name": {{ person.name | json }}}')
    (folder / "notify.txt").write_text("{{ shop.name }}")
    return TemplateStore(root)


@dataclass
class VirtualTime:
    """The machine's clock and its monotonic twin; moves only when told to."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOON).total_seconds()

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class World:
    """Everything `deliver` touches."""

    templates: TemplateStore
    time: VirtualTime = field(default_factory=VirtualTime)
    ledger: MemoryLedgerStore = field(default_factory=MemoryLedgerStore)
    ses: FakeChannel = field(default_factory=FakeChannel)
    people: dict[CustomerId, PersonState] = field(default_factory=lambda: {HANAKO: a_person()})
    shop: Shop = field(default_factory=a_shop)
    channel: str = "email"
    """The name under which `ses` is reached."""

    def read_person(self, tenant: TenantId, customer: CustomerId) -> PersonState | None:
        assert tenant == TENANT
        return self.people.get(customer)

    def deps(
        self,
        ledger: LedgerStore | None = None,
        channel: Channel | None = None,
        read_person: Callable[[TenantId, CustomerId], PersonState | None] | None = None,
    ) -> SendDeps:
        owners = itertools.count()
        return SendDeps(
            ledger=ledger or self.ledger,
            read_person=read_person or self.read_person,
            read_shop=lambda tenant: self.shop,
            channels={self.channel: channel or self.ses},
            renderer=self.templates,
            keys=KEYS,
            clock=self.time,
            monotonic=self.time.monotonic,
            new_owner=lambda: f"{id(owners)}-{next(owners)}",
        )

    def sent_ids(self) -> list[str]:
        """The send id of every message the provider accepted, in order."""
        return [message.key.send_id for message in self.ses.accepted]
