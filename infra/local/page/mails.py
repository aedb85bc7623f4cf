"""Show a mail as its reader would see it, with every link and the opening going back in as SES events."""

from __future__ import annotations

import re
from email.header import decode_header, make_header
from html import escape, unescape
from typing import Any
from urllib.parse import quote

_HREF = re.compile(r"""(<a\b[^>]*?\bhref=)(["'])(https?://.*?)\2""", re.IGNORECASE | re.DOTALL)
_PLAIN = (
    "body{margin:0;padding:20px;font-family:'Hiragino Kaku Gothic ProN','Noto Sans CJK JP',Meiryo,sans-serif;"
    "line-height:1.8;color:#222}pre{white-space:pre-wrap;font:inherit;margin:0}"
)


def decoded(header: str) -> str:
    """A header as a mail program shows it: encoded words (RFC 2047) made readable."""
    return str(make_header(decode_header(header)))


def readable(message: dict[str, Any]) -> str:
    """The mail's HTML (its text when it has none), for a frame in which no script may run."""
    base = f"/mail/{quote(message['message_id'])}"
    pixel = f'<img src="{base}/open.gif" alt="" width="1" height="1">'
    html = str(message.get("html") or "") or _text_page(str(message.get("text") or ""))
    html = _HREF.sub(
        lambda m: f'{m[1]}"{base}/click?link={quote(unescape(m[3]), safe="")}" target="_blank" rel="noopener"', html
    )
    return html.replace("</body>", f"{pixel}</body>") if "</body>" in html else html + pixel


def _text_page(text: str) -> str:
    linked = re.sub(r"(https?://[^\s<>&\"]+)", r'<a href="\1">\1</a>', escape(text))
    return f'<!doctype html><html lang="ja"><style>{_PLAIN}</style><body><pre>{linked}</pre></body></html>'
