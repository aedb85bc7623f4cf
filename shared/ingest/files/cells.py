"""What a cell means: dates, amounts, numbers and words as shops write them. A refusal never quotes the value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.core.clock import from_iso
from shared.core.errors import RejectedError
from shared.core.money import parse_amount
from shared.ingest.files.model import Context, Refused, Row
from shared.ingest.model import is_withdrawn_address

YES = frozenset(
    {"1", "true", "yes", "y", "on", "はい", "有", "あり", "○", "◯", "済", "する", "可", "希望", "希望する", "受け取る"}
)
NO = frozenset(
    {
        "0",
        "false",
        "no",
        "n",
        "off",
        "いいえ",
        "無",
        "なし",
        "×",
        "-",
        "未",
        "しない",
        "不可",
        "希望しない",
        "受け取らない",
        "通常",
    }
)
_DAY = r"(?P<year>\d{4})(?:[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?|(?P<month2>\d{2})(?P<day2>\d{2}))"
_TIME = r"(?:[T ]+(?P<hour>\d{1,2})[:時](?P<minute>\d{2})分?(?::?(?P<second>\d{2})秒?(?:\.\d+)?)?)?"
_LOCAL = re.compile(_DAY + _TIME, re.ASCII)
_OFFSET = re.compile(r".*\d\d:\d\d.*(?:Z|[+-]\d{2}:?\d{2})", re.ASCII)
_SHOPIFY_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)", re.ASCII)
_ERA = re.compile(r"^(明治|大正|昭和|平成|令和|[MTSHR])\.?(\d{1,2}|元)[年./-](\d{1,2})[月./-](\d{1,2})日?")
_ERA_STARTS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_ERA_LETTERS = dict(zip("MTSHR", _ERA_STARTS, strict=True))
_SERIAL = re.compile(r"([1-7]\d{4})(?:\.(\d{1,12}))?", re.ASCII)
"""A date as Excel counts: days since the end of 1899, from 1927 to 2118, and the part of the day."""
_WEEKDAY = re.compile(r"\([日月火水木金土](?:曜日?)?\)")
_CLOCK = re.compile(r"(\d{1,2})[:時]?(\d{2})(?:[:分]?(\d{2})秒?)?分?", re.ASCII)
"""The time of a day in a column of its own: `9:03`, `09:03:07`, `90307`, `9時03分`."""
_EXCEL_BEGAN = date(1899, 12, 30)
_LOST = re.compile(r"\d(?:\.\d+)?E\+?\d+", re.ASCII | re.IGNORECASE)
_LONGEST_CODE = 100
"""Letters of a number: a note in its place would make a key that no table takes, and the whole import fail."""
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,8})?", re.ASCII)
_MINUS = str.maketrans("−▲△", "---")
_DASHES = frozenset({"-", "－", "ー", "―", "なし"})
_YEN_SIGN = frozenset({"JPY", "CNY"})
_EMAIL = re.compile(r"[^\s@<>,;\x00-\x1f]{1,64}@[^\s@<>,;\x00-\x1f]{1,255}")
_EARLIEST = 1980
_NOON = timedelta(hours=12)
_NOON_TIME = clock_time(12)


def nfkc(cell: str) -> str:
    """Full-width letters and digits as plain ones."""
    return cell if cell.isascii() else unicodedata.normalize("NFKC", cell).strip()


def code(row: Row, name: str, japanese: str) -> str:
    """A number or code; "" where there is none. Excel writes a long number as 1.23457E+11: its digits are lost.

    Shopify's exports put an apostrophe before ids, so that Excel keeps them.
    """
    found = nfkc(row.get(name)).removeprefix("'")
    if _LOST.fullmatch(found):
        raise Refused(
            f"{japanese}の桁が Excel で失われています。列を「文字列」にして書き出し直してください",
            f"Excel lost digits of {name}: export that column as text",
        )
    if len(found) > _LONGEST_CODE:
        raise Refused(f"{japanese}が長すぎます（{_LONGEST_CODE}文字まで）", f"{name} is longer than {_LONGEST_CODE}")
    return found


def identifier(row: Row, name: str, japanese: str) -> str:
    """A number or code that must be there."""
    found = code(row, name, japanese)
    if not found:
        raise Refused(f"{japanese}が空です", f"{name} is empty")
    return found


def time(row: Row, name: str, japanese: str, context: Context) -> datetime | None:
    """An instant on the shop's clock (a date is its noon), or RFC 3339; None when empty."""
    cell = row.get(name)
    if not cell:
        return None
    at = _instant(cell, name, japanese, context)
    if at.year < _EARLIEST:
        raise Refused(f"{japanese}が{_EARLIEST}年より前です", f"{name} lies before {_EARLIEST}")
    if at > context.now + timedelta(days=1):
        raise Refused(f"{japanese}が未来の日付です", f"{name} lies in the future")
    return at


def time_of_day(at: datetime, row: Row, name: str, japanese: str, context: Context) -> datetime:
    """The time of a day in a column of its own (時刻) added to a date that came without one (its noon)."""
    cell = nfkc(row.get(name))
    local = at.astimezone(ZoneInfo(context.options.timezone))
    if not cell or local.time() != _NOON_TIME:
        return at
    clock = _CLOCK.fullmatch(cell)
    try:
        hour, minute, second = (int(part or 0) for part in clock.groups()) if clock else (-1, 0, 0)
        return _utc(local.replace(hour=hour, minute=minute, second=second))
    except ValueError:
        raise Refused(f"{japanese}は 9:03 のように書いてください", f"{name} is no time such as 9:03") from None


def needed_time(row: Row, name: str, japanese: str, context: Context) -> datetime:
    """An instant that must be there."""
    at = time(row, name, japanese, context)
    if at is None:
        raise _no_date(name, japanese)
    return at


def day(row: Row, name: str, japanese: str, context: Context) -> date | None:
    """A calendar day of any century, also of a Japanese era (和暦); None when empty. May lie in the future."""
    cell = row.get(name)
    if not cell or not nfkc(cell).strip("0-/. :"):
        return None
    return _instant(cell, name, japanese, context).astimezone(ZoneInfo(context.options.timezone)).date()


def _instant(cell: str, name: str, japanese: str, context: Context) -> datetime:
    text = nfkc(cell)
    try:
        if match := _SHOPIFY_TIME.fullmatch(text):
            return from_iso(f"{match[1]}T{match[2]}{match[3]}:{match[4]}")
        return from_iso(text) if _OFFSET.fullmatch(text) else _local_time(text, context.options.timezone)
    except (ValueError, OverflowError):
        raise _no_date(name, japanese) from None


def _no_date(name: str, japanese: str) -> Refused:
    return Refused(f"{japanese}は 2026-01-31 のように書いてください", f"{name} is no date such as 2026-01-31")


@lru_cache(maxsize=4096)  # dates repeat
def _local_time(text: str, timezone: str) -> datetime:
    if serial := _SERIAL.fullmatch(text):
        midnight = datetime.combine(
            _EXCEL_BEGAN + timedelta(days=int(serial[1])), datetime.min.time(), ZoneInfo(timezone)
        )
        return _utc(midnight + (timedelta(seconds=round(float(f"0.{serial[2]}") * 86_400)) if serial[2] else _NOON))
    match = _LOCAL.fullmatch(_WEEKDAY.sub(" ", _ERA.sub(_western, text, count=1)).strip())
    if match is None:
        raise ValueError("no date")
    part = match.groupdict()
    month, day_of_month = part["month"] or part["month2"], part["day"] or part["day2"]
    midnight = datetime(int(part["year"]), int(month), int(day_of_month), tzinfo=ZoneInfo(timezone))
    if part["hour"] is None:
        return _utc(midnight + _NOON)
    return _utc(midnight.replace(hour=int(part["hour"]), minute=int(part["minute"]), second=int(part["second"] or 0)))


def _western(era: re.Match[str]) -> str:
    """`令和8年1月5日` as `2026-1-5`."""
    name, year, month, day_of_month = era.groups()
    start = _ERA_STARTS[_ERA_LETTERS.get(name, name)]
    return f"{start + (1 if year == '元' else int(year))}-{month}-{day_of_month}"


def _utc(at: datetime) -> datetime:
    return from_iso(at.isoformat())


def currency(row: Row, default: str) -> str:
    """An ISO 4217 code."""
    code = nfkc(row.get("currency")).upper() or default
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise Refused("通貨は JPY のような3文字で書いてください", "currency is no ISO code such as JPY")
    return code


def amount(row: Row, name: str, japanese: str, of_currency: str, *, signed: bool = False) -> int | None:
    """Money in minor units; None when empty. `signed`: a minus is a way of writing a discount."""
    minor = balance(row, name, japanese, of_currency)
    if minor is not None and minor < 0 and not signed:
        raise Refused(
            f"{japanese}がマイナスです。返品・取消はキャンセル列で示してください",
            f"{name} is negative: mark the order as cancelled instead",
        )
    return None if minor is None else abs(minor)


def balance(row: Row, name: str, japanese: str, of_currency: str) -> int | None:
    """Money in minor units that may be less than nothing (調整金額); None when empty, or a dash for it."""
    cell = row.get(name)
    if not cell or cell in _DASHES:
        return None
    minor = 0 if cell == "無料" else _minor(cell, of_currency)
    if minor is None:
        raise Refused(f"{japanese}が {of_currency} の金額として読めません", f"{name} is no amount of {of_currency}")
    return minor


@lru_cache(maxsize=4096)  # prices repeat
def _minor(cell: str, of_currency: str) -> int | None:
    plain = unicodedata.normalize("NFKC", cell).translate(_MINUS)
    if ("$" in plain and of_currency == "JPY") or ("¥" in plain and of_currency not in _YEN_SIGN):
        return None
    # ￥1,100- is how an amount is closed by hand.
    text = re.sub(r"[¥\\円$,\s]", "", plain).rstrip("-")
    try:
        return parse_amount(text if _NUMBER.fullmatch(text) else "", of_currency)
    except RejectedError:
        return None


def whole(row: Row, name: str, japanese: str) -> int | None:
    """A whole number, not negative; None when empty."""
    text = re.sub(r"[,\s個点回目pPptPTポイント]", "", nfkc(row.get(name)))
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}(\.0+)?", text, re.ASCII):
        raise Refused(f"{japanese}は整数で書いてください", f"{name} is no whole number")
    return int(text.partition(".")[0])


def number(row: Row, name: str, japanese: str) -> float | None:
    """A number; None when empty."""
    text = nfkc(row.get(name)).replace(",", "")
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise Refused(f"{japanese}は数字で書いてください", f"{name} is no number")
    return float(text)


def flag(row: Row, name: str, japanese: str, also_yes: frozenset[str] = frozenset()) -> bool | None:
    """Yes or no; None when empty."""
    word = nfkc(row.get(name)).lower()
    if not word:
        return None
    if word not in YES | NO | also_yes:
        raise Refused(f"{japanese}は 1 か 0 で書いてください", f"{name} is neither yes nor no")
    return word not in NO


def word(row: Row, name: str, japanese: str, words: Mapping[str, str], default: str | None = None) -> str:
    """One of a list of words. Raises Refused naming the list for any other, unless there is a default."""
    found = words.get(re.sub(r"[\s\u3000]", "", nfkc(row.get(name))).lower())
    if found is None and default is None:
        shown = "・".join(dict.fromkeys(key for key in words if not key.isascii()))
        raise Refused(f"{japanese}は次のどれかで書いてください: {shown}", f"{name} is not one of {_values(words)}")
    return found or default or ""


def _values(words: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(words.values()))


def email(row: Row) -> str | None:
    """A mail address; None when empty."""
    found = nfkc(row.get("email"))
    if is_withdrawn_address(found):
        return None
    if found and not _EMAIL.fullmatch(found):
        raise Refused("メールアドレスの形が正しくありません", "email is no mail address")
    return found or None


def looks_personal(text: str) -> bool:
    """Could this word be an address or a telephone number? Then it is kept out of everything but the file."""
    plain = nfkc(text)
    return "@" in plain or re.search(r"\d[\d\s()-]{8,}\d", plain, re.ASCII) is not None
