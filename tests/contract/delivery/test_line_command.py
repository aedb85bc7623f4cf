"""`matakite line` over the stand-in: whose token it is, the quota and the price."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cli.line import LineApi, load_account, save_account
from infra.cli.session import Deployment
from infra.local.session import LocalSession
from infra.local.stand_ins.line import BOT, TOKEN, LineStandIn
from shared.core.errors import MisconfiguredError, NotFoundError, RejectedError
from shared.core.ids import TenantId
from shared.delivery.channels.line import LineAccount
from shared.delivery.line_price import price_of_next
from tests.contract.delivery.providers import USER


def test_a_token_is_stored_for_the_account_it_belongs_to(cloud: LocalSession) -> None:
    deployment: Any = Deployment(cloud)
    with LineStandIn() as line:
        with pytest.raises(RejectedError, match="belongs to"):
            save_account(deployment, TenantId("mihon"), LineAccount(TOKEN, line.url, "U" + "9" * 32))
        with pytest.raises(NotFoundError):
            load_account(deployment, TenantId("mihon"))
        with pytest.raises(MisconfiguredError, match="401"):
            save_account(deployment, TenantId("mihon"), LineAccount("wrong", line.url, BOT["userId"]))
        account = LineAccount(TOKEN, line.url, BOT["userId"])
        save_account(deployment, TenantId("mihon"), account)
        assert load_account(deployment, TenantId("mihon")) == account
        assert TOKEN not in repr(account)


def test_the_quota_is_lines_own_and_the_price_follows() -> None:
    with LineStandIn(monthly_limit=200) as line:
        api = LineApi(LineAccount(TOKEN, line.url))
        line.used = 199
        assert "あと 1 通で止まります" in price_of_next(api.quota())
        line.used = 200
        assert "送信できません" in price_of_next(api.quota())
        assert api.link_token(USER).startswith("link-")
    with LineStandIn() as line:
        assert LineApi(LineAccount(TOKEN, line.url)).quota().limit is None
