"""A CSV file as rows: its encoding, its separator, its limits. Read as a stream, so a long file takes little memory."""

from __future__ import annotations

import base64
import codecs
import csv
import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO

from shared.core.errors import RejectedError

ENCODINGS = ("utf-8-sig", "cp932")
MAX_BYTES = 1024**3
MAX_COLUMNS = 500
_BLOCK = 1 << 20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ZIP = b"PK"
"""How a workbook (.xlsx) begins."""
_KNOWN_AS = {
    "utf8": "utf-8-sig",
    "utf8sig": "utf-8-sig",
    "utf8bom": "utf-8-sig",
    "sjis": "cp932",
    "shiftjis": "cp932",
    "ms932": "cp932",
    "windows31j": "cp932",
    "cp932": "cp932",
    "utf16": "utf-16",
    "eucjp": "euc_jp",
}


class Sheet:
    """An open CSV file: its heading and, once, its rows. Raises RejectedError when it is no such file."""

    def __init__(self, stream: BinaryIO, encoding: str | None = None) -> None:
        self._stream = stream
        self.digest, self.encoding = _look_through(stream, encoding)
        stream.seek(0)
        text = io.TextIOWrapper(stream, encoding=self.encoding, newline="")
        self._text = text
        self._lines = csv.reader(text, delimiter=self._delimiter(text))
        self._start = 1
        self.heading = next(self._rows(), (1, ()))[1]
        if len(self.heading) > MAX_COLUMNS:
            raise RejectedError(f"列が{MAX_COLUMNS}を超えています / more than {MAX_COLUMNS} columns")

    def __iter__(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """(first line, cells) of every row below the heading that is not empty; lets go of the file at its end."""
        yield from self._rows()
        self._text.detach()

    def _delimiter(self, text: io.TextIOWrapper) -> str:
        first = text.readline()
        text.seek(0)
        # seek(0) forgets that the mark at the beginning was read; the codec skips it again.
        return max(",\t;", key=lambda mark: (first.count(mark), mark == ","))

    def _rows(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        try:
            for cells in self._lines:
                start, self._start = self._start, self._lines.line_num + 1
                if any(cell.strip() for cell in cells):
                    yield start, tuple(cells)
        except csv.Error:
            raise RejectedError(
                f"{self._start} 行目: CSV として読めません（引用符の閉じ忘れがないかご確認ください）"
                f" / line {self._start}: not CSV (is a quotation mark left open?)"
            ) from None


def _look_through(stream: BinaryIO, encoding: str | None) -> tuple[str, str]:
    """Digest and encoding, in one pass. UTF-8 first: CP932 would accept most of it, as other words."""
    head = stream.read(2)
    stream.seek(0)
    if head == _ZIP:
        raise RejectedError(
            "Excel のブックのままです。「CSV UTF-8（コンマ区切り）」で保存し直してください "
            "/ this is a workbook: save it as 'CSV UTF-8'"
        )
    # Excel's "Unicode text" begins with a mark.
    wanted = (_named(encoding),) if encoding else ("utf-16",) if head in _UTF16 else ENCODINGS
    decoders = {name: codecs.getincrementaldecoder(name)() for name in wanted}
    hasher, size, final = hashlib.sha256(), 0, False
    while not final:
        block = stream.read(_BLOCK)
        final = not block
        size += len(block)
        if size > MAX_BYTES:
            raise RejectedError("ファイルが 1 GB を超えています。分けて取り込んでください / larger than 1 GB: split it")
        hasher.update(block)
        decoders = {name: decoder for name, decoder in decoders.items() if _decodes(decoder, block, final=final)}
        if not decoders:
            raise RejectedError(
                "文字コードが読めません（UTF-8 か Shift_JIS で保存してください） "
                "/ the file is neither UTF-8 nor Shift_JIS (CP932): save it as 'CSV UTF-8'"
                if not encoding
                else f"文字コードが {encoding} ではありません / the file is not in {encoding}"
            )
    return base64.b32encode(hasher.digest()[:16]).decode().rstrip("=").lower(), next(iter(decoders))


def _named(encoding: str) -> str:
    plain = encoding.lower().replace("-", "").replace("_", "")
    if plain not in _KNOWN_AS:
        raise RejectedError(f"文字コード {encoding!r} は使えません / unknown encoding: use utf-8, cp932 or utf-16")
    return _KNOWN_AS[plain]


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True
