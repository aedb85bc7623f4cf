"""Files for the printer and the call centre (CSV): safe in Excel, in the encoding Japanese systems still want."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.core.errors import RejectedError
from shared.core.spreadsheet import safe_cell

ENCODINGS = {"utf-8": "utf-8-sig", "cp932": "cp932"}
"""`utf-8` begins with a byte order mark: Excel reads it then."""

LETTER_COLUMNS = {
    "code": "レスポンスコード",
    "postal_code": "郵便番号",
    "prefecture": "都道府県",
    "place": "住所",
    "name": "宛名",
    "text": "本文",
    "url": "QRコードのURL",
    "note": "要確認",
    "scenario": "シナリオ",
    "send_id": "送信ID",
}
RETURNED_COLUMNS = {
    "send_id": "送信ID",
    "customer_id": "顧客ID",
    "reason": "送れない理由",
    "label": "登録されている宛名",
}
CALL_COLUMNS = {
    "task_id": "タスクID",
    "customer_id": "顧客ID",
    "phone": "電話番号",
    "name": "お名前",
    "reason": "理由",
    "ltv": "LTV",
    "deadline": "期限",
    "title": "件名",
    "script": "トークスクリプト",
    "scenario": "シナリオ",
}
"""Field of a document → heading."""


def csv_of(documents: Iterable[Mapping[str, Any]], columns: Mapping[str, str], encoding: str) -> bytes:
    """The file. Raises RejectedError naming the rows that the encoding cannot write."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns.values())
    rows = [[_cell(name, document.get(name)) for name in columns] for document in documents]
    if encoding == "cp932":
        _check_writable(rows)
    writer.writerows(rows)
    return text.getvalue().encode(ENCODINGS[encoding])


def _cell(name: str, value: object) -> str:
    """A cell that a spreadsheet would run as a formula is made a text."""
    text = "" if value is None else str(value)
    if name == "phone":
        text = as_dialled(text)
    if name == "postal_code" and len(text) == 7:
        return f"{text[:3]}-{text[3:]}"
    return str(safe_cell(text))


def as_dialled(phone: str) -> str:
    """`+819012345678` as it is dialled in Japan, 090-1234-5678; a spreadsheet leaves the hyphens and the 0 alone."""
    if not re.fullmatch(r"\+81[1-9]\d{8,9}", phone):
        return phone
    number = f"0{phone[3:]}"
    first = 2 if number[:2] in ("03", "06") and len(number) == 10 else 3
    return f"{number[:first]}-{number[first:-4]}-{number[-4:]}"


def _check_writable(rows: Sequence[Sequence[str]]) -> None:
    wrong = [row[0] for row in rows if not _is_cp932("".join(row))]
    if wrong:
        raise RejectedError(
            f"CP932 cannot write {len(wrong)} rows ({', '.join(wrong[:5])}…): a name has a letter it does not know. "
            "Use --encoding utf-8 (文字化けを防ぐため中止しました)"
        )


def _is_cp932(text: str) -> bool:
    try:
        return text.encode("cp932").decode("cp932") == text
    except UnicodeEncodeError:
        return False
