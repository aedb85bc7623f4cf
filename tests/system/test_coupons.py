"""Coupons over the deployed cloud: made by the command, given to people, and known to the analyses by campaign."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from infra.cli.coupon import ANALYSIS
from infra.local.process import LocalPaths
from shared.analytics.lake import S3Objects
from shared.core.ids import CustomerId
from shared.delivery.content.feed import Catalogues
from shared.delivery.coupons.issue import Coupons
from shared.delivery.coupons.store import DynamoCoupons
from tests.system.conftest import CAMPAIGNS, Played
from tests.system.screen import matakite


def test_a_coupon_is_given_once_and_listed_with_what_the_orders_say(played: Played, cloud_paths: LocalPaths) -> None:
    place, tenant = played.stage.deployment, played.stage.shop.tenant
    coupons = Coupons(
        DynamoCoupons(place.outputs["DeliveriesTable"], place.client("dynamodb")), lambda _tenant: "Asia/Tokyo"
    )
    given = [coupons.issue(tenant, "aki", CustomerId("hanako"), "system", datetime.now(UTC)) for _ in range(2)]
    assert given[0] == given[1]
    assert given[0].code.startswith("AKI-")
    asked = matakite(cloud_paths, "analysis", "run", ANALYSIS, "--format", "json", "--shop", "default")
    known = {row["campaign"]: (row["codes"], row["used"]) for row in json.loads(asked.out)}
    assert known == dict.fromkeys(CAMPAIGNS, (5, 0))
    screen = matakite(cloud_paths, "mail", "coupon", "list", "--shop", "default")
    assert screen.status == 0, screen.err
    (aki,) = [line for line in screen.out.splitlines() if "aki" in line]
    assert [cell.strip() for cell in aki.strip("│").split("│")][3:6] == ["5", "1", "0"]


def test_the_night_left_a_catalogue_for_the_senders(played: Played) -> None:
    place = played.stage.deployment
    lake = S3Objects(place.outputs["LakeBucket"], place.client("s3"))
    catalogue = Catalogues(lake.get).of(played.stage.shop.tenant)
    assert list(lake.list("feeds/")), "one object of this shop"
    assert not catalogue.products, "its cart told of no products"
