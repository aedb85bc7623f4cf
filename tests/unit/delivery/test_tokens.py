"""Signed unsubscribe links: for ever valid, for nothing else, and without a word about the person."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.keys import derive_key_ring
from shared.delivery.tokens import UnsubscribeToken, sign, verify

KEYS = derive_key_ring("master")
TOKEN = UnsubscribeToken(TenantId("mihon"), CustomerId("c1"), SendId("s1"), "email", "mihon.myshopify.com")
text = st.text(max_size=40)


@given(text, text, text, text, text)
def test_what_was_signed_is_read_back(tenant: str, customer: str, send: str, channel: str, store: str) -> None:
    token = UnsubscribeToken(TenantId(tenant), CustomerId(customer), SendId(send), channel, store)
    signed = sign(token, KEYS)
    assert verify(signed, KEYS) == token or len(signed) > 1024


def test_a_token_may_stand_in_a_url() -> None:
    assert set(sign(TOKEN, KEYS)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_any_change_of_one_letter_is_noticed() -> None:
    signed = sign(TOKEN, KEYS)
    for position, letter in enumerate(signed):
        for other in ("A", "B", ".", "é"):
            changed = signed[:position] + other + signed[position + 1 :]
            if other != letter:
                assert verify(changed, KEYS) is None, position


def test_random_text_is_no_token() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        garbage = ".".join(base64.urlsafe_b64encode(rng.randbytes(rng.randrange(40))).decode() for _ in range(4))
        assert verify(garbage, KEYS) is None
    for garbage in ("", "...", "v1.1.." + "A" * 22, "v1.1.W10." + "A" * 22, "a" * 5000, "v1.1.x.\x00"):
        assert verify(garbage, KEYS) is None


def test_another_deployments_token_is_none_of_ours() -> None:
    assert verify(sign(TOKEN, derive_key_ring("another")), KEYS) is None


@pytest.mark.parametrize("generation", [2, 3, 9])
def test_a_link_in_an_old_mail_works_after_every_rotation(generation: int) -> None:
    rotated = derive_key_ring("master", generation)
    assert verify(sign(TOKEN, KEYS), rotated) == TOKEN
    assert sign(TOKEN, rotated) != sign(TOKEN, KEYS)
    assert verify(sign(TOKEN, rotated), KEYS) is None


def test_a_token_of_another_kind_signed_with_the_same_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.delivery.tokens._KIND", "click")
    click = sign(TOKEN, KEYS)
    monkeypatch.undo()
    assert verify(click, KEYS) is None
