"""The exact request that SES gets: headers, tags, addresses, and nothing that could break out of them."""

from __future__ import annotations

import json
from dataclasses import replace
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any

import pytest

from infra.local.session import LocalSession
from shared.core.errors import MisconfiguredError
from shared.delivery.channels.channel import Message, StoppedError
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT, SesChannel
from shared.delivery.model import Purpose
from tests.contract.delivery.providers import LocalSes
from tests.unit.delivery.messages import SENDER, a_mail


@pytest.fixture
def message() -> Message:
    return a_mail()


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


def test_a_sender_whom_ses_has_not_verified_stops_everything_and_refuses_nobody(
    local_ses: LocalSes, message: Message
) -> None:
    local_ses.cloud.client("sesv2").delete_email_identity(EmailIdentity="shop.example.jp")
    with pytest.raises(StoppedError, match="not verified the sender"):
        local_ses.channel.send(message)


def test_who_it_is_from_and_to(local_ses: LocalSes, message: Message) -> None:
    mail = sent(local_ses, message)
    assert mail["source"].isascii()
    name, address = parseaddr(mail["source"])
    assert (str(make_header(decode_header(name))), address) == (SENDER.from_name, SENDER.from_address)
    assert (mail["to"], mail["reply_to"]) == (["hanako@example.com"], ["support@shop.example.jp"])
    assert {SUBJECT: mail["subject"], TEXT: mail["text"], HTML: mail["html"]} == message.parts
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
