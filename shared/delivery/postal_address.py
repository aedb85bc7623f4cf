"""Japanese addresses as a printer wants them (宛名の名寄せ・住所クレンジング), or why a letter cannot arrive.

Full-width digits and letters and half-width kana become ordinary ones (NFKC, but 神 and 福 keep the form their owner
writes), the dozen signs that people type for a hyphen become one, the prefecture is split off.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from shared.core.errors import RejectedError

_REGIONS = (
    "北海道 青森県 岩手県 宮城県 秋田県 山形県 福島県",
    "茨城県 栃木県 群馬県 埼玉県 千葉県 東京都 神奈川県",
    "新潟県 富山県 石川県 福井県 山梨県 長野県 岐阜県 静岡県 愛知県",
    "三重県 滋賀県 京都府 大阪府 兵庫県 奈良県 和歌山県",
    "鳥取県 島根県 岡山県 広島県 山口県 徳島県 香川県 愛媛県 高知県",
    "福岡県 佐賀県 長崎県 熊本県 大分県 宮崎県 鹿児島県 沖縄県",
)
PREFECTURES = tuple(name for region in _REGIONS for name in region.split())

NO_CODE = "郵便番号が7桁ではありません"
NO_PLACE = "住所がありません"
NO_BLOCK = "番地がありません"
NO_NAME = "お名前がありません"
OTHER_PREFECTURE = "都道府県と郵便番号が合わない可能性があります"

_HYPHENS = "‐‑‒–—―−－ｰー─━ㅡ一﹣⁃˗"
_BETWEEN_DIGITS = re.compile(rf"(?<=[0-9A-Za-z])[{_HYPHENS}](?=[0-9A-Za-z])")
_COMPATIBILITY = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")
_SPACES = re.compile(r"\s+")
_BLOCK = re.compile(r"[0-9〇一二三四五六七八九十]|無番地")
_CODE_TO_PREFECTURES = {
    "北海道": "00 04-09",
    "青森県": "03",
    "岩手県": "02",
    "秋田県": "01",
    "宮城県": "98",
    "山形県": "99",
    "福島県": "96 97",
    "茨城県": "30 31",
    "栃木県": "32",
    "群馬県": "37",
    "埼玉県": "33-36",
    "千葉県": "26-29",
    "東京都": "10-20",
    "神奈川県": "21-25",
    "新潟県": "94 95",
    "富山県": "93",
    "石川県": "92",
    "福井県": "91",
    "山梨県": "40",
    "長野県": "38 39",
    "岐阜県": "50",
    "静岡県": "41-43",
    "愛知県": "44-49",
    "三重県": "51",
    "滋賀県": "52",
    "京都府": "60-62",
    "大阪府": "53-59",
    "兵庫県": "65-67",
    "奈良県": "63",
    "和歌山県": "64",
    "鳥取県": "68",
    "島根県": "69",
    "岡山県": "70 71",
    "広島県": "72 73",
    "山口県": "74 75",
    "徳島県": "77",
    "香川県": "76",
    "愛媛県": "79",
    "高知県": "78",
    "福岡県": "80-83",
    "佐賀県": "84",
    "長崎県": "85",
    "熊本県": "86",
    "大分県": "87",
    "宮崎県": "88",
    "鹿児島県": "89",
    "沖縄県": "90",
}
"""First two digits of a postal code, by prefecture. A few places on a border belong to the neighbour's, so what does
not agree is pointed out, never refused."""


class UndeliverableError(RejectedError):
    """A letter to this address would come back; the text is the reason, in Japanese."""


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """An address as it is printed."""

    postal_code: str
    """Seven digits, without a hyphen."""
    prefecture: str
    """Empty where the address does not say it; the postal code does."""
    place: str
    """Municipality, block and building."""
    name: str
    """With 様."""
    note: str = ""
    """What a person should look at before printing (要確認)."""


def read_label(label: str) -> PostalAddress:
    """From the three lines of `rules.address`. Raises UndeliverableError."""
    code, place, name = (*label.split("\n", 2), "", "", "")[:3]
    return clean(code, place, name)


def clean(postal_code: str, address: str, name: str) -> PostalAddress:
    """The address in its printed form. Raises UndeliverableError with the first reason found."""
    code = re.sub(r"[^0-9]", "", narrow(postal_code))
    if len(code) != 7 or code == "0000000":
        raise UndeliverableError(NO_CODE)
    prefecture, place = split_prefecture(tidy(address))
    if not place:
        raise UndeliverableError(NO_PLACE)
    if not _BLOCK.search(place):
        raise UndeliverableError(NO_BLOCK)
    person = tidy(name).removesuffix("様").strip()
    if not person:
        raise UndeliverableError(NO_NAME)
    note = OTHER_PREFECTURE if prefecture and code[:2] not in _codes_of(prefecture) else ""
    return PostalAddress(code, prefecture, place, f"{person} 様", note)


def tidy(text: str) -> str:
    """One line, ordinary widths, one kind of hyphen."""
    line = _SPACES.sub(" ", "".join(c for c in narrow(text) if c.isspace() or unicodedata.category(c)[0] != "C"))
    return _BETWEEN_DIGITS.sub("-", line).strip()


def narrow(text: str) -> str:
    """NFKC, except for the forms of kanji that it would unify (﨑 stays; so do 神 and 福 in their old forms)."""
    return "".join(
        part if _COMPATIBILITY.fullmatch(part) else unicodedata.normalize("NFKC", part)
        for part in _COMPATIBILITY.split(text)
    )


def split_prefecture(address: str) -> tuple[str, str]:
    """`東京都`, `千代田区…`; a prefecture written twice is taken once."""
    found = next((name for name in PREFECTURES if address.startswith(name)), "")
    rest = address
    while found and rest.startswith(found):
        rest = rest.removeprefix(found).strip()
    return found, rest


def _codes_of(prefecture: str) -> frozenset[str]:
    codes: set[str] = set()
    for part in _CODE_TO_PREFECTURES[prefecture].split():
        first, _, last = part.partition("-")
        codes |= {f"{n:02d}" for n in range(int(first), int(last or first) + 1)}
    return frozenset(codes)
