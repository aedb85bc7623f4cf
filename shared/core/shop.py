"""A shop's own settings document: what is true for every domain here, the rest in sections the domains read.

Stored as one SSM parameter `/matakite/shops/{tenant}` (JSON), written by `matakite shop set`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.core.errors import MisconfiguredError
from shared.core.ids import TenantId

MAX_AGE_SECONDS = 300


def parameter_name(prefix: str, tenant: TenantId) -> str:
    """The SSM parameter of a shop's document."""
    return f"{prefix}/shops/{tenant}"


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop (テナント): its name, clock, currency and language; `sections` hold each domain's own settings."""

    tenant: TenantId
    name: str
    timezone: str = "Asia/Tokyo"
    currency: str = "JPY"
    language: str = "ja"
    public_url: str = ""
    """Base of every link we put into a message, without a trailing slash."""
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def section(self, name: str) -> Mapping[str, Any]:
        """The settings of one domain, `{}` when the shop left the defaults."""
        return self.sections.get(name, {})


def parse_shop(tenant: TenantId, text: str) -> Shop:
    """The shop from its JSON document. Raises MisconfiguredError saying which field is wrong."""
    try:
        document = json.loads(text)
        shop = Shop(tenant=tenant, **document)
        ZoneInfo(shop.timezone)
    except (ValueError, TypeError, ZoneInfoNotFoundError) as error:
        raise MisconfiguredError(f"settings of shop {tenant!r}: {error}") from None
    return shop


def load_shop(prefix: str, tenant: TenantId) -> Shop:
    """The shop's settings from SSM, cached for 5 minutes."""
    from aws_lambda_powertools.utilities import parameters

    text = parameters.get_parameter(parameter_name(prefix, tenant), max_age=MAX_AGE_SECONDS)
    return parse_shop(tenant, str(text))


def list_shop_ids(prefix: str) -> list[TenantId]:
    """Every shop of the deployment, cached for 5 minutes: for what runs every minute for all of them."""
    from aws_lambda_powertools.utilities import parameters

    found = parameters.get_parameters(f"{prefix}/shops", max_age=MAX_AGE_SECONDS)
    return sorted(TenantId(name) for name in found)
