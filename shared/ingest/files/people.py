"""Who a row is about: the columns of a person that every kind of file shares (会員番号・メール・電話・氏名)."""

from __future__ import annotations

import re
import unicodedata

from shared.core.ids import keyed_digest
from shared.ingest import prefectures
from shared.ingest.body import key_part
from shared.ingest.files import cells
from shared.ingest.files.model import Column, Context, Refused, Row
from shared.ingest.model import Person
from shared.ingest.names import is_japanese

NUMBER = Column(
    "customer_id",
    "会員ID",
    (
        "顧客番号",
        "顧客id",
        "会員番号",
        "顧客コード",
        "会員コード",
        "ユーザーid",
        "お客様番号",
        "customernumber",
        "memberid",
    ),
)
EMAIL = Column(
    "email",
    "メールアドレス",
    ("eメール", "メール", "pcメールアドレス", "mail", "mailaddress", "emailaddress", "e-mail", "eメールアドレス"),
)
PHONE = Column(
    "phone",
    "電話番号",
    ("電話", "tel", "phonenumber", "phone1", "電話番号1", "tel1"),
)
MOBILE = Column(
    "mobile", "携帯電話番号", ("携帯番号", "携帯電話", "携帯", "billingphone", "defaultaddressphone", "mobile")
)
"""Read where the first column is empty."""
PHONE_PARTS = (Column("phone2", "電話番号2", ("tel2",)), Column("phone3", "電話番号3", ("tel3",)))
"""楽天 writes a number in three columns; a second number of its own is not read."""
NAMES = (
    Column("last_name", "姓", ("苗字", "名字", "氏", "お名前(姓)", "名前(姓)", "氏名(姓)", "注文者姓", "lastname")),
    Column("first_name", "名", ("お名前(名)", "名前(名)", "氏名(名)", "firstname")),
    Column(
        "full_name",
        "氏名",
        (
            "お名前",
            "名前",
            "会員名",
            "顧客名",
            "購入者名",
            "注文者名",
            "注文者氏名",
            "注文者",
            "billingname",
            "customername",
        ),
    ),
    Column(
        "last_name_kana",
        "セイ",
        ("姓カナ", "姓(カナ)", "お名前(セイ)", "セイ(カナ)", "氏名カナ(姓)", "フリガナ(姓)", "名字フリガナ"),
    ),
    Column(
        "first_name_kana",
        "メイ",
        ("名カナ", "名(カナ)", "お名前(メイ)", "メイ(カナ)", "氏名カナ(名)", "フリガナ(名)", "名前フリガナ"),
    ),
    Column(
        "full_name_kana",
        "フリガナ",
        ("氏名カナ", "お名前カナ", "名前カナ", "ふりがな", "カナ", "氏名(カナ)", "注文者(振り仮名)"),
    ),
)
ADDRESS = (
    Column(
        "postal_code",
        "郵便番号",
        ("〒", "zip", "zipcode", "postalcode", "billingzip", "defaultaddresszip", "郵便番号1"),
    ),
    Column("postal_code2", "郵便番号2"),
    Column(
        "prefecture",
        "都道府県",
        (
            "都道府県(名称)",
            "都道府県名",
            "prefecturename",
            "billingprovincename",
            "billingprovince",
            "defaultaddressprovincecode",
            "住所都道府県",
            "住所:都道府県",
            "都道府県区分",
        ),
    ),
    Column(
        "city",
        "市区町村",
        ("住所(市区町村)", "住所郡市区", "住所:都市区", "市区郡", "city", "billingcity", "defaultaddresscity"),
    ),
    Column("address", "住所", ("住所1", "address1", "billingaddress1", "defaultaddressaddress1")),
    Column(
        "address2",
        "住所2",
        (
            "番地",
            "町名番地",
            "住所(番地)",
            "billingaddress2",
            "defaultaddressaddress2",
            "住所それ以降の住所",
            "住所:町以降",
        ),
    ),
    Column("address3", "住所3", ("建物名", "ビル・マンション名", "住所(建物名)")),
)
COLUMNS = (NUMBER, EMAIL, PHONE, MOBILE, *PHONE_PARTS, *NAMES, *ADDRESS)
_LONGEST_PART = 5
"""Digits of a part of a telephone number (市外局番)."""
LINE_ID = Column("line_user_id", "LINEユーザーID", ("lineid", "lineuserid"))
NEEDED = ("customer_id", "email", "phone", "mobile")
"""One of these names a person; a name alone does not."""


def person(row: Row) -> Person:
    """The person of a row. Raises Refused when nothing in it could name one."""
    found = anybody(row)
    if not (found.source_customer_id or found.email or found.phone or found.line_user_id):
        raise Refused(
            "会員ID・メールアドレス・電話番号がすべて空です",
            "customer_id, email and phone are all empty: nobody is named",
        )
    return found


def anybody(row: Row) -> Person:
    """What a row says about a person, who may stay unnamed (a sale at the register)."""
    last, first = _name(row, "last_name", "first_name", "full_name")
    last_kana, first_kana = _name(row, "last_name_kana", "first_name_kana", "full_name_kana")
    prefecture, address = _address(row)
    number = cells.code(row, "customer_id", "会員ID")
    return Person(
        source_customer_id=number if number.strip("0") else None,
        email=cells.email(row),
        phone=_phone(row),
        line_user_id=row.get("line_user_id") or None,
        last_name=last,
        first_name=first,
        last_name_kana=_kana(last_kana),
        first_name_kana=_kana(first_kana),
        postal_code=_postal_code(row),
        prefecture=prefecture,
        address=address,
    )


def _phone(row: Row) -> str | None:
    written = _phone_written(row)
    plain = cells.nfkc(written).lstrip("'")
    digits = re.sub(r"\D", "", plain)
    if not digits:
        return None
    # Excel takes the first 0 away from a telephone number; Shopify's export puts an apostrophe before the plus.
    if not plain.startswith("+") and not digits.startswith("0") and len(digits) in (9, 10):
        return f"0{digits}"
    return plain if plain.isascii() else written


def _phone_written(row: Row) -> str:
    first = row.get("phone")
    if not first or len(first) > _LONGEST_PART:
        return first or row.get("mobile")
    return "-".join(part for part in (first, row.get("phone2"), row.get("phone3")) if part)


def _name(row: Row, last: str, first: str, full: str) -> tuple[str | None, str | None]:
    if row.get(last) or row.get(first):
        return row.get(last) or None, row.get(first) or None
    written = row.get(full)
    if not is_japanese(written):
        # Ada Example: nobody says which of them is the family's.
        return written or None, None
    parts = written.split(maxsplit=1)
    return (parts[0] if parts else None), (parts[1] if len(parts) > 1 else None)


def _kana(written: str | None) -> str | None:
    """Full-width katakana, however it was written."""
    if written is None or written.isascii():
        return written
    text = unicodedata.normalize("NFKC", written)
    return "".join(chr(ord(letter) + 0x60) if "ぁ" <= letter <= "ゖ" else letter for letter in text)


def _postal_code(row: Row) -> str | None:
    written = row.get("postal_code")
    if second := cells.nfkc(row.get("postal_code2")):
        # 楽天 writes 060-0001 in two columns, of which Excel makes 60 and 1.
        written = f"{cells.nfkc(written).zfill(3)}-{second.zfill(4)}"
    digits = re.sub(r"\D", "", cells.nfkc(written))
    if len(digits) == 6:
        digits = f"0{digits}"
    return f"{digits[:3]}-{digits[3:]}" if len(digits) == 7 else cells.nfkc(written) or None


def _address(row: Row) -> tuple[str | None, str | None]:
    """Prefecture and the rest; a prefecture at the head of the address is taken from there."""
    prefecture = prefectures.prefecture(cells.nfkc(row.get("prefecture")))
    parts = [row.get(name) for name in ("city", "address", "address2", "address3")]
    address = " ".join(part for part in parts if part)
    if address and prefecture is None:
        leading = next((name for name in prefectures.NAMES if address.startswith(name)), None)
        return leading, address.removeprefix(leading or "").strip() or None
    return prefecture, address or None


def who(person: Person, context: Context) -> str:
    """A person as part of a subject or an event's id: gives nobody away."""
    if person.source_customer_id:
        return f"customer/{key_part(person.source_customer_id)}"
    said = (person.email or "").lower() or person.line_user_id or re.sub(r"\D", "", person.phone or "")
    return f"person/{keyed_digest(context.options.personal_key, context.options.tenant, 'file', said)}"
