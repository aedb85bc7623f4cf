"""The prefectures of Japan (都道府県): every cart writes them differently, one name comes of it."""

from __future__ import annotations

import re

_WRITTEN = """
北海道 青森県 岩手県 宮城県 秋田県 山形県 福島県 茨城県 栃木県 群馬県 埼玉県 千葉県 東京都 神奈川県 新潟県 富山県
石川県 福井県 山梨県 長野県 岐阜県 静岡県 愛知県 三重県 滋賀県 京都府 大阪府 兵庫県 奈良県 和歌山県 鳥取県 島根県
岡山県 広島県 山口県 徳島県 香川県 愛媛県 高知県 福岡県 佐賀県 長崎県 熊本県 大分県 宮崎県 鹿児島県 沖縄県
"""
_ROMAN = """
hokkaido aomori iwate miyagi akita yamagata fukushima ibaraki tochigi gunma saitama chiba tokyo kanagawa niigata toyama
ishikawa fukui yamanashi nagano gifu shizuoka aichi mie shiga kyoto osaka hyogo nara wakayama tottori shimane
okayama hiroshima yamaguchi tokushima kagawa ehime kochi fukuoka saga nagasaki kumamoto oita miyazaki kagoshima okinawa
"""
NAMES = tuple(_WRITTEN.split())
"""In the order of their numbers (JIS X 0401, ISO 3166-2:JP): the first is 01."""

_CODE = re.compile(r"(?:JP-?)?([0-9]{1,2})", re.ASCII)
_MACRONS = str.maketrans("ōŌūŪ", "oouu")
_KNOWN = {**{name[:-1]: name for name in NAMES[1:]}, **dict(zip(_ROMAN.split(), NAMES, strict=True))}


def prefecture(written: str | None) -> str | None:
    """`JP-23`, `JP23`, `23`, `Aichi`, `愛知` and `愛知県` are all 愛知県; what is none of Japan stays as written."""
    if not written:
        return None
    code = _CODE.fullmatch(written.strip())
    if code:
        number = int(code.group(1))
        return NAMES[number - 1] if 1 <= number <= len(NAMES) else None
    plain = written.strip().translate(_MACRONS).lower()
    return _KNOWN.get(plain.removesuffix("-ken").removesuffix("-to").removesuffix("-fu"), written.strip())
