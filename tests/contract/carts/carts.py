"""Every cart that sends us something, as its own sender would do it: connection, samples, signature.

A cart of the registry that posts webhooks and is missing in `CARTS` fails the suite. The signatures are written here
once more, so that no adapter is tested against itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.core.ids import ConnectionId, TenantId
from shared.ingest.adapter import Adapter, Connection, Request
from shared.ingest.model import Event
from shared.ingest.registry import about, adapter, sources

SAMPLES = Path(__file__).parents[2] / "samples"
SECRET = "sample-secret-0000"
NOW = datetime(2026, 11, 21, 3, 0, 30, tzinfo=UTC)
Headers = dict[str, str]
Sign = Callable[[Connection, str, bytes, datetime], Headers]
"""(connection, topic, body, now) → the headers the cart sends; signed with `connection.secret`."""


@dataclass(frozen=True)
class Sample:
    """A sample body and the topic it arrives with."""

    name: str
    topic: str
    body: dict[str, Any]

    @property
    def raw(self) -> bytes:
        """The bytes that are signed."""
        return json.dumps(self.body, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Cart:
    """One cart: how it signs, and a connection of it."""

    name: str
    store: str
    header: str
    """The header that carries the signature."""
    sign: Sign
    elsewhere: Mapping[str, Any]
    """What another connection differs in whose request must not be believed here, with the same secret if it can."""
    url: str | None = None
    whole: bool = True
    """False: a request tells of several things, and each is kept by itself (LINE)."""
    folder: str = ""
    """Where its samples lie, if not in a folder of its own name."""
    acts: bool = True
    """Do its bodies say something by themselves? A thin notice does not until its object was read back."""

    @property
    def adapter(self) -> Adapter:
        """What is tested."""
        return adapter(self.name)

    @property
    def connection(self) -> Connection:
        """A connected store."""
        return Connection(
            ConnectionId("abcdefghijklmnopqrstuvwxyz"), TenantId("sample"), self.name, self.store, SECRET, url=self.url
        )

    @property
    def other(self) -> Connection:
        """Another store of the same cart."""
        return replace(
            self.connection, connection_id=ConnectionId("zyxwvutsrqponmlkjihgfedcba"), **dict(self.elsewhere)
        )

    def samples(self) -> list[Sample]:
        """Every sample body of this cart."""
        files = sorted((SAMPLES / (self.folder or self.name)).glob("*.json"))
        return [Sample(file.stem, self._topic(file.stem), json.loads(file.read_text())) for file in files]

    def _topic(self, stem: str) -> str:
        topic = stem.partition("@")[0]
        return topic.replace("-", "/") if self.name == "shopify" else topic

    def ask(self, topic: str, raw: bytes, connection: Connection | None = None, now: datetime = NOW) -> Request:
        """A request as the cart sends it."""
        return Request(self.sign(connection or self.connection, topic, raw, now), raw)

    def read(self, sample: Sample) -> list[Event]:
        """The events of a sample."""
        envelopes = self.adapter.envelopes(self.ask(sample.topic, sample.raw), self.connection, NOW)
        return [event for envelope in envelopes for event in self.adapter.events(envelope)]


def _base64(secret: str, message: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def _shopify(connection: Connection, topic: str, raw: bytes, _now: datetime) -> Headers:
    # One id for each body, as one delivery has.
    made = hashlib.sha256(topic.encode() + raw).hexdigest()
    return {
        "content-type": "application/json",
        "x-shopify-topic": topic,
        "x-shopify-hmac-sha256": _base64(connection.secret, raw),
        "x-shopify-shop-domain": connection.store,
        "x-shopify-api-version": "2026-04",
        "x-shopify-webhook-id": made[:36],
        "x-shopify-triggered-at": "2026-11-03T03:00:01.123456Z",
    }


def _woocommerce(connection: Connection, topic: str, raw: bytes, _now: datetime) -> Headers:
    resource, _, happened = topic.partition(".")
    return {
        "content-type": "application/json",
        "x-wc-webhook-source": f"https://{connection.store}/",
        "x-wc-webhook-topic": topic,
        "x-wc-webhook-resource": resource,
        "x-wc-webhook-event": happened,
        "x-wc-webhook-signature": _base64(connection.secret, raw),
        "x-wc-webhook-id": "142",
        "x-wc-webhook-delivery-id": "0" * 32,
        "user-agent": "WooCommerce/10.3.0 Hookshot (WordPress/6.9)",
    }


def _stripe(connection: Connection, _topic: str, raw: bytes, now: datetime) -> Headers:
    time = str(int(now.timestamp()))
    made = hmac.new(connection.secret.encode(), time.encode() + b"." + raw, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "stripe-signature": f"t={time},v1={made},v0={'0' * 64}"}


def _square(connection: Connection, _topic: str, raw: bytes, _now: datetime) -> Headers:
    return {
        "content-type": "application/json",
        "square-environment": "Production",
        "square-initial-delivery-timestamp": "2026-11-03T03:00:02Z",
        "x-square-signature": "aW4gU0hBLTEsIG5vdCBsb29rZWQgYXQ=",
        "x-square-hmacsha256-signature": _base64(connection.secret, (connection.url or "").encode() + raw),
    }


def _eccube(connection: Connection, _topic: str, raw: bytes, _now: datetime) -> Headers:
    return {
        "content-type": "application/json",
        "x-eccube-url": f"https://{connection.store}/",
        "x-eccube-signature": _hex(connection.secret, raw),
    }


def _ecforce(connection: Connection, _topic: str, raw: bytes, _now: datetime) -> Headers:
    return {"content-type": "application/json", "x-matakite-signature": _hex(connection.secret, raw)}


def _amazon(_connection: Connection, _topic: str, _raw: bytes, _now: datetime) -> Headers:
    return {}


def _hex(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _line(connection: Connection, _topic: str, raw: bytes, _now: datetime) -> Headers:
    return {"content-type": "application/json", "x-line-signature": _base64(connection.secret, raw)}


CARTS = {
    cart.name: cart
    for cart in (
        Cart(
            "shopify",
            "sample-shop.myshopify.com",
            "x-shopify-hmac-sha256",
            _shopify,
            {"store": "other.myshopify.com"},
        ),
        Cart("woocommerce", "mise.example.jp", "x-wc-webhook-signature", _woocommerce, {"store": "other.example.jp"}),
        # A request of Stripe names no shop: every endpoint has a secret of its own.
        Cart("stripe", "acct_1sample0000000001", "stripe-signature", _stripe, {"secret": "whsec_of_another_endpoint"}),
        Cart(
            "square",
            "msample00000a",
            "x-square-hmacsha256-signature",
            _square,
            {"url": "https://api.example.com/prod/v1/hooks/zyxwvutsrqponmlkjihgfedcba"},
            url="https://api.example.com/v1/hooks/abcdefghijklmnopqrstuvwxyz",
        ),
        # These two name no shop in what they sign: every connection has a secret of its own.
        Cart(
            "eccube",
            "ec.example.jp",
            "x-eccube-signature",
            _eccube,
            {"secret": "of-another-shop-0000"},
            folder="eccube-webhook",
            acts=False,
        ),
        Cart("ecforce", "force.example.jp", "x-matakite-signature", _ecforce, {"secret": "of-another-shop-0000"}),
        Cart(
            "line",
            "u000000000000000000000000000000b7",
            "x-line-signature",
            _line,
            {"secret": "of-another-channel"},
            whole=False,
        ),
        # Not posted: taken from a queue only Amazon may write to.
        Cart("amazon", "asample0000001", "", _amazon, {"store": "aother0000001"}),
    )
}


def pushing() -> list[str]:
    """Every source of the registry that carts post to."""
    return [source for source in sources() if about(source).webhook]


def carts() -> list[Cart]:
    """Every cart of the registry that posts webhooks and is described here; a test finds one that is not."""
    return [CARTS[source] for source in pushing() if source in CARTS]


def readable() -> list[Cart]:
    """Every cart described here, whichever way its bodies come."""
    return list(CARTS.values())
