"""SMS through AWS End User Messaging (`SendTextMessage`): one part or several, never retried by the SDK.

Like SES it has no idempotency key: a lost answer is settled by the delivery receipt, which brings the send id back in
its context. Japan bills every part (about $0.07, (unconfirmed)): a text longer than MAX_PARTS parts is refused.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.delivery.channels.channel import (
    Accepted,
    AmbiguousError,
    Message,
    NotSentError,
    RefusedError,
    StoppedError,
)
from shared.delivery.model import Purpose
from shared.delivery.policy import SECTION

TEXT = "sms.txt"
MAX_PARTS = 3
"""A shop that sends more means to write a mail."""

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")
"""GSM-7's extension table: each takes two places."""
_NOT_SENT = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException"})
_STOPPED = frozenset({"ServiceQuotaExceededException"})
"""The account's spending limit of the month among them."""
_REFUSED = frozenset({"ValidationException", "ConflictException"})


class SmsChannel:
    """Sends from a shop's origination identity (sender id, number or pool) through one configuration set."""

    parts = (TEXT,)
    repeats = None

    def __init__(self, origination_of: Callable[[TenantId], str], configuration_set: str, client: Any) -> None:
        self._origination_of = origination_of
        self._configuration_set = configuration_set
        self._client = client

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        text = plain(message.parts[TEXT])
        if segments(text) > MAX_PARTS:
            raise RefusedError(f"the text takes {segments(text)} parts, at most {MAX_PARTS} are sent")
        origination = self._origination_of(message.key.tenant)
        promotional = message.purpose is Purpose.MARKETING
        with _certainty():
            answer = self._client.send_text_message(
                DestinationPhoneNumber=message.to,
                OriginationIdentity=origination,
                MessageBody=text,
                MessageType="PROMOTIONAL" if promotional else "TRANSACTIONAL",
                ConfigurationSetName=self._configuration_set,
                Context={
                    "tenant": message.key.tenant,
                    "customer": message.key.customer_id,
                    "send_id": message.key.send_id,
                },
            )
        return Accepted(answer["MessageId"])


def origination(shop: Shop) -> str:
    """Who texts come from: `{"sms": {"origination": "MIHON"}}` in section `delivery` of the shop's settings."""
    setting = shop.section(SECTION).get("sms")
    found = setting.get("origination") if isinstance(setting, dict) else None
    if not isinstance(found, str) or not found:
        raise MisconfiguredError(f"{SECTION}.sms.origination is missing: the sender id, number or pool of your SMS")
    return found


def plain(text: str) -> str:
    """As phones show it: NFKC (half-width kana would cost a part more and read worse), without gaps at the ends."""
    return unicodedata.normalize("NFKC", text).strip()


def segments(text: str) -> int:
    """How many parts a text is billed as: 160 letters of GSM-7, or 70 of UCS-2; 153 and 67 where there are several."""
    if set(text) <= _GSM | _GSM_TWICE:
        length, alone, joined = len(text) + sum(letter in _GSM_TWICE for letter in text), 160, 153
    else:
        length, alone, joined = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= alone else math.ceil(length / joined)


@contextmanager
def _certainty() -> Iterator[None]:
    """What an error of the call leaves certain. Whatever is not known to be harmless is ambiguous."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(error) from error
    except (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError) as error:
        raise NotSentError(f"the SMS service could not be reached ({type(error).__name__})") from error
    except (NoCredentialsError, NoRegionError) as error:
        raise MisconfiguredError(f"the SMS service cannot be called: {error}") from error
    except ParamValidationError as error:
        # Its text repeats the parameters, the number among them.
        raise RefusedError("the SMS service would not take these parameters") from error
    except BotoCoreError as error:
        raise AmbiguousError(f"the SMS service's answer was lost ({type(error).__name__})") from error


def _from_answer(error: ClientError) -> Exception:
    code = error.response["Error"]["Code"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code in _NOT_SENT or status == 429:
        return NotSentError(f"the SMS service asks to slow down ({code})")
    if code in _STOPPED:
        return StoppedError(f"the SMS spending limit is reached ({code})")
    if code in _REFUSED:
        return RefusedError(f"the SMS service refused the message ({code})")
    if status >= 500 or status < 400:
        return AmbiguousError(f"the SMS service failed while it had the message ({code})")
    return MisconfiguredError(f"the SMS service refused the call ({code}): check origination identity and grants")
