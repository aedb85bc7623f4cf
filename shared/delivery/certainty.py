"""What an error of an AWS call that sends leaves certain. Whatever is not known to be harmless is ambiguous."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ProxyConnectionError,
)

from shared.core.errors import MisconfiguredError
from shared.delivery.channels.channel import AmbiguousError, NotSentError, RefusedError, StoppedError


@dataclass(frozen=True, slots=True)
class Codes:
    """A service's error codes, by what they say about the message."""

    service: str
    """Its name in messages to people: "SES"."""
    not_sent: frozenset[str]
    stopped: frozenset[str]
    stopped_says: str
    """Why nothing more leaves: "the SMS spending limit is reached"."""
    refused: frozenset[str]
    check: str
    """What to look at when the call itself is refused."""


@contextmanager
def certainty(codes: Codes) -> Iterator[None]:
    """Raises the channel's errors (channel.py) in place of the SDK's."""
    service = codes.service
    try:
        yield
    except ClientError as error:
        raise _from_answer(error, codes) from error
    except (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError) as error:
        raise NotSentError(f"{service} could not be reached ({type(error).__name__})") from error
    except (NoCredentialsError, NoRegionError) as error:
        raise MisconfiguredError(f"{service} cannot be called: {error}") from error
    except ParamValidationError as error:
        # Its text repeats the parameters, the address among them.
        raise RefusedError(f"{service} would not take these parameters") from error
    except BotoCoreError as error:
        raise AmbiguousError(f"{service}: the answer was lost ({type(error).__name__})") from error


def _from_answer(error: ClientError, codes: Codes) -> Exception:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code in codes.not_sent or status == 429:
        return NotSentError(f"{codes.service} asks to slow down ({code})")
    if code in codes.stopped:
        return StoppedError(f"{codes.stopped_says} ({code})")
    if code in codes.refused:
        return RefusedError(f"{codes.service} refused the message ({code})")
    if status >= 500 or status < 400:
        return AmbiguousError(f"{codes.service} failed while it had the message ({code})")
    return MisconfiguredError(f"{codes.service} refused the call ({code}): check {codes.check}")
