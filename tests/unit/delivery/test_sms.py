"""What a text costs: parts as the carriers count them, and texts as phones show them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.delivery.channels.channel import RefusedError
from shared.delivery.channels.sms import MAX_PARTS, TEXT, SmsChannel, plain, segments
from tests.unit.delivery.messages import a_mail


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("{" * 80, 1),
        ("{" * 81, 2),
        ("あ" * 70, 1),
        ("あ" * 71, 2),
        ("あ" * 134, 2),
        ("あ" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("a" * 69 + "あ", 1),
        ("a" * 70 + "あ", 2),
    ],
)
def test_parts_are_counted_as_they_are_billed(text: str, parts: int) -> None:
    assert segments(text) == parts


def test_half_width_kana_becomes_what_phones_show() -> None:
    assert plain("  ﾐﾎﾝ商店①\n") == "ミホン商店1"


def test_a_text_that_is_too_long_costs_nothing() -> None:
    channel = SmsChannel(lambda tenant: "MIHON", "set", client=None)
    message = a_mail()
    long = {TEXT: "あ" * (67 * MAX_PARTS + 1)}
    with pytest.raises(RefusedError, match="4 parts"):
        channel.send(replace(message, parts=long))
