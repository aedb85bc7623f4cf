"""One suite over the mail channel in memory and SES's adapter on the local cloud: what each failure leaves certain."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any, Protocol

import pytest
from botocore.config import Config

from infra.local.process import internal
from infra.local.session import LocalSession
from shared.core.errors import MisconfiguredError
from shared.core.ids import CustomerId, SendId, TenantId
from shared.delivery.channels.channel import (
    Accepted,
    AmbiguousError,
    Channel,
    Message,
    NotSentError,
    RefusedError,
    StoppedError,
)
from shared.delivery.channels.fake import FakeChannel, Fault
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT, SesChannel
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


@pytest.fixture
def message() -> Message:
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


class Provider(Protocol):
    """A channel, a way to make its next call fail, and what it accepted."""

    channel: Channel

    def plan(self, fault: Fault) -> None: ...

    def accepted(self, send: SendId) -> int: ...


class InMemory:
    def __init__(self) -> None:
        self.fake = FakeChannel()
        self.channel: Channel = self.fake

    def plan(self, fault: Fault) -> None:
        self.fake.plan(fault)

    def accepted(self, send: SendId) -> int:
        return sum(message.key.send_id == send for message in self.fake.accepted)


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
                self.cloud.client("sesv2").delete_email_identity(EmailIdentity="shop.example.jp")
            case Fault.NONE:
                pass
            case _:
                wanted = {"service": "ses", "action": "SendEmail", "kind": _KINDS[fault], "seconds": 3}
                internal(self.cloud.emulator, "POST", "/_matakite/faults", wanted)

    def accepted(self, send: SendId) -> int:
        return len(self.outbox(send))

    def outbox(self, send: SendId) -> list[dict[str, Any]]:
        """Every mail the local SES took for a send, in full."""
        found = internal(self.cloud.emulator, "GET", "/_matakite/outbox?limit=500")
        items = found["messages"] if isinstance(found, dict) else found
        full = [internal(self.cloud.emulator, "GET", f"/_matakite/outbox/{item['message_id']}") for item in items]
        return [mail for mail in full if mail["tags"].get("send_id") == send]


@pytest.fixture
def local_ses(cloud: LocalSession) -> Iterator[LocalSes]:
    client: Any = cloud.client("sesv2")
    names = client.list_configuration_sets()["ConfigurationSets"]
    if "contract" not in names:
        client.create_configuration_set(ConfigurationSetName="contract")
    known = [found["IdentityName"] for found in client.list_email_identities()["EmailIdentities"]]
    if "shop.example.jp" not in known:
        client.create_email_identity(EmailIdentity="shop.example.jp")
    yield LocalSes(cloud)
    internal(cloud.emulator, "DELETE", "/_matakite/faults")
    internal(cloud.emulator, "POST", "/_matakite/ses", {"sending_paused": False})


@pytest.fixture(params=["memory", "ses"])
def provider(request: pytest.FixtureRequest) -> Provider:
    if request.param == "memory":
        return InMemory()
    found: Provider = request.getfixturevalue("local_ses")
    return found


def test_a_message_is_accepted_once_and_gets_an_id(provider: Provider, message: Message) -> None:
    accepted = provider.channel.send(message)
    assert isinstance(accepted, Accepted)
    assert accepted.message_id
    assert provider.accepted(message.key.send_id) == 1


def test_two_messages_get_two_ids(provider: Provider, message: Message) -> None:
    other = replace(message, key=replace(message.key, send_id=SendId("another")))
    assert provider.channel.send(message) != provider.channel.send(other)


@pytest.mark.parametrize("fault", [Fault.THROTTLE, Fault.UNREACHABLE])
def test_what_was_surely_not_sent_may_be_sent_again(provider: Provider, message: Message, fault: Fault) -> None:
    provider.plan(fault)
    with pytest.raises(NotSentError):
        provider.channel.send(message)
    assert provider.accepted(message.key.send_id) == 0


def test_a_paused_account_stops_everything(provider: Provider, message: Message) -> None:
    provider.plan(Fault.PAUSE)
    with pytest.raises(StoppedError):
        provider.channel.send(message)
    assert provider.accepted(message.key.send_id) == 0


def test_a_message_that_is_refused_is_refused_for_good(provider: Provider, message: Message) -> None:
    provider.plan(Fault.REJECT)
    with pytest.raises(RefusedError) as refused:
        provider.channel.send(message)
    assert provider.accepted(message.key.send_id) == 0
    assert "hanako" not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "accepted"),
    [(Fault.FAIL_BEFORE, 0), (Fault.FAIL_AFTER, 1), (Fault.LOSE_REPLY, 1), (Fault.HANG, 1)],
)
def test_what_nobody_knows_is_ambiguous_and_never_repeated(
    provider: Provider, message: Message, fault: Fault, accepted: int
) -> None:
    provider.plan(fault)
    with pytest.raises(AmbiguousError):
        provider.channel.send(message)
    assert provider.accepted(message.key.send_id) == accepted
    provider.channel.send(replace(message, key=replace(message.key, send_id=SendId("next"))))


# --- the exact request ------------------------------------------------------------------------------------------------
def sent(local_ses: LocalSes, message: Message) -> dict[str, Any]:
    local_ses.channel.send(message)
    (mail,) = local_ses.outbox(message.key.send_id)
    return mail


def test_marketing_mail_carries_the_one_click_headers(local_ses: LocalSes, message: Message) -> None:
    mail = sent(local_ses, message)
    given = {header["name"]: header["value"] for header in mail["headers"]}
    assert given["List-Unsubscribe"] == (
        "<https://go.example.jp/v1/unsubscribe/v1.1.abc.def>, <mailto:stop@shop.example.jp?subject=unsubscribe>"
    )
    assert given["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert given["List-Id"] == "<cart_abandoned.mihon.shop.example.jp>"
    assert given["Feedback-ID"] == "cart_abandoned:mail_1:mihon:matakite"


def test_transactional_mail_offers_no_way_out_of_itself(local_ses: LocalSes, message: Message) -> None:
    mail = sent(local_ses, replace(message, purpose=Purpose.TRANSACTIONAL))
    assert {header["name"] for header in mail["headers"]} == {"Feedback-ID"}


def test_who_it_is_from_and_to(local_ses: LocalSes, message: Message) -> None:
    mail = sent(local_ses, message)
    assert mail["source"].isascii()
    name, address = parseaddr(mail["source"])
    assert (str(make_header(decode_header(name))), address) == (SENDER.from_name, SENDER.from_address)
    assert (mail["to"], mail["reply_to"]) == (["hanako@example.com"], ["support@shop.example.jp"])
    assert (mail["subject"], mail["text"], mail["html"]) == (
        message.parts[SUBJECT],
        message.parts[TEXT],
        message.parts[HTML],
    )
    assert mail["configuration_set"] == "contract"


def test_tags_bring_its_events_home_and_hold_no_personal_data(local_ses: LocalSes, message: Message) -> None:
    mail = sent(local_ses, replace(message, scenario="weird scenario!"))
    assert mail["tags"] == {
        "tenant": "mihon",
        "scenario": "weird_scenario_",
        "step": "mail_1",
        "send_id": message.key.send_id,
        "customer": "c1",
    }
    assert "hanako" not in json.dumps(mail["tags"])


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("a..b@docomo.ne.jp", '"a..b"@docomo.ne.jp'),
        (".a@docomo.ne.jp", '".a"@docomo.ne.jp'),
        ("a.@ezweb.ne.jp", '"a."@ezweb.ne.jp'),
        ('"quoted already"@example.com', '"quoted already"@example.com'),
        ("plain.name+tag@example.com", "plain.name+tag@example.com"),
        ('a"b@example.com', '"a\\"b"@example.com'),
    ],
)
def test_an_address_is_quoted_only_where_it_must_be(
    local_ses: LocalSes, message: Message, address: str, written: str
) -> None:
    assert sent(local_ses, replace(message, to=address))["to"] == [written]


@pytest.mark.parametrize("evil", ["\r\nBcc: everyone@example.com", "\x00", "\x85", "\u2028"])
def test_nothing_in_a_name_or_subject_makes_a_header(local_ses: LocalSes, message: Message, evil: str) -> None:
    tricky = replace(
        message, parts={**message.parts, SUBJECT: f"こんにちは{evil}"}, sender=replace(SENDER, from_name=f"店{evil}")
    )
    mail = sent(local_ses, tricky)
    assert len(mail["to"]) == 1
    assert not set(mail["subject"] + mail["source"]) & set("\r\n\x00\x85\u2028")


def test_a_configuration_set_that_does_not_exist_is_a_mistake_of_ours(cloud: LocalSession, message: Message) -> None:
    with pytest.raises(MisconfiguredError, match="configuration set"):
        SesChannel("nowhere", cloud.client("sesv2")).send(message)
