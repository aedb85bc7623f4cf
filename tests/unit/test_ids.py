"""Ids are base32 in small letters, and never change: they are keys of what is stored."""

from __future__ import annotations

import base64
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import digest, keyed_digest


@given(st.text())
def test_a_digest_is_128_bits_in_base32(part: str) -> None:
    raw = hashlib.sha256(f"{len(part)}:{part}".encode()).digest()[:16]
    assert digest(part) == base64.b32encode(raw).decode().rstrip("=").lower()


def test_what_is_stored_is_found_again() -> None:
    assert digest("order", "1") == "pwd7w376r2lg4safalbpctk35y"
    assert keyed_digest(b"key", "shop", "a@example.com") == "oerijicqmo4723kactgdhs5p6y"
