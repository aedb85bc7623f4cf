"""Reading a vendor's JSON body with suspicion: exact numbers, plain types, clear refusals.

Every reader raises RejectedError naming the field, never anything else, whatever the body holds. A refusal never
quotes the value: it may be a person's data.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any, NoReturn

from shared.core.clock import from_iso, shop_day
from shared.core.errors import RejectedError
from shared.core.ids import digest
from shared.core.money import exponent, parse_amount

Body = Mapping[str, Any]

MAX_TEXT = 1000
"""Characters kept of any text: longer than every real name, address or title."""
MAX_COUNT = 1_000_000
TIMEZONE = "Asia/Tokyo"
"""Days of times written in UTC are of this zone: a body does not say its shop's own."""
CLOCK_TOLERANCE = timedelta(days=1)
"""Ahead of ours by more than this, a shop's clock is wrong, or an unsigned header was made up."""

_GID = re.compile(r"gid://[A-Za-z0-9-]+/[A-Za-z]+/([0-9]{1,20})(?:\?.*)?", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_IS_UTC = re.compile(r"T.*(?:Z|[+-]00:00)\s*$", re.ASCII)
_SECONDS = re.compile(r"[0-9]{9,10}", re.ASCII)
_AMOUNT = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,8})?", re.ASCII)
_MOST_DIGITS = 15
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,60})?", re.ASCII)
_OPAQUE = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>\x00-\x1f\x7f]+@[^\s@<>\x00-\x1f\x7f]+")
_HTTPS = re.compile(r"https://[^\s<>\"']{1,2000}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_SAFE_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_EPOCHS = range(1990, 2200)
_DAYS = range(1900, 2200)


def parse_object(raw: bytes) -> Body:
    """The body as a JSON object; numbers keep every digit (`Decimal`, never float)."""
    try:
        document = _decoder().decode(raw.removeprefix(codecs.BOM_UTF8).decode())
    except (ValueError, ArithmeticError, RecursionError):
        # `from None`: the decoder's message and its `doc` attribute hold the body.
        raise RejectedError("the body is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise RejectedError("the body must be a JSON object")
    return document


@cache
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def key_part(text: str) -> str:
    """An identifier as part of a table key: itself when plain, else a digest of it."""
    return text if _SAFE_KEY.fullmatch(text) else digest(text)


def text(body: Body, name: str) -> str | None:
    """A text field, trimmed and cut to MAX_TEXT; None when missing, null or empty. Numbers become their digits."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        _refuse(name, "text")
    return _storable(str(value)).replace("\x00", "").strip()[:MAX_TEXT] or None


def _storable(written: str) -> str:
    """Text that can be stored: a lone surrogate (\\ud800) is legal JSON and no text."""
    return written.encode("utf-8", "replace").decode("utf-8")


def word(body: Body, name: str) -> str:
    """A vendor's word of a fixed list, in lower case; "" for whatever is none."""
    value = body.get(name)
    return _storable(value).strip().lower() if isinstance(value, str) else ""


def email(body: Body, name: str = "email") -> str | None:
    """A mail address as given; None when there is none that could ever receive mail."""
    found = text(body, name)
    return found if found and len(found) <= 320 and _EMAIL.fullmatch(found) else None


def web_address(body: Body, name: str) -> str | None:
    """An https address; None for anything else, which is no link to put into a mail."""
    value = body.get(name)
    return _storable(value) if isinstance(value, str) and _HTTPS.fullmatch(value) else None


def strings(body: Body, name: str) -> Sequence[str]:
    """The texts of a list, empty when missing; what is no text in it is left out."""
    value = body.get(name)
    listed = value if isinstance(value, list) else ()
    return tuple(said for each in listed if isinstance(each, str) and (said := text({name: each}, name)))


def identifier(body: Body, name: str = "id", gid: str | None = None) -> str | None:
    """A numeric id as text; None when missing, null or 0.

    Ids exceed 2^53 and may come rounded by JavaScript: the digits of the `gid` field are preferred where it exists.
    """
    exact = body.get(gid) if gid else None
    for value in (exact, body.get(name)):
        found = _digits(value)
        if found:
            return found if found.strip("0") else None
    if body.get(name) not in (None, ""):
        _refuse(name, "an id")
    return None


def _digits(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    shown = format(value, "f") if isinstance(value, Decimal) and -20 < value.adjusted() < 20 else str(value)
    match = _GID.fullmatch(shown)
    digits = match.group(1) if match else shown
    return digits if _DIGITS.fullmatch(digits) else None


def opaque_id(body: Body, name: str = "id") -> str | None:
    """An id that is a word of letters and digits (`cus_…`, `cs_live_…`); None when missing, null or empty."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _OPAQUE.fullmatch(value):
        _refuse(name, "an id")
    return value


def required(value: str | None, name: str) -> str:
    """A value that must be there."""
    if value is None:
        _refuse(name, "present")
    return value


def time(body: Body, name: str) -> datetime | None:
    """An RFC 3339 time, UTC and aware; None when missing, null or empty."""
    value = body.get(name)
    if value is None or value == "":
        return None
    found = instant(value) if isinstance(value, str) else None
    if found is None:
        _refuse(name, "a time such as 2026-11-02T10:15:30+09:00")
    return found


def day(body: Body, name: str) -> date | None:
    """The calendar day a date or time begins with, as written: the shop's own day. None when there is none."""
    value = body.get(name)
    begins = _DAY.match(value.strip()) if isinstance(value, str) else None
    try:
        found = date.fromisoformat(begins.group()) if begins else None
    except ValueError:
        return None
    return found if found and found.year in _DAYS else None


def local_day(body: Body, name: str) -> date | None:
    """The shop's day of a time: as written beside the shop's own offset; UTC knows no shop: Tokyo's day then."""
    value = body.get(name)
    at = instant(value) if isinstance(value, str) and _IS_UTC.search(value) else None
    return shop_day(at, TIMEZONE) if at else day(body, name)


def epoch_time(body: Body, name: str) -> datetime | None:
    """Unix seconds (a whole number, or its digits as text), UTC and aware; None when missing, null or empty."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**33:
        _refuse(name, "a time in unix seconds")
    at = datetime.fromtimestamp(value, UTC)
    return at if at.year in _EPOCHS else _refuse(name, "a time of our days")


def instant(written: str) -> datetime | None:
    """The aware instant of RFC 3339 text; None for anything else."""
    try:
        at = from_iso(written.strip())
    except (ValueError, OverflowError):
        return None
    return at if at.year in _EPOCHS else None


def happened_at(now: datetime, *written: object) -> datetime:
    """When a delivery happened: the first of these that is an instant and to be believed, else now."""
    instants = (instant(value) for value in written if isinstance(value, str))
    return next((at for at in instants if at is not None and at <= now + CLOCK_TOLERANCE), now)


def currency(body: Body, name: str = "currency") -> str | None:
    """An ISO 4217 code; None when missing."""
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value.upper()):
        _refuse(name, "a currency code")
    return value.upper()


def amount(body: Body, name: str, in_currency: str) -> int | None:
    """Money in minor units, from text or number; None when missing, null or empty."""
    value = body.get(name)
    if value is None or value == "":
        return None
    shown = _plain(value)
    if shown is None:
        _refuse(name, "an amount of money")
    try:
        return parse_amount(shown, in_currency)
    except RejectedError:
        _refuse(name, f"an amount of {in_currency}")


def number(body: Body, name: str) -> Decimal | None:
    """A number, exact, from text or number; None when missing, null or empty."""
    value = body.get(name)
    if value is None or value == "":
        return None
    shown = _plain(value, _NUMBER)
    if shown is None:
        _refuse(name, "a number")
    return Decimal(shown)


def rounded(value: Decimal, in_currency: str) -> int:
    """A calculated amount in minor units, half up: some carts work finer than the smallest coin.

    Raises RejectedError for what no shop ever took.
    """
    if value.adjusted() > _MOST_DIGITS:
        raise RejectedError("an amount of money is out of all reason")
    return int(value.scaleb(exponent(in_currency)).quantize(Decimal(1), ROUND_HALF_UP))


def _plain(value: object, shape: re.Pattern[str] = _AMOUNT) -> str | None:
    """The digits of a number or numeric text; None for what is neither or could never be money."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    # Bounded before formatting: 1e999999 is short to write and a megabyte to print.
    small = not isinstance(value, Decimal) or (value.is_finite() and -20 < value.adjusted() < 20)
    shown = (format(value, "f") if isinstance(value, Decimal) else str(value).strip()) if small else ""
    return shown if shape.fullmatch(shown) else None


def count(body: Body, name: str) -> int:
    """A whole number of pieces, 0 when missing or empty."""
    value = body.get(name)
    if value is None or value == "":
        return 0
    shown = _plain(value)
    number = Decimal(shown) if shown is not None else Decimal(-1)
    if not 0 <= number <= MAX_COUNT or number != number.to_integral_value():
        _refuse(name, "a whole number of pieces")
    return int(number)


def flag(body: Body, name: str) -> bool:
    """A true-or-false field; missing and null are false, and so are the words for it."""
    value = body.get(name)
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def inner(body: Body, name: str) -> Body | None:
    """An object inside the body; None when missing, null or empty in any way (PHP writes `[]` and `""`)."""
    value = body.get(name)
    if value in (None, "", []):
        return None
    if not isinstance(value, dict):
        _refuse(name, "an object")
    return value


def items(body: Body, name: str) -> Sequence[Body]:
    """A list of objects inside the body; empty when missing, null or empty in any way (PHP writes `{}` and `""`)."""
    value = body.get(name)
    if value in (None, "", {}):
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        _refuse(name, "a list of objects")
    return value


def _refuse(name: str, expected: str) -> NoReturn:
    raise RejectedError(f"field {name!r} must be {expected}")
