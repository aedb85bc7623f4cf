"""Which codes belong to which campaign, so that an order that names one is known to be its doing (クーポンの利用)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.analytics.lake import Objects, put_partition
from shared.analytics.parquet import encode_rows
from shared.analytics.schema import COUPON_CODES, month_of
from shared.core.clock import shop_day
from shared.core.ids import digest
from shared.core.shop import Shop


def write_codes(campaign: str, codes: Sequence[str], lake: Objects, shop: Shop, now: datetime) -> None:
    """Put codes into `coupon_codes`. Told again, they belong to the campaign that was told last."""
    on = shop_day(now, shop.timezone)
    rows = [{"code": code.upper(), "campaign": campaign, "written_on": on, "written_at": now} for code in codes]
    name = f"told-{digest(shop.tenant, campaign, now.isoformat())}"
    put_partition(lake, COUPON_CODES, shop.tenant, month_of(on), name, encode_rows(COUPON_CODES, rows))
