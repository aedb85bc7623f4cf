"""A SendEmail request as the outbox keeps it, and what SES says becomes of it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.local.emulator.ses_message import InvalidMessageError, happenings, mail_object, read_message

NOW = datetime(2026, 3, 1, 1, 2, 3, 4000, tzinfo=UTC)


def a_request(**given: Any) -> dict[str, Any]:
    """A simple mail."""
    return {
        "FromEmailAddress": "見本商店 <news@shop.example.com>",
        "Destination": {"ToAddresses": ["hanako@example.com"]},
        "Content": {"Simple": {"Subject": {"Data": "件名"}, "Body": {"Text": {"Data": "本文"}}}},
        "ConfigurationSetName": "matakite",
        "EmailTags": [{"Name": "send_id", "Value": "s1"}],
        **given,
    }


def test_an_event_tells_the_tags_and_the_time() -> None:
    mail = mail_object(read_message(a_request(), "m1", "Sender", NOW))
    assert mail["timestamp"] == "2026-03-01T01:02:03.004Z"
    assert mail["tags"]["send_id"] == ["s1"]
    assert mail["tags"]["ses:configuration-set"] == ["matakite"]
    assert mail["commonHeaders"]["subject"] == "件名"


def test_a_raw_mail_is_read() -> None:
    raw = (
        "From: news@shop.example.com\r\nTo: hanako@example.com\r\nSubject: raw\r\nX-SES-MESSAGE-TAGS: a=b, c=d\r\n"
        "X-SES-CONFIGURATION-SET: matakite\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n"
    )
    request = {"Content": {"Raw": {"Data": base64.b64encode(raw.encode()).decode()}}}
    message = read_message(request, "m1", "Sender", NOW)
    assert (message.to, message.subject, message.text.strip()) == (["hanako@example.com"], "raw", "hello")
    assert (message.tags, message.configuration_set) == ({"a": "b", "c": "d"}, "matakite")


@pytest.mark.parametrize(
    "given",
    [
        {"EmailTags": [{"Name": "mail", "Value": "hanako@example.com"}]},
        {"Destination": {"ToAddresses": [f"p{n}@example.com" for n in range(51)]}},
    ],
)
def test_what_ses_refuses_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessageError):
        read_message(a_request(**given), "m1", "Sender", NOW)


@pytest.mark.parametrize(
    ("recipient", "suppressed", "kinds"),
    [
        ("hanako@example.com", False, ["Delivery"]),
        ("bounce@example.com", False, ["Delivery"]),
        ("bounce+1@simulator.amazonses.com", False, ["Bounce"]),
        ("complaint@simulator.amazonses.com", False, ["Delivery", "Complaint"]),
        ("ooto@simulator.amazonses.com", False, ["Delivery", "Bounce"]),
        ("hanako@example.com", True, ["Bounce"]),
    ],
)
def test_what_becomes_of_a_mail(recipient: str, suppressed: bool, kinds: list[str]) -> None:
    assert [happening.kind for happening in happenings(recipient, suppressed, NOW)] == kinds
