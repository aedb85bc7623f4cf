"""The chain of rotating tokens (BASE, EC-CUBE): every refresh gives a new refresh token and spends the old one.

None may be lost, whatever breaks when:

1. One refresh at a time: a claim in the chain's row, written under a condition, taken over when its owner died.
2. What a refresh answers is stored *before* it is used, under a condition that knows its own lost reply.
3. The token that was spent is kept beside its successor until that one has been spent itself: a vendor that did not
   hear its own answer arrive still takes the old one.
4. A refresh whose answer was lost is repeated with the same token. While the access token lives, polls go on with it.
5. Two refreshes that ran at once (a claim that expired too early) both keep their answers: all are candidates.

What remains: a vendor that spends the old token at once *and* whose answer is lost leaves nothing that works. No client
can mend that; the chain says so (`UnauthorisedError`, shown by `matakite connection list`) until somebody authorises
again, which starts a new chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.errors import UnavailableError
from shared.core.ids import digest
from shared.ingest.adapter import Connection
from shared.ingest.pull.caller import Time
from shared.ingest.pull.http import Http
from shared.ingest.pull.model import Answer, RefreshPlan, UnauthorisedError, Vendor

MARGIN = timedelta(minutes=5)
"""A token is renewed this long before it ends."""
CLAIM = timedelta(minutes=2)
"""Longer than a refresh with its repetitions can take."""
RETRY = timedelta(minutes=30)
MAX_CANDIDATES = 5
TRIES = 3
PATIENCE_SECONDS = 2.0
MAX_LIFETIME_SECONDS = 90 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The tokens of one connection, newest first."""

    seed: str
    """Digest of the refresh token the chain began with: another one in the connection begins another chain."""
    version: int = 0
    access: str = field(default="", repr=False)
    access_until: datetime | None = None
    candidates: tuple[str, ...] = field(default=(), repr=False)
    """Refresh tokens that may still work; the first is the newest."""
    owner: str = ""
    owner_until: datetime | None = None
    broken_at: datetime | None = None
    """When every candidate was refused; asked again after RETRY, for a vendor may have erred."""


class ChainStore(Protocol):
    """Where chains are kept."""

    def chain(self, connection: Connection) -> Chain | None:
        """The stored chain, read consistently."""
        ...

    def save_chain(self, connection: Connection, chain: Chain, expected: int) -> bool:
        """Store a chain if the stored version is `expected` (0: none is stored); False when it is another."""
        ...


@dataclass(slots=True)
class RotatingTokens:
    """The live token of a connection whose tokens rotate."""

    connection: Connection
    vendor: Vendor
    plan: RefreshPlan
    base_url: str
    http: Http
    store: ChainStore
    time: Time
    owner: str

    def current(self) -> str:
        """The access token to use now, renewed when it is about to end."""
        chain = self._chain()
        if self._lives(chain, MARGIN):
            return chain.access
        return self._renew(chain, rejected=None)

    def renewed(self, rejected: str) -> str:
        """A token that is not the rejected one."""
        chain = self._chain()
        if chain.access != rejected and self._lives(chain, timedelta(0)):
            return chain.access
        return self._renew(chain, rejected)

    def _chain(self) -> Chain:
        begins_with = self.connection.refresh_token
        if not begins_with:
            raise UnauthorisedError("the connection has no refresh token: `matakite connection authorize` stores one")
        stored = self.store.chain(self.connection)
        seed = digest("refresh", begins_with)
        if stored is not None and stored.seed == seed:
            return stored
        return Chain(seed=seed, version=stored.version if stored else 0, candidates=(begins_with,))

    def _lives(self, chain: Chain, margin: timedelta) -> bool:
        return bool(chain.access) and chain.access_until is not None and self.time.now() + margin < chain.access_until

    def _renew(self, chain: Chain, rejected: str | None) -> str:
        if chain.broken_at is not None and self.time.now() - chain.broken_at < RETRY:
            raise self._broken()
        claimed = self._claim(chain)
        if claimed is None:
            return self._of_another(rejected)
        try:
            answer, spent = self._trade(claimed)
        except UnavailableError as error:
            self._give_back(claimed, broken=isinstance(error, UnauthorisedError))
            # Nothing is lost: the access token may have minutes left, and the next poll tries again.
            if rejected is None and self._lives(claimed, timedelta(0)):
                return claimed.access
            raise
        return self._keep(claimed, answer, spent)

    # claim, trade, keep

    def _claim(self, chain: Chain) -> Chain | None:
        now = self.time.now()
        if chain.owner and chain.owner_until is not None and now < chain.owner_until:
            return None
        claimed = replace(chain, version=chain.version + 1, owner=self.owner, owner_until=now + CLAIM)
        return claimed if self.store.save_chain(self.connection, claimed, chain.version) else None

    def _of_another(self, rejected: str | None) -> str:
        """Another run is renewing: wait a moment for what it gets."""
        for _ in range(TRIES):
            self.time.sleep(PATIENCE_SECONDS)
            chain = self._chain()
            if chain.access != rejected and self._lives(chain, timedelta(0)):
                return chain.access
        raise UnavailableError(f"the token of {self.vendor.name} is being renewed")

    def _trade(self, chain: Chain) -> tuple[Answer, str]:
        """The answer to the first refresh token that is accepted, and that token."""
        for candidate in chain.candidates:
            answer = self._send(candidate)
            if answer is not None:
                return answer, candidate
        raise self._broken()

    def _send(self, candidate: str) -> Answer | None:
        """The new tokens; None when this one is refused. Raises UnavailableError when nobody knows."""
        for attempt in range(1, TRIES + 1):
            try:
                answer = self.http.send(self.base_url, self.plan.call(self.connection, candidate), {})
            except UnavailableError:
                if attempt == TRIES:
                    raise
            else:
                if 200 <= answer.status < 300 and answer.document.get("access_token"):
                    return answer
                if 400 <= answer.status < 500 and not _is_passing(answer):
                    return None
                if attempt == TRIES:
                    break
            self.time.sleep(float(attempt))
        raise UnavailableError(f"{self.vendor.name} does not renew the token now")

    def _keep(self, claimed: Chain, answer: Answer, spent: str) -> str:
        said = answer.document
        access, refresh = str(said["access_token"]), str(said.get("refresh_token") or spent)
        until = self.time.now() + _lifetime(said, self.plan.default_lifetime)
        base = claimed
        while True:
            kept = replace(
                base,
                version=base.version + 1,
                access=access,
                access_until=until,
                candidates=_newest_first(refresh, spent, base, claimed),
                owner="",
                owner_until=None,
                broken_at=None,
            )
            if self.store.save_chain(self.connection, kept, base.version):
                return access
            # Somebody took the claim over: theirs and ours are kept both.
            base = self._chain()

    def _give_back(self, claimed: Chain, *, broken: bool) -> None:
        freed = replace(
            claimed,
            version=claimed.version + 1,
            owner="",
            owner_until=None,
            broken_at=self.time.now() if broken else claimed.broken_at,
        )
        self.store.save_chain(self.connection, freed, claimed.version)

    def _broken(self) -> UnauthorisedError:
        return UnauthorisedError(
            f"{self.vendor.name} accepts none of our refresh tokens: authorise the application again and store the new "
            "one with `matakite connection authorize`"
        )


def _is_passing(answer: Answer) -> bool:
    """Does a 4xx speak of a moment, not of the token?"""
    return answer.status in (408, 429) or answer.document.get("error") in ("server_error", "temporarily_unavailable")


def _newest_first(refresh: str, spent: str, base: Chain, claimed: Chain) -> tuple[str, ...]:
    """The new token, the one it was traded for, and whatever another run got meanwhile; older ones are proven spent."""
    others = () if base is claimed else base.candidates
    return tuple(dict.fromkeys((refresh, *others, spent)))[:MAX_CANDIDATES]


def _lifetime(said: Mapping[str, object], default: timedelta) -> timedelta:
    seconds = said.get("expires_in")
    usable = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < MAX_LIFETIME_SECONDS
    return timedelta(seconds=float(str(seconds))) if usable else default
