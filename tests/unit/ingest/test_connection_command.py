"""`matakite connection`: each cart gets the URL and secret it needs, or is asked for its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import typer
from typer.testing import CliRunner

from infra.cli import connection as command
from infra.cli.session import Deployment
from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.ingest.adapter import Connection
from shared.ingest.connections import ConnectionBook
from shared.ingest.connectors import NOT_YET
from shared.ingest.pull.registry import vendors
from shared.ingest.registry import about, sources
from shared.ingest.sources.amazon import connection_id
from tests.unit.ingest.test_connections import Ssm


@dataclass
class Deployed:
    """A deployment of which only SSM is needed."""

    ssm: Ssm = field(default_factory=Ssm)
    prefix: str = "/matakite"
    outputs: dict[str, str] = field(default_factory=lambda: {"ApiUrl": "https://api.example.com"})

    def client(self, _service: str) -> Any:
        return self.ssm

    def only(self) -> Connection:
        (found,) = ConnectionBook(self.ssm, self.prefix).all()
        return found


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Deployed:
    made = Deployed()
    monkeypatch.setattr(command, "connect", lambda: made)
    monkeypatch.setattr(command, "which_shop", lambda _deployment, _named: Shop(TenantId("sample"), "見本商店"))
    return made


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_woocommerce_gets_a_secret_of_ours(deployed: Deployed) -> None:
    shown = run("add", "woocommerce", "--store", "https://mise.example.jp/")
    made = deployed.only()
    assert (made.source, made.store, made.url) == ("woocommerce", "mise.example.jp", None)
    assert made.secret.isalnum(), "WordPress would escape anything else"
    assert f"https://api.example.com/v1/hooks/{made.connection_id}" in shown
    assert made.secret in shown
    assert "order.updated" in shown


def test_a_store_is_connected_once_and_the_second_time_says_which_it_is(deployed: Deployed) -> None:
    run("add", "shopify", "--store", "a.myshopify.com")
    known = deployed.only().connection_id
    with pytest.raises(RejectedError, match=f"connection rotate {known}"):
        run("add", "shopify", "--store", "A.myshopify.com")
    assert deployed.only().connection_id == known


def test_stripe_makes_its_secret_when_it_knows_the_url(deployed: Deployed) -> None:
    shown = run("add", "stripe", "--store", "acct_1Sample")
    made = deployed.only()
    assert (made.source, made.store) == ("stripe", "acct_1sample")
    assert made.secret not in shown, "nobody is believed until Stripe's own secret is there"
    assert f"connection rotate {made.connection_id}" in shown
    run("rotate", made.connection_id, "--secret", "whsec_given")
    assert deployed.only().secret == "whsec_given"


def test_a_key_that_is_no_signing_secret_is_refused(deployed: Deployed) -> None:
    with pytest.raises(RejectedError, match="begins with whsec_"):
        command.add_connection(cast("Deployment", deployed), "sample", "stripe", "acct_1", "sk_live_given")
    assert deployed.ssm.values == {}


def test_square_keeps_the_url_it_signs(deployed: Deployed) -> None:
    shown = run("add", "square", "--store", "MSAMPLE00000A", "--secret", "given")
    made = deployed.only()
    assert (made.store, made.secret) == ("msample00000a", "given")
    assert made.url == f"https://api.example.com/v1/hooks/{made.connection_id}"
    assert made.url in shown


def test_square_may_know_us_by_another_name(deployed: Deployed) -> None:
    run("add", "square", "--store", "MSAMPLE00000A", "--url", "https://hooks.mise.example.jp/square")
    assert deployed.only().url == "https://hooks.mise.example.jp/square"


@pytest.mark.parametrize(("cart", "store"), [("stripe", "acct_1"), ("square", "M1")])
def test_a_secret_the_cart_makes_is_never_made_up_here(deployed: Deployed, cart: str, store: str) -> None:
    run("add", cart, "--store", store)
    with pytest.raises(RejectedError, match="makes its secrets itself"):
        command.rotate_connection(cast("Deployment", deployed), deployed.only().connection_id)


def test_shopify_as_before(deployed: Deployed) -> None:
    shown = run("add", "shopify", "--store", "a.myshopify.com", "--secret", "given")
    assert deployed.only().secret == "given"
    assert "v1/hooks/" in shown


def test_shopify_is_told_every_topic_that_is_read_and_where_the_compliance_topics_go(deployed: Deployed) -> None:
    shown = run("add", "shopify", "--store", "a.myshopify.com")
    listed = set(shown.split())
    assert listed >= {"orders/create", "products/update", "subscription_contracts/pause", "fulfillment_events/create"}
    assert shown.index("compliance_topics") < shown.index("customers/redact"), "not among the admin's topics"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("woocommerce", "--store", "mise.example.jp"), "subscription.switched"),
        (("stripe", "--store", "acct_1"), "customer.subscription.deleted"),
        (("square", "--store", "M1"), "order.fulfillment.updated"),
    ],
)
def test_every_cart_is_told_the_topics_that_are_read(deployed: Deployed, arguments: tuple[str, ...], word: str) -> None:
    assert word in run("add", *arguments).split()


def test_amazon_writes_into_the_queue_and_a_seller_is_connected_once(deployed: Deployed) -> None:
    deployed.outputs["AmazonQueueArn"] = "arn:aws:sqs:ap-northeast-1:000000000000:queue"
    shown = run("add", "amazon", "--store", "ASAMPLE0000001")
    made = deployed.only()
    assert (made.source, made.store) == ("amazon", "asample0000001")
    assert made.connection_id == connection_id("ASAMPLE0000001"), "a notice names the seller only"
    assert "arn:aws:sqs:ap-northeast-1:000000000000:queue" in shown
    assert made.secret not in shown
    with pytest.raises(RejectedError, match="connected already"):
        command.add_amazon(cast("Deployment", deployed), "another", "asample0000001")


def test_ecforce_gets_a_template_for_each_event_with_its_secret_in_it(deployed: Deployed) -> None:
    shown = run("add", "ecforce", "--store", "force.example.jp")
    made = deployed.only()
    assert shown.count(f'"secret": "{made.secret}"') == len(command.ECFORCE_EVENTS)
    assert '"event": "order_shipped"' in shown
    assert "{{ payment.order.id | json }}" in shown
    assert made.previous_secret is None


def test_ecforce_of_one_event(deployed: Deployed) -> None:
    shown = run("add", "ecforce", "--store", "force.example.jp", "--event", "order_completed")
    assert "order_shipped" not in shown


def test_an_event_that_is_no_word_connects_nothing(deployed: Deployed) -> None:
    with pytest.raises(RejectedError, match="order_completed"):
        run("add", "ecforce", "--store", "force.example.jp", "--event", "Order Completed")
    assert deployed.ssm.values == {}


@pytest.mark.parametrize("cart", sorted(NOT_YET))
def test_a_cart_that_is_not_read_says_why(deployed: Deployed, cart: str) -> None:
    with pytest.raises(RejectedError, match="is not supported yet, because "):
        run("add", cart, "--store", "x.example.jp")
    assert deployed.ssm.values == {}


def test_a_cart_without_a_command_of_its_own_is_connected_all_the_same(deployed: Deployed) -> None:
    rest = typer.Typer()
    command.offer_the_rest(rest)
    posting = CliRunner().invoke(rest, ["woocommerce", "--store", "mise.example.jp"], catch_exceptions=False)
    made = deployed.only()
    assert (made.source, made.store) == ("woocommerce", "mise.example.jp")
    for line in (f"https://api.example.com/v1/hooks/{made.connection_id}", made.secret, "HMAC-SHA256 of the raw body"):
        assert line in posting.output
    run("remove", made.connection_id, "--yes")
    CliRunner().invoke(rest, ["stores", "--store", "shop.example.jp", "--token", "of-the-api"], catch_exceptions=False)
    assert (deployed.only().source, deployed.only().token) == ("stores", "of-the-api")


def test_every_cart_that_posts_or_is_polled_can_be_connected() -> None:
    offered = {each.name or getattr(each.callback, "__name__", "") for each in command.add.registered_commands}
    assert {source for source in sources() if about(source).webhook or source in vendors()} <= offered


def test_a_store_is_disconnected_once_somebody_says_yes(deployed: Deployed) -> None:
    run("add", "shopify", "--store", "a.myshopify.com", "--secret", "given")
    made = deployed.only()
    refused = CliRunner().invoke(command.app, ["remove", made.connection_id], input="n\n")
    assert refused.exit_code != 0
    assert deployed.only() == made
    assert "is disconnected" in run("remove", made.connection_id, "--yes")
    assert deployed.ssm.values == {}
