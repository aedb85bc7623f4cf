"""How addresses are written, which of them reach nobody, and which name nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.customers.addresses import names_one_person, normalise_email, normalise_phone
from shared.customers.identity import refs_of
from tests.unit.customers.world import KEYS, a_person, an_order


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Taro@Example.JP", "Taro@example.jp"),
        ("  taro@example.jp\n", "taro@example.jp"),
        ("ｔａｒｏ＠ｅｘａｍｐｌｅ．ｊｐ", "taro@example.jp"),
        ("a..b@docomo.ne.jp", "a..b@docomo.ne.jp"),
        (".taro.@docomo.ne.jp", ".taro.@docomo.ne.jp"),
        ("taro+shop@example.jp", "taro+shop@example.jp"),
        ('"a@b"@example.jp', '"a@b"@example.jp'),
        ("a" * 190 + "@example.jp", "a" * 190 + "@example.jp"),
    ],
)
def test_an_address_is_kept_as_it_is_written_to(written: str, kept: str) -> None:
    assert normalise_email(written) == kept
    assert normalise_email(kept) == kept


@pytest.mark.parametrize(
    "written",
    [
        *("none", "n/a", "なし", "不明", "dummy@shop.invalid"),
        *("", " ", None, "taro", "taro@", "@example.jp", "taro@localhost", "12345@dummy.dummy", "x@DUMMY.dummy"),
        *("ta ro@example.jp", "taro@example..jp", "taro@exa mple.jp", "ta\nro@example.jp", "a" * 250 + "@example.jp"),
    ],
)
def test_what_reaches_nobody_is_no_address(written: str | None) -> None:
    assert normalise_email(written) is None


@pytest.mark.parametrize("masked", ["x1@marketplace.amazon.co.jp", "abc@pc.fw.rakuten.ne.jp"])
def test_masked_addresses_of_malls_join_nobody(masked: str) -> None:
    assert not names_one_person(masked)
    refs = refs_of(an_order("o1", 1, person=a_person(email=masked)), KEYS)
    assert all(ref.startswith("anon:") for ref in refs)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("090-1234-5678", "+819012345678"),
        ("０９０ー１２３４ー５６７８", "+819012345678"),
        ("+81 90 1234 5678", "+819012345678"),
        ("+81 (0)90-1234-5678", "+819012345678"),
        ("010-81-90-1234-5678", "+819012345678"),
        ("9012345678", "+819012345678"),
        ("03-1234-5678", "+81312345678"),
        ("+1 202 555 0123", "+12025550123"),
    ],
)
def test_a_phone_number_is_read_as_japanese_unless_it_says_otherwise(written: str, kept: str) -> None:
    assert normalise_phone(written) == kept


@pytest.mark.parametrize(
    "written",
    [
        *("", None, "12345", "0", "000-0000-0000", "1" * 200, "なし", "+0123456789"),
        *("00000000000", "11111111111", "0999999999", "+99999999999"),
    ],
)
def test_what_rings_nowhere_is_no_phone_number(written: str | None) -> None:
    assert normalise_phone(written) is None


@given(st.text(max_size=60))
def test_normalising_any_text_twice_is_normalising_it_once(text: str) -> None:
    email, phone = normalise_email(text), normalise_phone(text)
    assert email is None or normalise_email(email) == email
    assert phone is None or normalise_phone(phone) == phone


@pytest.mark.parametrize(
    "written", ["", "0", "null", "None", " undefined ", "ｎｕｌｌ", "なし", "不明", "N/A", "-", "-1", "0000", "ゲスト"]
)
def test_what_stands_where_there_is_nothing_is_no_key(written: str) -> None:
    person = a_person(written, written, phone=written, line_user_id=written, anonymous_ids=(f"cart/{written}",))
    assert refs_of(an_order("o1", 1, person=person, cart=written), KEYS) == refs_of(an_order("o1", 1), KEYS)
