"""How a buyer came (広告媒体): the campaign values of a landing page, as one word for reports.

Campaign values go into the lake, so one that could be an address or a telephone number is left out.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

UTM = ("utm_source", "utm_medium", "utm_campaign")
REFERRAL = "mk_ref"
"""What a link that somebody recommends us with carries (shared/customers/referrals.py)."""
_MOST = 100
_PERSONAL = re.compile(r"@|%40|\d[\d -]{8,}\d")


def code(written: str | None) -> str | None:
    """A code of the shop's (coupon, tag, campaign), or None where it could be somebody's address or number."""
    plain = (written or "").strip()
    return plain if 0 < len(plain) <= _MOST and not _PERSONAL.search(plain) else None


def joined(source: str | None, medium: str | None = None, campaign: str | None = None) -> str | None:
    """`line/push/autumn`; what is missing is left out, and without any there is no medium."""
    return "/".join(said for part in (source, medium, campaign) if (said := code(part))) or None


def from_landing_page(url: str | None) -> str | None:
    """The utm values of the page a visit began on (a path is enough)."""
    return joined(*(_asked(url).get(name) for name in UTM))


def referral(url: str | None) -> str | None:
    """The token of whoever recommended the shop to somebody whose visit began on this page, as it was given."""
    return _asked(url).get(REFERRAL)


def _asked(url: str | None) -> dict[str, str]:
    """The first of each value of a URL's query."""
    try:
        values = parse_qs(urlsplit(url or "").query, max_num_fields=50)
    except ValueError:
        return {}
    return {name: said[0] for name, said in values.items()}
