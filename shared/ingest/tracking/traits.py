"""What `identify` says about a person, in our words: contact data, demographics, and the shop's own attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from shared.core.clock import shop_day
from shared.ingest import body as read
from shared.ingest.model import Person
from shared.ingest.prefectures import prefecture
from shared.ingest.tracking.privacy import Plain, names_a_person, plain_value, storable

Traits = Mapping[str, Any]

_NAMES = {
    "email": ("email", "mail", "emailAddress", "email_address", "メールアドレス"),
    "phone": ("phone", "tel", "phoneNumber", "phone_number", "mobile", "電話番号"),
    "last_name": ("lastName", "last_name", "lastname", "familyName", "姓"),
    "first_name": ("firstName", "first_name", "firstname", "givenName", "名"),
    "last_name_kana": ("lastNameKana", "last_name_kana", "kana_last", "セイ"),
    "first_name_kana": ("firstNameKana", "first_name_kana", "kana_first", "メイ"),
    "line_user_id": ("lineUserId", "line_user_id", "lineId", "line_id"),
}
_BIRTHDAY = ("birthday", "birthdate", "birth_date", "birthOn", "birth_on", "dateOfBirth", "生年月日")
_GENDER = ("gender", "sex", "性別")
_OCCUPATION = ("occupation", "job", "職業")
_REGISTERED = ("createdAt", "created_at", "registeredAt", "registered_on", "signupDate")
_TAKEN = {name for names in _NAMES.values() for name in names} | {
    *_BIRTHDAY, *_GENDER, *_OCCUPATION, *_REGISTERED, "address", "name", "avatar", "id", "age", "username", "website",
    # The mobile SDKs repeat the call's own ids among the traits.
    "anonymousId", "userId",
}  # fmt: skip
_GENDERS = {
    "f": "female", "female": "female", "woman": "female", "女": "female", "女性": "female",
    "m": "male", "male": "male", "man": "male", "男": "male", "男性": "male",
    "other": "other", "その他": "other", "x": "other",
}  # fmt: skip
_JAPANESE = re.compile(r"[぀-ヿ㐀-鿿々ｦ-ﾟ]")
_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
MAX_ATTRIBUTES = 40


def person_of(traits: Traits) -> Person:
    """Contact data of the traits; what is no text is left out."""
    said = {field: _first(traits, names) for field, names in _NAMES.items()}
    said["email"] = read.email({"email": said["email"]}) if said["email"] else None
    if not said["last_name"] and not said["first_name"]:
        said["last_name"], said["first_name"] = _split(_first(traits, ("name", "氏名")) or "")
    where = _address(traits.get("address"))
    return Person(
        email=said["email"],
        phone=said["phone"],
        line_user_id=said["line_user_id"],
        last_name=said["last_name"],
        first_name=said["first_name"],
        last_name_kana=said["last_name_kana"],
        first_name_kana=said["first_name_kana"],
        postal_code=where.get("postal_code"),
        prefecture=where.get("prefecture"),
        address=where.get("address"),
    )


def attributes_of(traits: Traits) -> dict[str, Plain]:
    """デモグラフィック属性, and whatever else is plain and impersonal as `custom/<name>`."""
    found: dict[str, Plain | None] = {
        "birth_on": _day(_first(traits, _BIRTHDAY)),
        "gender": _GENDERS.get((_first(traits, _GENDER) or "").lower()),
        "occupation": _first(traits, _OCCUPATION),
        "registered_on": _day(_first(traits, _REGISTERED)),
    }
    custom = (name for name in sorted(traits) if name not in _TAKEN and 0 < len(name) <= 64)
    for name in custom:
        if len(found) >= MAX_ATTRIBUTES:
            break
        if not names_a_person(name):
            found[f"custom/{storable(name)}"] = plain_value(traits[name])
    return {name: value for name, value in found.items() if value is not None}


def _first(traits: Traits, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = traits.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            text = storable(str(value)[: read.MAX_TEXT]).strip()
            if text:
                return text
    return None


def _split(name: str) -> tuple[str | None, str | None]:
    """(family, given): Japanese names are written family first, others given first."""
    parts = name.split()
    if len(parts) != 2:
        return name or None, None
    return (parts[0], parts[1]) if _JAPANESE.search(name) else (parts[1], parts[0])


def _address(said: object) -> dict[str, str | None]:
    if not isinstance(said, Mapping):
        return {}
    line = " ".join(part for name in ("city", "street") if (part := _first(said, (name,))))
    return {
        "postal_code": _first(said, ("postalCode", "postal_code", "zip")),
        "prefecture": prefecture(_first(said, ("state", "prefecture", "region"))),
        "address": line or None,
    }


def _day(written: str | None) -> str | None:
    """The shop's calendar day as ISO text: what a browser writes of midnight in Tokyo is 15:00 of the day before."""
    if day := read.local_day({"day": written}, "day"):
        return day.isoformat()
    found = _DAY.match(written or "")
    try:
        return date(*(int(part) for part in found.groups())).isoformat() if found else _epoch_day(written)
    except ValueError:
        return None


def _epoch_day(written: str | None) -> str | None:
    if not written or not re.fullmatch(r"[0-9]{9,13}", written, re.ASCII):
        return None
    seconds = int(written) / (1000 if len(written) == 13 else 1)
    return shop_day(datetime.fromtimestamp(seconds, UTC), read.TIMEZONE).isoformat() if seconds < 2**33 else None
