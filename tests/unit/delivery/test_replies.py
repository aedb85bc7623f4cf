"""Whoever texts STOP or 配信停止 is texted no more: at once, at every store of the shop, and nobody else with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.delivery import receive_receipt as function
from shared.core.errors import RejectedError, UnavailableError
from shared.core.ids import CustomerId, EventId, TenantId
from shared.customers import fold
from shared.customers.model import PersonState
from shared.customers.store import MemoryCustomerStore
from shared.delivery.channels.channel import NotSentError
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.channels.sms import segments
from shared.delivery.feedback import FeedbackDeps
from shared.delivery.receipts import ReceiptDeps, receive
from shared.delivery.replies.confirm import Confirmation
from shared.delivery.replies.noted import Noted
from shared.delivery.replies.receive import METHOD, ReplyDeps
from shared.delivery.replies.store import MemoryTexted, number_digest
from shared.delivery.replies.words import asks_to_stop
from shared.delivery.rules import reaches
from shared.delivery.spend.budget import month_of
from shared.delivery.spend.store import MemorySpend
from shared.delivery.store import MemoryLedgerStore
from shared.delivery.unsubscribe import UnsubscribeDeps
from shared.ingest.model import ConsentFacts, Event, EventType, Person
from shared.ingest.oversize import MemoryOversize
from shared.ingest.store import MemoryEventStore
from tests.unit.delivery.messages import a_mail
from tests.unit.delivery.world import KEYS, NOON, STORE, TENANT, a_shop

NUMBER, OURS = "+818000000001", "+815000000000"
ANOTHER = TenantId("yoso")


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", " Stop. ", "ＳＴＯＰ", "STOP please", "STOPしてください", "UNSUBSCRIBE", "stop all",
        "OPT-OUT", "END", "quit", "配信停止", "配信停止希望", "配信停止をお願いします。", "配信を停止してください",
        "メール不要", "ﾒｰﾙ不要です", "受信拒否", "停止", "解除", "「停止」", "ストップ", "ｽﾄｯﾌﾟ", "停止してください",
        "SMSの停止をお願いします",
    ],
)  # fmt: skip
def test_a_word_that_asks_to_stop_is_understood(text: str) -> None:
    assert asks_to_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "。", "はい", "ありがとうございます", "YES", "START", "Stopover in Kyoto", "weekend", "end of sale?",
        "cancel order 12",
        "営業時間を教えてください", "定期を解約したい", "この停止ボタンは何ですか", "不要な靴の下取り",
    ],
)  # fmt: skip
def test_other_words_are_no_opt_out(text: str) -> None:
    assert not asks_to_stop(text)


class Texts:
    """AWS End User Messaging, of which this suite needs one call; the system suite texts through its stand-in."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.fails: Exception | None = None

    def send_text_message(self, **asked: Any) -> None:
        if self.fails:
            raise self.fails
        self.sent.append(asked)


@dataclass
class Phones:
    """Two shops on one deployment, and people who were texted."""

    shops: dict[TenantId, dict[str, Any]] = field(default_factory=lambda: {TENANT: {"origination": OURS}})
    feedback: FeedbackDeps | None = None

    def __post_init__(self) -> None:
        self.customers, self.texted = MemoryCustomerStore(), MemoryTexted()
        self.events = MemoryEventStore(MemoryOversize())
        pages = UnsubscribeDeps(lambda: KEYS, self.shop, self.customers, self.events)
        self.spend, self.answers = MemorySpend(), Texts()
        confirmation = Confirmation(self.texted, self.spend, self.answers)
        replies = ReplyDeps(self.texted, pages, confirmation, lambda: list(self.shops))
        self.deps = ReceiptDeps(self.feedback or FeedbackDeps(self.events, MemoryLedgerStore()), replies)

    def shop(self, tenant: TenantId) -> Any:
        shop = a_shop(sms=self.shops[tenant])
        return replace(shop, tenant=tenant)

    def customer(self, number: str = "1", phone: str = NUMBER, store: str = STORE, tenant: TenantId = TENANT) -> Any:
        """Said yes to texts at a store, and was texted once."""
        event = Event(
            tenant=tenant,
            event_id=EventId(f"consent-{number}-{store}"),
            event_type=EventType.CONSENT_CHANGED,
            source="shopify",
            store=store,
            subject=f"shopify/{store}/customer/{number}",
            occurred_at=NOON - timedelta(days=9),
            received_at=NOON,
            version="1",
            person=Person(source_customer_id=number, email=f"{number}@example.com", phone=phone),
            facts=ConsentFacts(channel="sms", granted=True, method="test"),
        )
        known = fold.apply(event, self.customers, KEYS, a_shop()).customer_id
        assert known
        self.texted.note(tenant, number_digest(tenant, phone, KEYS), known)
        return known

    def texts(
        self, words: str = "配信停止", sender: str = NUMBER, to: str = OURS, at: datetime = NOON, **more: Any
    ) -> None:
        record = {"originationNumber": sender, "destinationNumber": to, "messageKeyword": "KEYWORD"}
        record |= {"messageBody": words, "inboundMessageId": "inbound-1", "previousPublishedMessageId": "p"}
        receive(json.dumps(record | more), self.deps, at)

    def person(self, customer: CustomerId, tenant: TenantId = TENANT) -> PersonState:
        found = self.customers.person(tenant, customer)
        assert found
        return found

    def reached(self, customer: CustomerId, store: str = STORE, tenant: TenantId = TENANT) -> bool:
        return reaches(self.person(customer, tenant), "sms", store)


@pytest.fixture
def phones() -> Phones:
    return Phones()


def test_who_texts_stop_is_out_when_the_message_leaves_the_queue_and_it_can_be_proven(phones: Phones) -> None:
    hanako = phones.customer()
    assert phones.reached(hanako)
    for _ in range(3):
        phones.texts()
    assert not phones.reached(hanako)
    assert phones.person(hanako).profile.phone == NUMBER
    refusals = [entry for entry in phones.customers.consent_log(TENANT, hanako) if not entry.granted]
    assert {(entry.channel, entry.method, entry.by_customer) for entry in refusals} == {("sms", METHOD, True)}
    assert len({entry.store for entry in refusals}) == len(refusals), "repeated, it is the same"
    kept = [envelope for envelope in phones.events.envelopes() if METHOD.encode() in envelope.raw]
    assert kept
    assert not any(NUMBER[1:].encode() in envelope.raw for envelope in kept), "kept without the number"


def test_it_counts_at_every_store_and_for_everybody_who_has_the_number(phones: Phones) -> None:
    hanako, taro = phones.customer("1"), phones.customer("2")
    phones.customer("1", store="second.example.jp")
    jiro = phones.customer("3", phone="+818000000002")
    phones.texts("ＳＴＯＰ")
    out = [phones.reached(hanako), phones.reached(hanako, "second.example.jp"), phones.reached(taro)]
    assert (out, phones.reached(jiro)) == ([False, False, False], True)


def test_who_has_another_number_by_now_is_not_meant(phones: Phones) -> None:
    hanako = phones.customer()
    phones.texted.note(TENANT, number_digest(TENANT, "+818000000009", KEYS), hanako)
    phones.texts(sender="+818000000009")
    assert phones.reached(hanako)


@pytest.mark.parametrize(
    ("named", "meant"), [(OURS, True), ("+815000000009", False), ("pool-1", True), ("phone-0312345678ab", True)]
)
def test_a_shop_that_does_not_text_from_that_number_is_not_meant(phones: Phones, named: str, meant: bool) -> None:
    phones.shops[ANOTHER] = {"origination": named}
    theirs = phones.customer("9", tenant=ANOTHER)
    phones.texts()
    assert phones.reached(theirs, tenant=ANOTHER) is not meant


def test_a_shop_without_sms_is_passed_over(phones: Phones) -> None:
    phones.shops = {ANOTHER: {}, **phones.shops}
    hanako = phones.customer()
    phones.texts()
    assert not phones.reached(hanako)


def test_what_else_is_written_changes_nothing_and_is_not_kept(phones: Phones, caplog: pytest.LogCaptureFixture) -> None:
    hanako = phones.customer()
    before = len(phones.events.envelopes())
    phones.texts("見本花子です。営業時間を教えてください")
    assert phones.reached(hanako)
    assert len(phones.events.envelopes()) == before
    assert "花子" not in caplog.text


def test_a_reply_that_cannot_be_read_or_kept_comes_back_to_the_queue(phones: Phones) -> None:
    hanako = phones.customer()
    with pytest.raises(RejectedError):
        phones.texts(sender="anonymous")
    phones.events.put_once = _busy  # type: ignore[method-assign,assignment]
    with pytest.raises(UnavailableError):
        phones.texts()
    assert phones.reached(hanako), "not in force, so not taken"
    body = json.dumps({"inboundMessageId": "i", "messageBody": "STOP", "originationNumber": NUMBER})
    record = {"messageId": "m1", "body": body, "eventSource": "aws:sqs"}
    answer = function.handler({"Records": [record]}, None, phones.deps)
    assert answer["batchItemFailures"] == []


def test_who_texts_stop_hears_once_that_it_is_done_and_the_month_counts_it(phones: Phones) -> None:
    for customer in ("1", "2"):
        phones.customer(customer)
    for number in range(3):
        phones.texts(inboundMessageId=f"inbound-{number}")
    (answer,) = phones.answers.sent
    assert (answer["DestinationPhoneNumber"], answer["OriginationIdentity"]) == (NUMBER, OURS)
    assert (answer["MessageType"], "ConfigurationSetName" in answer) == ("TRANSACTIONAL", False)
    assert answer["MessageBody"].endswith("SMSの配信を停止しました。今後はお送りしません。")
    assert segments(answer["MessageBody"]) == 1
    assert phones.spend.used(TENANT, month_of("sms", phones.shop(TENANT), NOON)) == 1
    phones.texts(inboundMessageId="tomorrow", at=NOON + timedelta(days=1))
    assert len(phones.answers.sent) == 2


@pytest.mark.parametrize("words", ["見本花子です。営業時間を教えてください", "はい"])
def test_what_else_is_written_and_whoever_we_never_texted_is_not_answered(phones: Phones, words: str) -> None:
    phones.customer()
    phones.texts(words)
    phones.texts(sender="+818000000077")
    assert phones.answers.sent == []


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException", "AccessDeniedException"])
def test_an_opt_out_stands_where_its_confirmation_cannot_leave_and_it_is_not_tried_again(
    phones: Phones, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    hanako = phones.customer()
    answer = {"Error": {"Code": code, "Message": NUMBER}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    phones.answers.fails = ClientError(answer, "SendTextMessage")  # type: ignore[arg-type]
    phones.texts()
    assert not phones.reached(hanako)
    assert NUMBER[1:] not in caplog.text
    phones.answers.fails = None
    phones.texts()
    assert phones.answers.sent == []


def _busy(*_: object) -> bool:
    raise UnavailableError("busy")


def test_whose_number_it_is_is_noted_before_the_text_leaves_or_it_does_not(phones: Phones) -> None:
    provider, message = FakeChannel(parts=("sms.txt",)), replace(a_mail(), to=NUMBER)
    channel = Noted(provider, phones.texted, KEYS)
    channel.send(message)
    digest = number_digest(TENANT, NUMBER, KEYS)
    assert phones.texted.people(TENANT, digest) == [message.key.customer_id]
    assert (channel.parts, channel.repeats, len(provider.accepted)) == (provider.parts, provider.repeats, 1)
    note: Callable[..., None] = _busy  # type: ignore[assignment]
    phones.texted.note = note  # type: ignore[method-assign]
    with pytest.raises(NotSentError):
        channel.send(message)
    assert len(provider.accepted) == 1
