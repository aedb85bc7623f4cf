"""Every channel with a provider behind it: how to make its next call fail, and what it accepted."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import pytest
import trustme
import urllib3
from botocore.config import Config

from infra.local.process import internal
from infra.local.session import LocalSession
from infra.local.stand_ins.endpoint import EndpointStandIn
from infra.local.stand_ins.line import TOKEN, LineStandIn
from shared.core.ids import SendId, TenantId
from shared.delivery.channels.call import KIND as CALL
from shared.delivery.channels.call import PART as CALL_PART
from shared.delivery.channels.call import CallChannel
from shared.delivery.channels.channel import Channel, Message
from shared.delivery.channels.fake import FakeChannel, Fault
from shared.delivery.channels.handover import TEXT as NOTIFY_TEXT
from shared.delivery.channels.handover import HandoverChannel
from shared.delivery.channels.line import MESSAGES, LineAccount, LineChannel, retry_key
from shared.delivery.channels.postal import KIND as POSTAL
from shared.delivery.channels.postal import TEXT as POSTAL_TEXT
from shared.delivery.channels.postal import PostalChannel
from shared.delivery.channels.ses import SesChannel
from shared.delivery.channels.sms import TEXT as SMS_TEXT
from shared.delivery.channels.sms import SmsChannel
from shared.delivery.channels.webhook import PART as WEBHOOK_PART
from shared.delivery.channels.webhook import WebhookChannel
from shared.delivery.outbound import Endpoint, Outbound
from shared.delivery.tray import MemoryTray, S3Tray
from tests.unit.delivery.messages import a_mail

BUCKET = "contract-work"
SECRET = "whsec_" + "bWF0YWtpdGUgY29udHJhY3Qgc2VjcmV0IDAwMDAwMDE="
USER = "U000000000000000000000000000000a1"


class Provider(Protocol):
    """A channel, a way to make its next call fail, and what it accepted."""

    channel: Channel

    def plan(self, fault: Fault) -> None: ...

    def accepted(self, send: SendId) -> int: ...

    def message(self) -> Message: ...


class InMemory:
    def __init__(self, repeats: timedelta | None = None) -> None:
        self.fake = FakeChannel(repeats=repeats)
        self.channel: Channel = self.fake

    def plan(self, fault: Fault) -> None:
        self.fake.plan(fault)

    def accepted(self, send: SendId) -> int:
        return sum(message.key.send_id == send for message in self.fake.accepted)

    def message(self) -> Message:
        return a_mail()


_KINDS = {
    Fault.THROTTLE: "throttle",
    Fault.FAIL_BEFORE: "error_500_before",
    Fault.FAIL_AFTER: "error_500_after",
    Fault.LOSE_REPLY: "lose_reply",
    Fault.HANG: "hang",
}


class LocalSes:
    def __init__(self, cloud: LocalSession) -> None:
        self.cloud = cloud
        self.channel: Channel = self.through()

    def through(self, **options: Any) -> SesChannel:
        """The adapter over a client that gives up soon: a test waits for what hangs."""
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1)
        return SesChannel("contract", self.cloud.client("sesv2", config=config, **options))

    def plan(self, fault: Fault) -> None:
        match fault:
            case Fault.PAUSE:
                internal(self.cloud.emulator, "POST", "/_matakite/ses", {"sending_paused": True})
            case Fault.UNREACHABLE:
                self.channel = self.through(endpoint_url="http://127.0.0.1:9")
            case Fault.REJECT:
                self.sandbox(True)
            case Fault.NONE:
                pass
            case _:
                wanted = {"service": "ses", "action": "SendEmail", "kind": _KINDS[fault], "seconds": 3}
                internal(self.cloud.emulator, "POST", "/_matakite/faults", wanted)

    def accepted(self, send: SendId) -> int:
        return len(self.outbox(send))

    def message(self) -> Message:
        return a_mail()

    def sandbox(self, inside: bool) -> None:
        """In SES's sandbox every recipient who is not verified is refused."""
        site = {"WebsiteURL": "https://shop.example.jp", "MailType": "MARKETING"}
        self.cloud.client("sesv2").put_account_details(ProductionAccessEnabled=not inside, **site)

    def outbox(self, send: SendId) -> list[dict[str, Any]]:
        """Every mail the local SES took for a send, in full."""
        found = internal(self.cloud.emulator, "GET", "/_matakite/outbox?limit=500")
        items = found["messages"] if isinstance(found, dict) else found
        full = [internal(self.cloud.emulator, "GET", f"/_matakite/outbox/{item['message_id']}") for item in items]
        return [mail for mail in full if mail["tags"].get("send_id") == send]


class LocalSms:
    """The SMS adapter over the stand-in of End User Messaging."""

    def __init__(self, cloud: LocalSession) -> None:
        self.cloud = cloud
        self.channel: Channel = self.through()

    def through(self, **options: Any) -> SmsChannel:
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1)
        client = self.cloud.client("pinpoint-sms-voice-v2", config=config, **options)
        return SmsChannel(lambda tenant: "MIHON", "contract", client)

    def plan(self, fault: Fault) -> None:
        match fault:
            case Fault.UNREACHABLE:
                self.channel = self.through(endpoint_url="http://127.0.0.1:9")
            case Fault.PAUSE | Fault.REJECT:
                code = "ServiceQuotaExceededException" if fault is Fault.PAUSE else "ValidationException"
                internal(self.cloud.emulator, "POST", "/_matakite/sms", {"refuse_next": code})
            case Fault.NONE:
                pass
            case _:
                wanted = {"service": "sms-voice", "action": "SendTextMessage", "kind": _KINDS[fault], "seconds": 3}
                internal(self.cloud.emulator, "POST", "/_matakite/faults", wanted)

    def accepted(self, send: SendId) -> int:
        return len(self.texts(send))

    def texts(self, send: SendId) -> list[Mapping[str, Any]]:
        """Every text the stand-in took for a send."""
        found = internal(self.cloud.emulator, "GET", "/_matakite/sms?limit=500")["messages"]
        return [text for text in found if text["Context"]["send_id"] == send]

    def message(self) -> Message:
        return replace(a_mail(), to="+818000000001", parts={SMS_TEXT: "【見本商店】お品物が入荷しました。\n"})


class LocalLine:
    """The LINE adapter over the stand-in of the Messaging API."""

    def __init__(self, line: LineStandIn) -> None:
        self.line = line
        self._api = line.url
        http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=1, read=1))
        self.channel: Channel = LineChannel(lambda tenant: LineAccount(TOKEN, self._api), http)

    def plan(self, fault: Fault) -> None:
        if fault is Fault.UNREACHABLE:
            self._api = "http://127.0.0.1:9"
        else:
            self.line.plan(fault)

    def accepted(self, send: SendId) -> int:
        return sum(pushed.retry_key == retry_key(send) for pushed in self.line.pushed)

    def message(self) -> Message:
        said = [{"type": "text", "text": "見本商店です。お品物が入荷しました😀"}]
        return replace(a_mail(), to=USER, parts={MESSAGES: json.dumps(said)})


class InTray:
    """Letters and call tasks over the work bucket of the emulator; what is wrong with one is wrong in itself."""

    kind: str
    bad: tuple[str, str]

    def __init__(self, cloud: LocalSession) -> None:
        self.cloud = cloud
        self._parts: dict[str, str] = {}
        self.channel: Channel = self.through()

    def tray(self, **options: Any) -> S3Tray:
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1)
        return S3Tray(BUCKET, self.cloud.client("s3", config=config, **options))

    def through(self, **options: Any) -> Channel:
        raise NotImplementedError

    def plan(self, fault: Fault) -> None:
        match fault:
            case Fault.UNREACHABLE:
                self.channel = self.through(endpoint_url="http://127.0.0.1:9")
            case Fault.PAUSE:
                pytest.skip("nobody can pause a folder")
            case Fault.REJECT:
                self._parts.update([self.bad])
            case Fault.NONE:
                pass
            case _:
                wanted = {"service": "s3", "contains": "outbox/", "kind": _KINDS[fault], "seconds": 3}
                internal(self.cloud.emulator, "POST", "/_matakite/faults", wanted)

    def accepted(self, send: SendId) -> int:
        return sum(each["send_id"] == send for each in self.tray().all(TenantId("mihon"), self.kind))

    def written(self, to: str, parts: dict[str, str]) -> Message:
        self._parts = parts
        return replace(a_mail(), to=to, parts=parts)


class LocalPostal(InTray):
    kind = POSTAL
    bad = (POSTAL_TEXT, "")

    def through(self, **options: Any) -> Channel:
        return PostalChannel(self.tray(**options), lambda tenant: "https://shop.example.jp/")

    def message(self) -> Message:
        return self.written(
            "〒１００－０００１\n東京都千代田区千代田１－１\n見本 花子 様",
            {POSTAL_TEXT: "いつもありがとうございます。"},
        )


class LocalCall(InTray):
    kind = CALL
    bad = (CALL_PART, "{}")

    def through(self, **options: Any) -> Channel:
        return CallChannel(lambda tenant: None, self.tray(**options))

    def message(self) -> Message:
        task = {"name": "見本 花子", "reason": "解約見込み", "ltv": "¥120,000", "script": "「ありがとうございます」"}
        return self.written("+818000000001", {CALL_PART: json.dumps(task)})


class LocalEndpoint:
    """Webhooks over a receiver that checks what it gets."""

    def __init__(self, endpoint: EndpointStandIn, authority: trustme.CA) -> None:
        self.endpoint = endpoint
        self._authority = authority
        self.addresses = ["127.0.0.1"]
        self.channel: Channel = WebhookChannel(lambda tenant: Endpoint(self.url, SECRET), self.outbound())

    @property
    def url(self) -> str:
        return self.endpoint.url

    def outbound(self, **more: Any) -> Outbound:
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        given: dict[str, Any] = {"resolve": lambda host, port: self.addresses, "allowed": lambda address: True}
        return Outbound(**given | more, trust=lambda: context, seconds=1)

    def plan(self, fault: Fault) -> None:
        if fault is Fault.UNREACHABLE:
            self.addresses = ["127.0.0.2"]
        else:
            self.endpoint.plan(fault)

    def accepted(self, send: SendId) -> int:
        return sum(message == send for message in self.endpoint.taken)

    def message(self) -> Message:
        return replace(a_mail(), to="c1", parts={WEBHOOK_PART: json.dumps({"cart": "見本"})})


class CallEndpoint(LocalEndpoint):
    """Call tasks posted to the call centre's system."""

    def __init__(self, endpoint: EndpointStandIn, authority: trustme.CA) -> None:
        super().__init__(endpoint, authority)
        self.channel = CallChannel(lambda tenant: Endpoint(self.url, SECRET), MemoryTray(), self.outbound())

    def message(self) -> Message:
        task = {"reason": "解約見込み", "script": "お話しを伺う"}
        return replace(a_mail(), to="+818000000001", parts={CALL_PART: json.dumps(task)})


class NotifyEndpoint(LocalEndpoint):
    """Words to the shop's staff, posted to where they read."""

    def __init__(self, endpoint: EndpointStandIn, authority: trustme.CA) -> None:
        super().__init__(endpoint, authority)
        where = Endpoint(self.url, SECRET)
        self.channel = HandoverChannel("notify", MemoryTray(), (NOTIFY_TEXT,), lambda tenant: where, self.outbound())

    def message(self) -> Message:
        return replace(a_mail(), to="c1", parts={NOTIFY_TEXT: "優良のお客様がカートを離れました"})
