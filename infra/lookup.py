"""The look-up: what the shop's own systems may ask about customers."""

from __future__ import annotations

from constructs import Construct

from infra.customers import STORE_READS
from infra.house import POST, House

ROUTE = "/v1/customers/lookup"


class Lookup(Construct):
    """POST /v1/customers/lookup, opened by the secret key of a tracking connection."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House) -> None:
        super().__init__(scope, construct_id)
        function = house.page(self, "admin/look_up_customer")
        house.tables.customers.grant(function, *STORE_READS)
        house.grant_parameters(function, "connections/*", "ssm:GetParameter")
        house.route(POST, ROUTE, function)
