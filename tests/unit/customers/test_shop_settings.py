"""`matakite shop set`: a document every domain can read, or a sentence that says what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.cli import shop as command
from infra.cli.session import Deployment
from shared.core.errors import MatakiteError, MisconfiguredError, RejectedError
from shared.core.ids import TenantId
from shared.core.keys import KeyRing
from shared.core.shop import parse_shop
from shared.customers.nobodys import named
from shared.delivery.account import may_send_from
from shared.delivery.policy import contact_policy
from shared.delivery.sender import sender_of
from tests.unit.customers.world import KEYS


class ParameterNotFoundError(Exception):
    """As boto3 names it on its client."""


@dataclass
class Parameters:
    """SSM's parameters in a dict."""

    kept: dict[str, str] = field(default_factory=dict)

    class exceptions:  # noqa: N801 - boto3's name
        ParameterNotFound = ParameterNotFoundError

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803
        if Name not in self.kept:
            raise ParameterNotFoundError
        return {"Parameter": {"Value": self.kept[Name]}}

    def put_parameter(self, Name: str, Value: str, Type: str, Overwrite: bool) -> None:  # noqa: N803
        assert (Type, Overwrite) == ("String", True)
        self.kept[Name] = Value


@dataclass(frozen=True)
class LocalDeployment(Deployment):
    """A deployment whose only service is SSM, and its keys."""

    parameters: Parameters = field(default_factory=Parameters)

    def keys(self) -> KeyRing:
        return KEYS

    def client(self, service: str) -> Any:
        assert service == "ssm"
        return self.parameters

    @property
    def outputs(self) -> dict[str, str]:
        return {"ApiUrl": "http://127.0.0.1:4566/api/"}


@pytest.fixture
def local() -> LocalDeployment:
    return LocalDeployment(session=None, local_url="http://127.0.0.1:4566")  # type: ignore[arg-type]


@pytest.fixture
def account() -> LocalDeployment:
    return LocalDeployment(session=None)  # type: ignore[arg-type]


def test_on_the_local_cloud_an_id_is_enough(local: LocalDeployment) -> None:
    shop = command.save_shop(local, "kissa", {})
    assert shop.public_url == "http://127.0.0.1:4566/api"
    assert (shop.timezone, shop.currency, shop.language) == ("Asia/Tokyo", "JPY", "ja")
    read = parse_shop(TenantId("kissa"), local.parameters.kept["/matakite/shops/kissa"])
    assert read == shop
    assert sender_of(read).from_name == "kissa"
    assert contact_policy(read).per_day == 1


def test_a_real_account_needs_a_real_sender_before_anything_is_stored(account: LocalDeployment) -> None:
    with pytest.raises(MisconfiguredError, match=r"postal_address|from_address"):
        command.save_shop(account, "kissa", {"name": "喫茶みほん"})
    assert account.parameters.kept == {}


def test_what_is_not_given_stays(local: LocalDeployment) -> None:
    command.save_shop(local, "kissa", {"name": "喫茶みほん", "sections.delivery.cap_per_day": 2})
    shop = command.save_shop(local, "kissa", {"timezone": "UTC"})
    assert (shop.name, shop.timezone, contact_policy(shop).per_day) == ("喫茶みほん", "UTC", 2)
    assert "喫茶みほん" in local.parameters.kept["/matakite/shops/kissa"]


def test_what_is_nobodys_is_kept_as_a_digest_beside_what_was_said_before(local: LocalDeployment) -> None:
    shop = command.save_shop(local, "kissa", {})
    for said in (["dummy@shop.example"], ["090-1234-5678", "dummy@shop.example"]):
        shop = command.add_nobodys(local, shop, said)
    assert len(named(shop)) == 2
    assert "dummy@" not in local.parameters.kept["/matakite/shops/kissa"]
    with pytest.raises(RejectedError, match="somebody could have"):
        command.add_nobodys(local, shop, ["なし"])


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"timezone": "Mars/Base"}, "Mars/Base"),
        ({"currency": "yen"}, "currency"),
        ({"language": "fr"}, "language"),
        ({"name": " "}, "name"),
        ({"public_url": "mail.example.com"}, "public_url"),
        ({"public_url": "https://mail.example.com/"}, "public_url"),
        ({"sections.delivery.from_address": "nobody"}, "from_address"),
        ({"sections.delivery.cap_per_day": 0}, "cap_per_day"),
        ({"sections.delivery.quiet_hours": {"email": ["22:00"]}}, "quiet_hours"),
        ({"sections.delivery.utm": {"source": "{person}"}}, "utm"),
        ({"sections.delivery.track_links": ["email"]}, "track_links"),
        ({"sections.delivery.best_hour": "20"}, "best_hour"),
        ({"sections.delivery.budget": {"line": "much"}}, "budget.line"),
        ({"sections.analytics.loyal": 3}, "loyal"),
        ({"sections.customers.nobody": "dummy@shop.example"}, "customers.nobody"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_stored(
    local: LocalDeployment, given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(MatakiteError, match=complaint):
        command.save_shop(local, "kissa", given)
    assert local.parameters.kept == {}


@pytest.mark.parametrize("tenant", ["", "Kissa", "a#b", "-a", "a-", "a/b", "a" * 33, "喫茶"])
def test_an_id_that_could_not_be_a_key_is_refused(local: LocalDeployment, tenant: str) -> None:
    with pytest.raises(RejectedError, match="shop's id"):
        command.save_shop(local, tenant, {})


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("delivery.cap_per_day=2", ("sections.delivery.cap_per_day", 2)),
        ("delivery.cap_per_week=null", ("sections.delivery.cap_per_week", None)),
        ("customers.nobody=[]", ("sections.customers.nobody", [])),
        ('delivery.quiet_hours.email=["22:00","08:00"]', ("sections.delivery.quiet_hours.email", ["22:00", "08:00"])),
        ("delivery.shop_url=https://x.example.com", ("sections.delivery.shop_url", "https://x.example.com")),
    ],
)
def test_settings_are_json_or_text(text: str, parsed: tuple[str, Any]) -> None:
    assert command.parse_setting(text) == parsed


@pytest.mark.parametrize("text", ["cap=2", "delivery.cap_per_day", "=2", "a..b=1"])
def test_what_is_no_setting_says_how_one_looks(text: str) -> None:
    with pytest.raises(RejectedError, match="looks like"):
        command.parse_setting(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("delivery.capperday=3", "did you mean delivery.cap_per_day"),
        ("delivery.zzz=1", "there are best_hour, budget"),
        ("delivry.cap_per_day=3", "did you mean delivery.cap_per_day"),
    ],
)
def test_a_setting_that_nobody_reads_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RejectedError, match=complaint):
        command.parse_setting(text)


@dataclass
class Ses:
    """Which identities are verified."""

    known: set[str]

    class exceptions:  # noqa: N801 - boto3's name
        NotFoundException = ParameterNotFoundError

    def get_email_identity(self, EmailIdentity: str) -> dict[str, Any]:  # noqa: N803
        if EmailIdentity not in self.known:
            raise ParameterNotFoundError
        return {"VerifiedForSendingStatus": not EmailIdentity.startswith("new.")}


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("news@shop.example.jp", True),
        ("news@a.shop.example.jp", True),
        ("only@example.com", True),
        ("other@example.com", False),
        ("news@new.example.com", False),
    ],
)
def test_a_sender_may_be_verified_by_address_or_by_domain(address: str, may: bool) -> None:
    ses: Any = Ses({"shop.example.jp", "only@example.com", "new.example.com"})
    assert may_send_from(ses, address) is may


def test_the_stored_document_is_json_for_people(local: LocalDeployment) -> None:
    shop = command.save_shop(local, "kissa", {"name": "喫茶みほん"})
    assert json.loads(local.parameters.kept["/matakite/shops/kissa"]) == command.document_of(shop)
