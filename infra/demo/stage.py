"""The demo shop on a deployment: its settings, its connection, its history, its nightly run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from infra.cli.connection import add_connection, hook_url
from infra.cli.importing import Imported, import_file
from infra.cli.session import Deployment
from infra.demo import cdnow
from infra.demo.post import Endpoint
from infra.demo.story import SHOP
from shared.core.clock import SystemClock, shop_day
from shared.core.ids import TenantId
from shared.core.shop import Shop, parameter_name, parse_shop
from shared.ingest.files.importing import Advance
from shared.ingest.files.model import FileOptions

TENANT = TenantId("default")
SETTINGS = {
    "name": "見本商店",
    "timezone": "Asia/Tokyo",
    "currency": "JPY",
    "sections": {
        "delivery": {
            "from_address": "news@matakite-demo.example.com",
            "from_name": "見本商店",
            "company": "株式会社見本商店",
            "postal_address": "〒100-0000 東京都千代田区見本町1-2-3",
            "contact": "support@matakite-demo.example.com / 050-0000-0000",
            "shop_url": f"https://{SHOP}/",
            "guide_url": f"https://{SHOP}/pages/guide",
        }
    },
}


@dataclass(frozen=True)
class Stage:
    """A deployment with the demo shop in it."""

    deployment: Deployment
    shop: Shop
    endpoint: Endpoint


def set_up(deployment: Deployment, tenant: TenantId = TENANT) -> Stage:
    """Write the shop's settings, verify its sender with SES and connect its cart."""
    document = json.dumps({**SETTINGS, "public_url": deployment.outputs["ApiUrl"]}, ensure_ascii=False)
    deployment.client("ssm").put_parameter(
        Name=parameter_name(deployment.prefix, tenant), Value=document, Type="String", Overwrite=True
    )
    sender = SETTINGS["sections"]["delivery"]["from_address"]  # type: ignore[index]
    deployment.client("sesv2").create_email_identity(EmailIdentity=str(sender).partition("@")[2])
    connection = add_connection(deployment, tenant, "shopify", SHOP)
    endpoint = Endpoint(hook_url(deployment, connection), connection.secret)
    return Stage(deployment, parse_shop(tenant, document), endpoint)


def import_history(
    stage: Stage, file: Path, customers: int | None = None, advance: Advance = lambda *_: None
) -> Imported:
    """Write CDNOW as the CSV a shop would export, and import it; `customers` takes the first ones only."""
    yesterday = cdnow.yesterday(today(stage.shop))
    cdnow.write_csv(file, yesterday, customers)
    options = FileOptions(stage.shop.tenant, stage.shop.timezone, stage.shop.currency)
    return import_file(stage.deployment, stage.shop, file, "orders", options, advance)


def today(shop: Shop) -> date:
    """The shop's date."""
    return shop_day(SystemClock().now(), shop.timezone)
