"""Which shop a command is about: the one named, or the only one there is."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.session import Deployment
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import TenantId
from shared.core.shop import Shop, parameter_name, parse_shop

OfShop = Annotated[str | None, typer.Option("--shop", help="Shop (tenant); needed when there are several.")]


def which_shop(deployment: Deployment, named: str | None) -> Shop:
    """The shop's settings. Raises NotFoundError or RejectedError saying which shops there are."""
    shops = all_shops(deployment)
    if not shops:
        raise NotFoundError("no shop yet: set one up with `matakite shop set`")
    known = ", ".join(shop.tenant for shop in shops)
    if named is None and len(shops) > 1:
        raise RejectedError(f"say which shop with --shop; there are {known}")
    for shop in shops:
        if named in (None, shop.tenant):
            return shop
    raise NotFoundError(f"no shop {named!r}; there are {known}")


def all_shops(deployment: Deployment) -> list[Shop]:
    """Every shop of the deployment, by id."""
    path = parameter_name(deployment.prefix, TenantId("")).rstrip("/")
    pages = deployment.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path)
    found = (parameter for page in pages for parameter in page["Parameters"])
    shops = (parse_shop(TenantId(p["Name"].rpartition("/")[2]), p["Value"]) for p in found)
    return sorted(shops, key=lambda shop: shop.tenant)
