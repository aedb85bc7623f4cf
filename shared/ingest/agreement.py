"""What somebody agrees to when they sign up for a shop's mail (同意文言): shown on both pages, kept as evidence.

Section `sign_up` of the shop's settings: `{"wording": "…", "version": "2026-11"}`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from shared.core.shop import Shop

SECTION = "sign_up"
WORDING = "{shop}からの、新商品・特典などのお知らせをメールで受け取ることに同意します。お知らせはいつでも停止できます。"


@dataclass(frozen=True, slots=True)
class Agreement:
    """One wording in one version."""

    wording: str
    version: str

    @property
    def digest(self) -> str:
        """SHA-256 of the sentence as it was shown."""
        return hashlib.sha256(self.wording.encode()).hexdigest()


def agreement_of(shop: Shop) -> Agreement:
    """The shop's own wording, else ours with its name."""
    section = shop.section(SECTION)
    wording = str(section.get("wording") or WORDING).replace("{shop}", shop.name)
    return Agreement(wording, str(section.get("version") or "1"))
