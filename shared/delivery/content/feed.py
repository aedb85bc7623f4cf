"""The shops' catalogues as a sender reads them: from the night's object, kept in memory for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from shared.analytics.feeds import CATALOGUE, feed_key, read_feed
from shared.core.errors import NotFoundError
from shared.core.ids import TenantId
from shared.delivery.content.catalogue import EMPTY, Catalogue, from_feed

MAX_AGE_SECONDS = 300.0


class Catalogues:
    """Reads a shop's catalogue once in five minutes, whoever asks; a shop without one has an empty one.

    Raises UnavailableError where the object cannot be read and none is known: a mail without its products is not the
    mail that was meant, so the batch is tried again.
    """

    def __init__(self, read: Callable[[str], bytes], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self._known: dict[TenantId, tuple[float, Catalogue]] = {}
        self._lock = threading.Lock()

    def of(self, tenant: TenantId) -> Catalogue:
        """What the shop sells, as of the last night."""
        with self._lock:
            read_at, known = self._known.get(tenant, (-MAX_AGE_SECONDS, EMPTY))
            now = self._monotonic()
            if tenant in self._known and now - read_at < MAX_AGE_SECONDS:
                return known
            self._known[tenant] = now, self._fresh(tenant)
            return self._known[tenant][1]

    def _fresh(self, tenant: TenantId) -> Catalogue:
        try:
            return from_feed(read_feed(self._read(feed_key(tenant, CATALOGUE))))
        except NotFoundError:
            return EMPTY
