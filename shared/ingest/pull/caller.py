"""Calls to one connection's API: not faster than its pace, patient with 429 and 5xx, with a token that is live."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.ingest.adapter import Connection
from shared.ingest.pull import rules
from shared.ingest.pull.http import Http
from shared.ingest.pull.model import Answer, BlockedError, Call, NotThereError, UnauthorisedError, Vendor

ATTEMPTS = 4
LONGEST_WAIT = timedelta(seconds=30)
"""A vendor that wants a longer pause is left alone until a later tick."""
DEFAULT_BLOCK = timedelta(seconds=60)
"""How long 429 without Retry-After keeps us away at least."""
JITTER = random.Random()  # noqa: S311 - spreads retries, guards nothing


class Time(Protocol):
    """The clock of a run: it can also wait."""

    def now(self) -> datetime:
        """The present instant."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Tokens(Protocol):
    """Where a live access token comes from."""

    def current(self) -> str:
        """The token to use now. Raises UnauthorisedError when there is none."""
        ...

    def renewed(self, rejected: str) -> str:
        """Another one, after the vendor rejected this. Raises UnauthorisedError when there is none."""
        ...


@dataclass(slots=True)
class Pace:
    """Spaces the calls of one run: never more than `per_second` begin within a second."""

    per_second: float
    time: Time
    _next_at: datetime | None = None

    def wait(self) -> None:
        """Wait until the next call may begin."""
        now = self.time.now()
        if self._next_at is not None and now < self._next_at:
            self.time.sleep((self._next_at - now).total_seconds())
            now = max(self.time.now(), self._next_at)
        self._next_at = now + timedelta(seconds=1 / self.per_second)


@dataclass(slots=True)
class Caller:
    """One connection's API during one run."""

    vendor: Vendor
    connection: Connection
    http: Http
    tokens: Tokens
    time: Time
    ends_at: datetime
    """No pause is begun that would end after this."""
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.vendor.requests_per_second, self.time)

    def ask(self, call: Call) -> Answer:
        """A successful answer.

        Raises BlockedError, UnauthorisedError, MisconfiguredError (the vendor says 4xx) or UnavailableError.
        """
        token, answer = self.tokens.current(), None
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._try(call, token, last=attempt == ATTEMPTS)
            if answer is None:
                self._pause(attempt, None)
                continue
            blocked = self._blocked(answer)
            if self.vendor.expired(answer):
                token = self.tokens.renewed(token)
            elif blocked is not None:
                self._pause(attempt, blocked)
            elif answer.status >= 500:
                self._pause(attempt, rules.retry_after(answer.headers.get("retry-after"), self.time.now()))
            elif 200 <= answer.status < 300:
                return answer
            else:
                raise _refused(self.vendor.name, answer)
        raise _gave_up(self.vendor, answer)

    def _try(self, call: Call, token: str, *, last: bool) -> Answer | None:
        self.pace.wait()
        try:
            return self.http.send(self.vendor.address(self.connection), call, self._headers(token))
        except UnavailableError:
            if last:
                raise
            return None

    def _headers(self, token: str) -> Mapping[str, str]:
        return self.vendor.headers(self.connection, token)

    def _blocked(self, answer: Answer) -> float | None:
        """Seconds to stay away, when the vendor says that we ask too much."""
        if answer.status == 429:
            asked = rules.retry_after(answer.headers.get("retry-after"), self.time.now())
            return DEFAULT_BLOCK.total_seconds() if asked is None else asked
        return self.vendor.limited_for(answer)

    def _pause(self, attempt: int, asked: float | None) -> None:
        seconds = asked if asked is not None else 2 ** (attempt - 1) * JITTER.uniform(0.5, 1.0)
        too_long = seconds > LONGEST_WAIT.total_seconds() or attempt == ATTEMPTS
        if too_long or self.time.now() + timedelta(seconds=seconds) >= self.ends_at:
            if asked is not None:
                raise BlockedError(f"{self.vendor.name} asks for a pause of {seconds:.0f} s", seconds)
            raise UnavailableError(f"{self.vendor.name} does not answer as it should")
        self.time.sleep(seconds)


def _refused(vendor: str, answer: Answer) -> Exception:
    if answer.status in (401, 403):
        return UnauthorisedError(
            f"{vendor} refuses our token ({answer.status}): check its scopes, `matakite connection authorize`"
        )
    if answer.status == 404:
        return NotThereError(f"{vendor} answers 404: check the API address of the connection")
    return MisconfiguredError(f"{vendor} answers {answer.status} to a request it should know: check the API address")


def _gave_up(vendor: Vendor, answer: Answer | None) -> Exception:
    if answer is not None and vendor.expired(answer):
        return UnauthorisedError(f"{vendor.name} refuses our token: `matakite connection authorize` gives a new one")
    return UnavailableError(f"{vendor.name} does not answer as it should")


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A key that does not expire."""

    connection: Connection

    def current(self) -> str:
        """The key of the connection."""
        if not self.connection.token:
            raise UnauthorisedError("the connection has no API token: `matakite connection authorize` stores one")
        return self.connection.token

    def renewed(self, rejected: str) -> str:
        """There is no other."""
        raise UnauthorisedError(
            f"{self.connection.source} refuses the stored token: `matakite connection authorize` stores another"
        )
