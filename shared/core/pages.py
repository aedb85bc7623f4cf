"""Our own public pages (公開ページ): one look, no script, no cookie; everything that is shown is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any


def headers(*, form_action: str = "'self'") -> dict[str, str]:
    """Of a page whose forms may lead to `form_action`: no script, no frame, no trace in a cache or a referrer."""
    return {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "content-security-policy": (
            f"default-src 'none'; style-src 'unsafe-inline'; form-action {form_action}; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-robots-tag": "noindex",
    }


HEADERS: Mapping[str, str] = headers()

_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:#f4f1ec;color:#2f2a26;font:16px/1.8 "Hiragino Kaku Gothic ProN","Hiragino Sans",
"Noto Sans JP","Noto Sans CJK JP",Meiryo,sans-serif}
main{max-width:40rem;margin:6vh auto;padding:2rem 2rem 1.5rem;background:#fff;border-radius:8px}
.shop{margin:0 0 .25rem;color:#5c5650;font-size:.875rem}
h1{margin:0 0 1rem;font-size:1.375rem;line-height:1.5}
p{margin:0 0 1rem}
small{display:block;color:#5c5650;font-size:.875rem;line-height:1.6}
fieldset{margin:0 0 2rem;padding:0;border:0;min-width:0}
legend,.question{display:block;padding:0;margin:0 0 .5rem;font-weight:bold;line-height:1.6}
.free{margin:0 0 2rem}
.mark{display:inline-block;margin-left:.5rem;padding:0 .5rem;border-radius:4px;background:#efe9df;color:#5c5650;
font-size:.75rem;font-weight:normal}
.must{background:#9c3b2e;color:#fff}
.choice{display:flex;gap:.75rem;align-items:center;margin:0 0 .5rem;padding:.65rem .9rem;border:1px solid #8a8279;
border-radius:6px;cursor:pointer}
.choice:has(input:checked){border-color:#3b5b7a;background:#eef3f8;box-shadow:inset 0 0 0 1px #3b5b7a}
.choice input{flex:none;width:1.15rem;height:1.15rem;margin:0;accent-color:#3b5b7a}
.scale{display:grid;grid-template-columns:repeat(auto-fit,minmax(2.5rem,1fr));gap:.375rem}
.scale label{display:flex;flex-direction:column;align-items:center;gap:.25rem;
padding:.5rem 0;border:1px solid #8a8279;border-radius:6px;cursor:pointer}
.scale label:has(input:checked){border-color:#3b5b7a;background:#eef3f8;box-shadow:inset 0 0 0 1px #3b5b7a}
.scale input{width:1.15rem;height:1.15rem;margin:0;accent-color:#3b5b7a}
.ends{display:flex;justify-content:space-between;gap:1rem;margin:.25rem 0 0;color:#5c5650;font-size:.875rem}
input[type=email],input[type=text],textarea{display:block;width:100%;padding:.75rem .9rem;border:1px solid #8a8279;
border-radius:6px;background:#fff;color:inherit;font:inherit}
textarea{min-height:8rem;resize:vertical}
.wrong{margin:0 0 .5rem;color:#9c3b2e;font-weight:bold}
.alert{margin:0 0 1.5rem;padding:.75rem 1rem;border-left:4px solid #9c3b2e;background:#fbf1ef}
.alert p,.alert ul{margin:0}
.alert ul{padding-left:1.25rem}
.alert a{color:#8a3024}
.agreed{margin:0 0 1.5rem;padding:.75rem 1rem;border-left:4px solid #3b5b7a;background:#eef3f8}
button{display:block;width:100%;margin:1.5rem 0 1rem;padding:.9rem 1rem;border:0;border-radius:6px;background:#3b5b7a;
color:#fff;font:inherit;font-weight:bold;cursor:pointer}
button:hover{background:#2c465f}
.quiet{box-shadow:inset 0 0 0 2px #3b5b7a;background:#fff;color:#3b5b7a}
.quiet:hover{background:#eef2f6}
.done{margin:0 0 1.5rem;padding:.75rem 1rem;border-left:4px solid #3b7a57;background:#edf5f0}
:focus-visible{outline:3px solid #b5651d;outline-offset:2px}
.note{color:#5c5650;font-size:.875rem}
.trap{position:absolute;left:-9999px}
@media (max-width:36rem){main{margin:0;padding:1.5rem 1.25rem;border-radius:0;min-height:100vh}
.long{grid-template-columns:repeat(6,1fr)}}
"""


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser gets."""

    status: int
    html: str
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)

    def answer(self, *, head: bool = False) -> dict[str, Any]:
        """As API Gateway wants it (payload 2.0)."""
        return {"statusCode": self.status, "headers": dict(self.headers), "body": "" if head else self.html}


def page(status: int, title: str, shop_name: str, content: str) -> Page:
    """One of our pages; `content` is HTML whose texts are escaped already."""
    whose = f'<p class="shop">{escape(shop_name)}</p>\n' if shop_name else ""
    heading = f"{escape(title)} | {escape(shop_name)}" if shop_name else escape(title)
    return Page(
        status,
        f"""<!doctype html>
<html lang="ja">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{heading}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{whose}<h1>{escape(title)}</h1>
{content}
</main>
</body>
</html>
""",
    )


def paragraph(text: str, css: str = "") -> str:
    """A paragraph of plain text; its line breaks are kept."""
    shown = "<br>".join(escape(line) for line in text.splitlines())
    return f'<p class="{css}">{shown}</p>\n' if css else f"<p>{shown}</p>\n"
