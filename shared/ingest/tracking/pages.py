"""The pages of a shop's site: which one was seen, without what its address must not tell; what kind it is."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.core.shop import Shop
from shared.ingest.tracking.privacy import looks_personal, looks_secret, storable

SECTION = "tracking"
"""Section of the shop's settings: `{"page_types": {"/pages/price*": "price", "/lp/*": "lp"}}`; first match wins."""

USUAL_PAGES: Mapping[str, str] = {
    "/": "home",
    "/products/*": "product",
    "/collections/*/products/*": "product",
    "/collections/*": "category",
    "/cart": "cart",
    "/cart/*": "cart",
    "/checkouts/*": "checkout",
    "/account/login": "login",
}
"""Paths that mean the same in most shops; the shop's own rules go first."""

MAX_PATH = 500
MAX_WORD = 100


def page_rules(shop: Shop | None) -> tuple[tuple[str, str], ...]:
    """The shop's path rules (ページ種別), then the usual ones. A rule that is no text is left out."""
    own = shop.section(SECTION).get("page_types") if shop else None
    rules = own.items() if isinstance(own, Mapping) else ()
    said = tuple((str(path), kind) for path, kind in rules if isinstance(kind, str) and kind)
    return said + tuple(USUAL_PAGES.items())


def page_type(path: str, rules: Sequence[tuple[str, str]]) -> str | None:
    """The kind of page at a path, by the first rule that fits."""
    plain = path.rstrip("/") or "/"
    return next((kind for pattern, kind in rules if fnmatch.fnmatchcase(plain, pattern.rstrip("/") or "/")), None)


def clean_url(written: str, store: str) -> str | None:
    """Scheme, host and path of a page; None when it is no web address. A path alone is one of the store's own pages.

    Queries and fragments are cut off; a part of the path that is a token, an address or a number is blotted out.
    """
    try:
        parts = urlsplit(storable(written).strip())
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme in {"http", "https"} and host:
        return f"{parts.scheme}://{host}{clean_path(parts.path)}"
    if not parts.scheme and not parts.netloc and parts.path.startswith("/"):
        return f"https://{store}{clean_path(parts.path)}"
    return None


def clean_path(path: str) -> str:
    """The path, with whatever names a person or opens a door replaced by `-`."""
    return "/".join(_shown(part) for part in path.split("/"))[:MAX_PATH] or "/"


def _shown(part: str) -> str:
    read = unquote(part)
    return "-" if looks_personal(read) or looks_secret(read) else part


def path_of(url: str) -> str:
    """The path of a cleaned URL."""
    return urlsplit(url).path or "/"


def host_of(url: str) -> str | None:
    """The host of a referrer (参照元)."""
    try:
        host = urlsplit(url.strip()).hostname
    except ValueError:
        return None
    return storable(host)[:MAX_WORD] if host else None


def campaign_of(context: Mapping[str, Any], search: str) -> str | None:
    """`google/cpc/spring` from what the SDK read of the address (`context.campaign`), else from its query."""
    said = context.get("campaign")
    if isinstance(said, Mapping) and said:
        words = [said.get("source"), said.get("medium"), said.get("name")]
    else:
        query = dict(parse_qsl(search.lstrip("?")[:4000], max_num_fields=None))
        words = [query.get(f"utm_{name}") for name in ("source", "medium", "campaign")]
    plain = [_word(word) for word in words]
    while plain and not plain[-1]:
        plain.pop()
    return "/".join(plain) or None


def _word(value: object) -> str:
    text = storable(value).strip().replace("/", "-") if isinstance(value, str) else ""
    return "" if looks_personal(text) else text[:MAX_WORD]
