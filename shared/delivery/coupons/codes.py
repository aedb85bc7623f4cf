"""Codes of a campaign: read from the file a cart's admin writes, or made here for the cart to import."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from shared.core.errors import RejectedError
from shared.core.ids import TenantId, keyed_digest
from shared.core.keys import KeyRing
from shared.ingest import media
from shared.ingest.files.sheet import Sheet

MAX_CODES = 200_000
_SHOWN = 20
_PREFIX = re.compile(r"[A-Z0-9][A-Z0-9-]{0,11}")
_HEADINGS = frozenset({"code", "coupon", "couponcode", "discountcode", "コード", "クーポンコード", "クーポン"})
_LETTERS = str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
"""Crockford's 32: without I, L, O and U nobody mixes letters and digits up."""


def read_codes(body: bytes) -> list[str]:
    """The codes of a CSV: its only column, or the one headed `code` (クーポンコード).

    Raises RejectedError naming every line that is no code. One that looks like a telephone number or an address is
    refused too: such words of an order are kept out of the lake, so nobody would ever see it used.
    """
    sheet = Sheet(io.BytesIO(body))
    column = _column(sheet.heading)
    cells = [] if column is not None else [(1, sheet.heading[0])]
    cells += [(line, row[column or 0] if len(row) > (column or 0) else "") for line, row in sheet]
    codes: dict[str, str] = {}
    wrong: list[str] = []
    for line, cell in cells:
        code = media.code(cell)
        if code is None or any(letter.isspace() for letter in code):
            wrong.append(f"line {line}: {cell.strip()[:_SHOWN]!r} is no code")
        elif code.upper() in codes:
            wrong.append(f"line {line}: {code!r} is there twice")
        else:
            codes[code.upper()] = code
    if wrong:
        raise RejectedError("; ".join(wrong[:_SHOWN]))
    if not 0 < len(codes) <= MAX_CODES:
        raise RejectedError(f"a file of codes has 1 to {MAX_CODES} of them, this one {len(codes)}")
    return list(codes.values())


def make_codes(tenant: TenantId, campaign: str, prefix: str, numbers: range, keys: KeyRing) -> list[str]:
    """`AKI-7Q2MK4X9AB`: 50 bits after the prefix that only this deployment's key can tell. Made again, the same."""
    if not _PREFIX.fullmatch(prefix):
        raise RejectedError(f"{prefix!r} is no prefix of codes: capitals, digits and -, at most 12")
    if not 0 < len(numbers) <= MAX_CODES:
        raise RejectedError(f"1 to {MAX_CODES} codes can be made at once, not {len(numbers)}")
    return [f"{prefix}-{_unguessable(tenant, campaign, number, keys)}" for number in numbers]


def _unguessable(tenant: TenantId, campaign: str, number: int, keys: KeyRing) -> str:
    return keyed_digest(keys.personal, "coupon", tenant, campaign, str(number))[:10].translate(_LETTERS)


def _column(heading: Sequence[str]) -> int | None:
    """Which column holds the codes; None: there is no heading, and one column."""
    names = [cell.strip().lower().replace(" ", "").replace("_", "") for cell in heading]
    found = [number for number, name in enumerate(names) if name in _HEADINGS]
    if not found and len(names) != 1:
        raise RejectedError("a file of several columns needs a heading, and one of them 'code' (クーポンコード)")
    return found[0] if found else None
