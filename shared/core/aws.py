"""AWS clients, built on first use and kept for the life of the worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

from shared.core.clock import Clock, SystemClock
from shared.core.errors import MisconfiguredError, UnavailableError

SINGLE_ATTEMPT = "single-attempt"


@cache
def client(service: str, attempts: str = "standard") -> Any:
    """A boto3 client of `service`.

    `attempts=SINGLE_ATTEMPT` turns the SDK's retries off: for calls that must not be repeated blindly,
    because a lost reply after an accepted send would send twice (measured: 3 to 5 times).
    """
    # boto3 takes 0.3 s to import: only a function that calls AWS pays for it, and not at import time.
    import boto3
    from botocore.config import Config

    retries: Any = {"total_max_attempts": 1} if attempts == SINGLE_ATTEMPT else {"mode": "standard", "max_attempts": 5}
    # What this product puts into its tables is typed; checking it once more is a fifth of the time of a put.
    checked = service != "dynamodb"
    # A fixed user agent: the SDK's own is put together anew for every request, a tenth of the time of a put.
    config = Config(
        retries=retries,
        connect_timeout=3,
        read_timeout=10,
        parameter_validation=checked,
        user_agent="matakite",
        # The step works on 16 people at once; a connection that finds no place in the pool is opened anew each time.
        max_pool_connections=32,
    )
    made = boto3.client(service, config=config)  # type: ignore[call-overload]
    if attempts == SINGLE_ATTEMPT:
        _leave_old_connections(made, SystemClock())
    return made


RESTED = timedelta(seconds=5)
"""After so long without a call connections are made anew."""


def _leave_old_connections(made: Any, clock: Clock) -> None:
    """A frozen Lambda does not notice that the other side closes its connections: the first call on each of them is
    lost. The SDK's retries hide it; a mail without them would be in doubt, and never sent.
    """
    last_at, one_closes = clock.now(), threading.Lock()

    def before_send(**_: Any) -> None:
        nonlocal last_at
        with one_closes:
            now = clock.now()
            if now - last_at > RESTED:
                made.close()
            last_at = now

    made.meta.events.register("before-send", before_send)


_BUSY = frozenset(
    {
        "InternalError",
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_MISCONFIGURED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredTokenException",
        "NoSuchBucket",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
    }
)


@contextmanager
def domain_errors(doing: str) -> Iterator[None]:
    """AWS's error codes as this product's errors; a code that is an answer (a failed condition) passes unchanged."""
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnectionError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _BUSY:
            raise UnavailableError(f"{doing}: {code}") from error
        if code in _MISCONFIGURED:
            raise MisconfiguredError(f"{doing}: {code}; check the function's grants and settings") from error
        raise
    except (HTTPClientError, NoConnectionError) as error:
        raise UnavailableError(f"{doing}: {type(error).__name__}") from error
