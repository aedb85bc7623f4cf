"""The deployment's own secret keys: one for digests of personal data, one (or two, while rotating) for signed links."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field

from shared.core.errors import MisconfiguredError

MAX_AGE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class KeyRing:
    """`personal` digests mail addresses and phones into refs; `links` signs tokens, newest first (`kid` → key)."""

    personal: bytes = field(repr=False)
    links: dict[str, bytes] = field(repr=False)

    @property
    def signing_kid(self) -> str:
        """The key id new tokens are signed with."""
        return next(iter(self.links))


def derive_key_ring(master: str, link_generation: int = 1) -> KeyRing:
    """All keys come from one secret. `personal` never changes (it names rows); links are signed with the newest
    generation, and every earlier one still verifies: the unsubscribe link of an old mail never stops working.
    """
    generations = range(link_generation, 0, -1)
    return KeyRing(_derive(master, "personal"), {str(g): _derive(master, f"links/{g}") for g in generations})


def parse_key_ring(text: str) -> KeyRing:
    """From the secret's JSON: `{"master": "…", "link_generation": 1}`."""
    try:
        document = json.loads(text)
        return derive_key_ring(str(document["master"]), int(document.get("link_generation", 1)))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise MisconfiguredError("the key secret must be JSON with 'master'") from None


def load_key_ring(secret_id: str) -> KeyRing:
    """The key ring from Secrets Manager, cached for 5 minutes."""
    # Imported late: most functions need no keys.
    from aws_lambda_powertools.utilities import parameters

    return parse_key_ring(str(parameters.get_secret(secret_id, max_age=MAX_AGE_SECONDS)))


def _derive(master: str, purpose: str) -> bytes:
    return hmac.new(master.encode(), purpose.encode(), hashlib.sha256).digest()
