"""What a real connection over TLS may and may not do."""

from __future__ import annotations

import ssl
from dataclasses import replace

import pytest
import trustme

from infra.local.stand_ins.endpoint import EndpointStandIn
from shared.core.clock import SystemClock
from shared.core.errors import MisconfiguredError
from shared.delivery.channels.channel import NotSentError
from shared.delivery.channels.webhook import WebhookChannel
from shared.delivery.endpoints import new_secret
from shared.delivery.outbound import Endpoint, ForbiddenAddressError, Outbound, signed_headers
from tests.contract.delivery.providers import SECRET, LocalEndpoint


def test_loopback_itself_is_refused_unless_a_test_says_otherwise(local_webhook: LocalEndpoint) -> None:
    outbound = replace(local_webhook.outbound(), allowed=Outbound().allowed)
    with pytest.raises(ForbiddenAddressError):
        outbound.post(local_webhook.url, b"{}", {})
    assert not local_webhook.endpoint.attempts


def test_the_certificate_must_be_the_names(endpoint: EndpointStandIn, local_webhook: LocalEndpoint) -> None:
    url = endpoint.url.replace("hooks.shop", "other.shop")
    with pytest.raises(NotSentError):
        local_webhook.outbound().post(url, b"{}", {})
    assert not endpoint.attempts


def test_the_certificate_must_be_of_somebody_we_trust(endpoint: EndpointStandIn) -> None:
    outbound = Outbound(resolve=lambda host, port: ["127.0.0.1"], allowed=lambda a: True, seconds=1)
    with pytest.raises(NotSentError):
        outbound.post(endpoint.url, b"{}", {})
    stranger = trustme.CA()
    context = ssl.create_default_context()
    stranger.configure_trust(context)
    with pytest.raises(NotSentError):
        replace(outbound, trust=lambda: context).post(endpoint.url, b"{}", {})
    assert not endpoint.attempts


def test_a_wrong_secret_is_the_shops_to_mend(local_webhook: LocalEndpoint) -> None:
    channel = WebhookChannel(lambda tenant: Endpoint(local_webhook.url, new_secret()), local_webhook.outbound())
    with pytest.raises(MisconfiguredError, match="401"):
        channel.send(local_webhook.message())
    assert not local_webhook.endpoint.taken


def test_what_is_posted_names_the_send_and_the_customer_by_our_ids(local_webhook: LocalEndpoint) -> None:
    message = local_webhook.message()
    local_webhook.channel.send(message)
    assert local_webhook.endpoint.taken[message.key.send_id] == {
        "type": "scenario.cart_abandoned.mail_1",
        "id": message.key.send_id,
        "customer_id": "c1",
        "data": {"cart": "見本"},
    }


def test_a_name_is_resolved_once_so_that_it_cannot_change_its_mind(local_webhook: LocalEndpoint) -> None:
    asked: list[str] = []

    def once(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    body = b"{}"
    headers = signed_headers("m1", body, SECRET, SystemClock().now())
    answer = replace(local_webhook.outbound(), resolve=once).post(local_webhook.url, body, headers)
    assert answer.status == 204
    assert asked == ["hooks.shop.example.jp"]
