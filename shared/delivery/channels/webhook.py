"""A step of a scenario tells another system (Webhook): posted to the shop's endpoint, signed, at least once.

The send id is the message's id (`webhook-id`), the same in every attempt: the receiver drops what it has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from shared.core.clock import Clock, SystemClock
from shared.core.ids import TenantId
from shared.delivery.channels.channel import Accepted, Message, RefusedError
from shared.delivery.outbound import Answer, Endpoint, Outbound, signed_headers, taken

PART = "webhook.json"
"""What is said: a JSON object of the template."""
MAX_BODY = 20_000
"""Standard Webhooks asks for less than 20 kB."""
REPEATS = timedelta(days=3)
"""As long as Standard Webhooks lets a sender try; the receiver knows a message by its id."""


class Poster(Protocol):
    """Posts once (outbound.Outbound)."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        """See Outbound.post."""
        ...


class WebhookChannel:
    """Posts to the one endpoint a shop connected for its scenarios."""

    parts = (PART,)
    repeats = REPEATS

    def __init__(
        self,
        endpoint_of: Callable[[TenantId], Endpoint],
        poster: Poster | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._endpoint_of = endpoint_of
        self._poster = poster or Outbound()
        self._clock = clock or SystemClock()

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        body = _body(message)
        endpoint = self._endpoint_of(message.key.tenant)
        headers = signed_headers(message.key.send_id, body, endpoint.secret, self._clock.now())
        taken(self._poster.post(endpoint.url, body, headers), "the endpoint")
        return Accepted(message.key.send_id)


def _body(message: Message) -> bytes:
    try:
        data = json.loads(message.parts[PART])
    except ValueError:
        raise RefusedError(f"{PART} is no JSON once it is rendered: write every variable with `| json`") from None
    if not isinstance(data, dict):
        raise RefusedError(f"{PART} must be a JSON object")
    said = {
        "type": f"scenario.{message.scenario}.{message.step}",
        "id": message.key.send_id,
        "customer_id": message.key.customer_id,
        "data": data,
    }
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > MAX_BODY:
        raise RefusedError(f"{PART} has {len(body)} bytes, at most {MAX_BODY} are posted")
    return body
