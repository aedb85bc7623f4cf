"""A preview shows what the person would get; a test mail goes to oneself and counts for nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.errors import MisconfiguredError
from shared.customers.model import Cart
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT
from shared.delivery.preview import NOWHERE, TEST_MARK, mail_to_oneself, preview, sample
from shared.delivery.render import TemplateStore
from shared.ingest.model import Line
from tests.unit.delivery.world import NOON, a_person, a_shop

TEA = Line(product_id="p1", title="ほうじ茶 200g", quantity=1, unit_amount=980)
CART = Cart("shopify", "main", "c1", NOON, "JPY", 980, (TEA,), "https://shop.example.jp/cart/1")


def test_the_persons_own_cart_is_shown_the_latest_open_one(compiled: TemplateStore) -> None:
    older = replace(CART, token="c0", updated_at=NOON - timedelta(days=1), total=1)
    bought = replace(CART, token="c2", updated_at=NOON + timedelta(days=1), completed_at=NOON + timedelta(days=1))
    shown = preview(compiled, "cart_abandoned/first", replace(a_person(), carts=(older, CART, bought)), a_shop())
    assert shown.samples == ()
    for part in (HTML, TEXT):
        assert "ほうじ茶 200g" in shown.parts[part]
        assert "¥980" in shown.parts[part]
        assert f"https://go.example.jp/v1/unsubscribe/{NOWHERE}" in shown.parts[part]


def test_what_the_person_has_not_is_a_sample_and_is_called_one(compiled: TemplateStore) -> None:
    shown = preview(compiled, "cart_abandoned/first", a_person(), a_shop())
    assert shown.samples == ("cart",)
    assert "静岡県産 深蒸し煎茶 100g" in shown.parts[TEXT]
    contract = preview(compiled, "next_delivery/notice", a_person(), a_shop())
    assert contract.samples == ("contract",)
    assert {"line.json", "sms.txt"} <= set(contract.parts)


def test_there_is_no_preview_of_what_does_not_exist(compiled: TemplateStore) -> None:
    with pytest.raises(MisconfiguredError):
        preview(compiled, "cart_abandoned/nope", a_person(), a_shop())


def test_a_mail_to_oneself_is_marked_and_carries_no_customer(compiled: TemplateStore) -> None:
    shown = sample(compiled, "dormant_winback/offer", a_person(), a_shop())
    mail = mail_to_oneself(shown, a_shop(), "owner@shop.example.jp")
    assert mail["Content"]["Simple"]["Subject"]["Data"] == TEST_MARK + shown.parts[SUBJECT]
    assert mail["Destination"] == {"ToAddresses": ["owner@shop.example.jp"]}
    assert not {"EmailTags", "ConfigurationSetName"} & set(mail)
    assert "hanako" not in str(mail)
