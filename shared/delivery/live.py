"""The ports of `deliver` in a deployment: DynamoDB, every channel, the shop's settings and keys. Built once per worker.

Every client that a channel sends with makes a single attempt: a repeated call would be a second message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from shared.analytics.lake import S3Objects
from shared.core.aws import SINGLE_ATTEMPT, client, domain_errors
from shared.core.ids import TenantId
from shared.core.keys import load_key_ring
from shared.core.shop import Shop, load_shop
from shared.customers.store import CustomerStore
from shared.delivery.account import live_turns
from shared.delivery.channels.call import CallChannel
from shared.delivery.channels.channel import Channel, InTime, Message
from shared.delivery.channels.handover import TEXT as NOTICE
from shared.delivery.channels.handover import HandoverChannel
from shared.delivery.channels.line import LineChannel, load_account
from shared.delivery.channels.postal import PostalChannel
from shared.delivery.channels.ses import SesChannel
from shared.delivery.channels.sms import TEXT, SmsChannel, origination, plain, segments
from shared.delivery.channels.webhook import WebhookChannel
from shared.delivery.content.catalogue import EMPTY
from shared.delivery.content.feed import Catalogues
from shared.delivery.coupons.issue import Coupons
from shared.delivery.coupons.store import DynamoCoupons
from shared.delivery.endpoints import load_endpoint, required_endpoint
from shared.delivery.links.store import DynamoLinks
from shared.delivery.links.tracked import Tracked
from shared.delivery.pace.store import DynamoPaceStore
from shared.delivery.policy import SECTION
from shared.delivery.render import TemplateStore
from shared.delivery.replies.noted import Noted
from shared.delivery.replies.store import DynamoTexted
from shared.delivery.send import SendDeps
from shared.delivery.spend.budget import Budgeted, Lots
from shared.delivery.spend.store import DynamoSpend
from shared.delivery.staff import StaffMail
from shared.delivery.store import DynamoLedgerStore
from shared.delivery.tray import S3Tray


def live_send_deps(
    deliveries_table: str,
    customers: CustomerStore,
    keys_secret: str,
    configuration_set: str,
    prefix: str,
    work_bucket: str = "",
    lake_bucket: str = "",
) -> SendDeps:
    """The real thing. Without `work_bucket` there are no letters and no call tasks: nothing could hold them; without
    `lake_bucket` no products are shown.
    """

    keys = load_key_ring(keys_secret)
    lots = Lots(DynamoSpend(deliveries_table))

    def read_shop(tenant: TenantId) -> Shop:
        return load_shop(prefix, tenant)

    def tray() -> S3Tray:
        return S3Tray(work_bucket, client("s3", SINGLE_ATTEMPT))

    def staff() -> StaffMail:
        return StaffMail(
            read_shop,
            DynamoPaceStore(deliveries_table, client("dynamodb")).count_day,
            client("sesv2", SINGLE_ATTEMPT),
        )

    def tracked(channel: Channel, name: str) -> Tracked:
        links = DynamoLinks(deliveries_table, client("dynamodb", SINGLE_ATTEMPT))
        return Tracked(channel, name, links, keys, read_shop)

    def noted(channel: Channel) -> Noted:
        return Noted(channel, DynamoTexted(deliveries_table, client("dynamodb", SINGLE_ATTEMPT)), keys)

    makers: dict[str, Callable[[], Channel]] = {
        "email": lambda: SesChannel(configuration_set, client("sesv2", SINGLE_ATTEMPT)),
        "line": lambda: tracked(Budgeted(_line(prefix), "line", lambda message: 1, lots, read_shop), "line"),
        "sms": lambda: tracked(
            Budgeted(noted(_sms(read_shop, configuration_set)), "sms", sms_units, lots, read_shop), "sms"
        ),
        "webhook": lambda: WebhookChannel(lambda tenant: required_endpoint(prefix, tenant, "webhook")),
    }
    if work_bucket:
        makers["postal"] = lambda: PostalChannel(tray(), lambda tenant: shop_url(read_shop(tenant)))
        makers["notify"] = lambda: HandoverChannel(
            "notify", tray(), (NOTICE,), lambda tenant: load_endpoint(prefix, tenant, "notify"), staff=staff()
        )
        makers["export"] = lambda: HandoverChannel("export", tray())
        makers["call"] = lambda: CallChannel(
            lambda tenant: load_endpoint(prefix, tenant, "call"), tray(), staff=staff()
        )
    return SendDeps(
        ledger=DynamoLedgerStore(deliveries_table, client("dynamodb")),
        read_person=customers.person,
        read_shop=read_shop,
        channels=Channels(makers),
        renderer=TemplateStore(),
        keys=keys,
        read_catalogue=live_catalogues(lake_bucket).of if lake_bucket else lambda _tenant: EMPTY,
        turns=live_turns(deliveries_table),
        put_back=lots.put_back,
    )


def live_catalogues(lake_bucket: str) -> Catalogues:
    """What the shops sell, from the objects their nights leave in the lake bucket."""
    lake = S3Objects(lake_bucket, client("s3"))

    def read(key: str) -> bytes:
        with domain_errors("read a catalogue"):
            return lake.get(key)

    return Catalogues(read)


def live_coupons(deliveries_table: str, prefix: str) -> Coupons:
    """Each person's coupons, from the books the shop loaded."""
    store = DynamoCoupons(deliveries_table, client("dynamodb"))
    return Coupons(store, lambda tenant: load_shop(prefix, tenant).timezone)


class Channels(Mapping[str, Channel]):
    """Channels made when they are first used: a worker that only mails pays for no other client."""

    def __init__(self, makers: Mapping[str, Callable[[], Channel]]) -> None:
        self._makers = makers
        self._made: dict[str, Channel] = {}

    def __getitem__(self, name: str) -> Channel:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def _line(prefix: str) -> Channel:
    return InTime(LineChannel(lambda tenant: load_account(prefix, tenant)))


def _sms(read_shop: Callable[[TenantId], Shop], configuration_set: str) -> Channel:
    texts = client("pinpoint-sms-voice-v2", SINGLE_ATTEMPT)
    return InTime(SmsChannel(lambda tenant: origination(read_shop(tenant)), configuration_set, texts))


def sms_units(message: Message) -> int:
    """What a text counts in the budget: its parts."""
    return segments(plain(message.parts[TEXT]))


def shop_url(shop: Shop) -> str:
    """Where a letter's QR code leads."""
    return str(shop.section(SECTION).get("shop_url") or shop.public_url)
