"""Postcards to be printed (はがき 100 × 148 mm): the address on one page, the message with its QR code on the next.

The font is embedded, as printers ask: IPAexゴシック (IPA Font License), or one given. Letters that it lacks are
refused rather than printed as boxes.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.renderPDF import draw
from reportlab.graphics.shapes import Drawing
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas

from shared.core.errors import MisconfiguredError, RejectedError

WIDTH, HEIGHT = 100 * mm, 148 * mm
MARGIN = 8 * mm
_NAME = "letters"
_NO_LINE_START = "、。，．・：；？！）」』】〕］ーゃゅょっぁぃぅぇぉャュョッァィゥェォ々％)]}.,!?"
"""行頭禁則: these do not begin a line."""


def postcards(letters: Sequence[Mapping[str, Any]], font: Path | None = None) -> bytes:
    """Two pages for each letter. Raises RejectedError naming the letters the font cannot write."""
    face = _font(font)
    _check_letters(letters, face)
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(WIDTH, HEIGHT), invariant=1, pageCompression=1)
    canvas.setTitle("Postcards")
    for letter in letters:
        _address_side(canvas, letter)
        canvas.showPage()
        _message_side(canvas, letter)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _address_side(canvas: Canvas, letter: Mapping[str, Any]) -> None:
    code = str(letter["postal_code"])
    canvas.setFont(_NAME, 15)
    canvas.drawString(MARGIN + 2 * mm, HEIGHT - 24 * mm, f"〒{code[:3]}-{code[3:]}")
    y = HEIGHT - 36 * mm
    for line in wrapped(f"{letter['prefecture']}{letter['place']}", 12, WIDTH - 2 * MARGIN - 4 * mm):
        canvas.setFont(_NAME, 12)
        canvas.drawString(MARGIN + 2 * mm, y, line)
        y -= 6.5 * mm
    y -= 4 * mm
    for line in wrapped(str(letter["name"]), 18, WIDTH - 2 * MARGIN - 10 * mm):
        canvas.setFont(_NAME, 18)
        canvas.drawString(MARGIN + 8 * mm, y, line)
        y -= 9 * mm
    sender = letter["sender"]
    lines = [line for text in (sender["postal_address"], sender["company"]) for line in wrapped(text, 8, 62 * mm)]
    canvas.setFont(_NAME, 8)
    for number, line in enumerate(reversed(lines)):
        canvas.drawString(MARGIN + 2 * mm, 12 * mm + number * 4 * mm, line)
    canvas.setFont(_NAME, 7)
    canvas.drawRightString(WIDTH - MARGIN, 8 * mm, str(letter["code"]))


def _message_side(canvas: Canvas, letter: Mapping[str, Any]) -> None:
    sender, y = letter["sender"], HEIGHT - 16 * mm
    canvas.setFont(_NAME, 13)
    canvas.drawString(MARGIN, y, sender["name"])
    y -= 10 * mm
    size = 9.5
    lines = [line for text in str(letter["text"]).splitlines() for line in wrapped(text, size, WIDTH - 2 * MARGIN)]
    step = min(5.4 * mm, (y - 48 * mm) / max(len(lines), 1))
    canvas.setFont(_NAME, min(size, step / 1.3))
    for line in lines:
        canvas.drawString(MARGIN, y, line)
        y -= step
    _qr(canvas, str(letter["url"]), MARGIN, 16 * mm, 26 * mm)
    canvas.setFont(_NAME, 8)
    canvas.drawString(MARGIN + 29 * mm, 36 * mm, "スマートフォンで読み取ってご覧ください")
    canvas.setFont(_NAME, 11)
    canvas.drawString(MARGIN + 29 * mm, 28 * mm, f"コード {letter['code']}")
    canvas.setFont(_NAME, 7)
    notice = f"このご案内が不要な方は {sender['contact']} までお知らせください。"
    for number, line in enumerate(reversed(wrapped(notice, 7, WIDTH - 2 * MARGIN))):
        canvas.drawString(MARGIN, 7 * mm + number * 3.4 * mm, line)


def _qr(canvas: Canvas, url: str, x: float, y: float, size: float) -> None:
    widget = QrCodeWidget(url, barLevel="M")
    left, bottom, right, top = widget.getBounds()
    picture = Drawing(size, size, transform=[size / (right - left), 0, 0, size / (top - bottom), 0, 0])
    picture.add(widget)
    draw(picture, canvas, x, y)


def wrapped(text: str, size: float, width: float) -> list[str]:
    """Lines no wider than `width` points; Japanese breaks anywhere but before a closing sign."""
    lines, line = [], ""
    for letter in text:
        if line and pdfmetrics.stringWidth(line + letter, _NAME, size) > width and letter not in _NO_LINE_START:
            lines.append(line)
            line = "" if letter == " " else letter
        else:
            line += letter
    return [*lines, line]


def _font(path: Path | None) -> TTFont:
    found = path or _shipped()
    try:
        face = TTFont(_NAME, str(found))
    except (TTFError, OSError) as error:
        raise MisconfiguredError(f"the font cannot be embedded ({error}): give a TrueType font with --font") from None
    pdfmetrics.registerFont(face)
    return face


def _shipped() -> Path:
    # Found without importing it: only its font is wanted.
    spec = find_spec("matplotlib_fontja")
    path = Path(spec.origin).parent / "fonts" / "ipaexg.ttf" if spec and spec.origin else None
    if path is None or not path.exists():
        raise MisconfiguredError("no Japanese font to embed: run `make setup`, or give a TrueType font with --font")
    return path


def _check_letters(letters: Sequence[Mapping[str, Any]], face: TTFont) -> None:
    known = face.face.charToGlyph
    wrong: dict[str, str] = {}
    for letter in letters:
        said = "".join(str(letter[name]) for name in ("prefecture", "place", "name", "text"))
        said += "".join(map(str, letter["sender"].values()))
        missing = sorted({c for c in said if ord(c) not in known and not c.isspace()})
        if missing:
            wrong[str(letter["code"])] = " ".join(f"{c} (U+{ord(c):04X} {unicodedata.name(c, '')})" for c in missing)
    if wrong:
        told = "; ".join(f"{code}: {signs}" for code, signs in list(wrong.items())[:5])
        raise RejectedError(
            f"the font has no glyph for {told}. Give another with --font (文字が欠けるため中止しました)"
        )
