"""`--as-of`: the shop's day (店の日付) that a command is asked about."""

from __future__ import annotations

from datetime import UTC, date, datetime
from unicodedata import normalize

from shared.core.clock import shop_day
from shared.core.errors import RejectedError
from shared.core.shop import Shop


def read_as_of(written: str | None, shop: Shop, now: datetime) -> date | None:
    """The day that was written, if one was. Raises RejectedError for what is no day, and for one yet to come."""
    if not written:
        return None
    try:
        day = datetime.strptime(normalize("NFKC", written), "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise RejectedError(
            f"--as-of は 2026-01-31 のように書いてください / a day such as 2026-01-31, got {written[:20]!r}"
        ) from None
    if day > (today := shop_day(now, shop.timezone)):
        raise RejectedError(f"--as-of {day} はまだ来ていません。{today} までの日を / has not been yet: up to {today}")
    return day
