"""Mail through Amazon SES v2: one `SendEmail` per person, never retried by the SDK.

SES has no idempotency key, so a lost reply must never be repeated: the client is made for a single attempt, and what
its errors leave open is said by the kind of error raised (channel.py). The content is SES's `Simple` form with our own
headers; SES builds the MIME parts and signs everything with DKIM, the unsubscribe headers included.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from email.header import Header
from typing import TYPE_CHECKING, TypedDict

from shared.delivery.certainty import Codes, certainty
from shared.delivery.channels.channel import Accepted, Message, RefusedError, StoppedError
from shared.delivery.model import Purpose
from shared.delivery.render import printable
from shared.delivery.sender import Sender

if TYPE_CHECKING:
    from mypy_boto3_sesv2.client import SESV2Client
    from mypy_boto3_sesv2.type_defs import MessageHeaderTypeDef, MessageTagTypeDef

_CODES = Codes(
    service="SES",
    not_sent=frozenset(
        {"TooManyRequestsException", "LimitExceededException", "Throttling", "ThrottlingException", "RequestThrottled"}
    ),
    stopped=frozenset({"AccountSuspendedException", "SendingPausedException"}),
    stopped_says="SES has paused this account's sending",
    refused=frozenset({"MessageRejected", "BadRequestException", "ValidationException", "InvalidParameterValue"}),
    check="identity, configuration set and grants",
)

_UNVERIFIED = "identities failed the check"
"""What SES says before the identities it does not know."""

SUBJECT, HTML, TEXT = "subject.txt", "mail.html", "mail.txt"
"""What a mail is made of."""


class Apart(TypedDict, total=False):
    """What sends a mail through a tenant of SES."""

    TenantName: str


_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_NOT_A_TAG = re.compile(r"[^A-Za-z0-9_-]")
_TAG_LENGTH = 256


class SesChannel:
    """Sends through one configuration set, whose events come back tagged (sources/ses.py)."""

    parts = (SUBJECT, HTML, TEXT)
    repeats = None

    def __init__(self, configuration_set: str, client: SESV2Client) -> None:
        self._configuration_set = configuration_set
        self._client = client

    def send(self, message: Message) -> Accepted:
        """See Channel. A sender whom SES has not verified (yet) stops everything: nobody's message is lost by it."""
        try:
            return self._sent(message)
        except RefusedError as error:
            if _sender_unverified(error.__cause__, message.sender):
                raise StoppedError("SES has not verified the sender: verify its domain (SES, identities)") from error
            raise

    def _sent(self, message: Message) -> Accepted:
        apart: Apart = {"TenantName": message.sender.ses_tenant} if message.sender.ses_tenant else {}
        with certain():
            answer = self._client.send_email(
                FromEmailAddress=mailbox(message.sender.from_name, message.sender.from_address),
                Destination={"ToAddresses": [quoted(message.to)]},
                ReplyToAddresses=[message.sender.reply_to] if message.sender.reply_to else [],
                Content={
                    "Simple": {
                        "Subject": {"Data": _one_line(message.parts[SUBJECT]), "Charset": "UTF-8"},
                        "Body": {
                            "Text": {"Data": message.parts[TEXT], "Charset": "UTF-8"},
                            "Html": {"Data": message.parts[HTML], "Charset": "UTF-8"},
                        },
                        "Headers": headers(message),
                    }
                },
                EmailTags=tags(message),
                ConfigurationSetName=self._configuration_set,
                **apart,
            )
        return Accepted(answer["MessageId"])


def _sender_unverified(answer: BaseException | None, sender: Sender) -> bool:
    """SES names every identity that failed; in its sandbox that is the recipient, who is then refused alone."""
    said = str(answer)
    return _UNVERIFIED in said and sender.from_address in said.partition(_UNVERIFIED)[2]


def certain() -> AbstractContextManager[None]:
    """Says by the kind of error what is certain of a call of `SendEmail`."""
    return certainty(_CODES)


def headers(message: Message) -> list[MessageHeaderTypeDef]:
    """What mailbox providers ask of bulk mail: a one-click way out (RFC 8058), the list's name, a complaint key."""
    feedback = ":".join((_tag(message.scenario), _tag(message.step), _tag(message.key.tenant), "matakite"))
    found = {"Feedback-ID": feedback}
    if message.purpose is Purpose.MARKETING:
        found |= {
            "List-Unsubscribe": _unsubscribe(message.unsubscribe_url, message.sender),
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "List-Id": f"<{_tag(message.scenario)}.{_tag(message.key.tenant)}.{message.sender.domain}>",
        }
    return [{"Name": name, "Value": value} for name, value in found.items()]


def tags(message: Message) -> list[MessageTagTypeDef]:
    """Come back with every event of this mail: ids only, in the letters that SES allows."""
    key = message.key
    named = {
        "tenant": key.tenant,
        "scenario": message.scenario,
        "step": message.step,
        "send_id": key.send_id,
        "customer": key.customer_id,
    }
    return [{"Name": name, "Value": _tag(value)} for name, value in named.items()]


def mailbox(name: str, address: str) -> str:
    """`=?utf-8?b?…?= <news@example.com>`: SES takes no raw Japanese in a display name."""
    clean = _one_line(name)
    if clean.isascii():
        escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{address}>' if clean else address
    # Folded at character boundaries into words of at most 75 bytes; a space joins them on one header line.
    encoded = Header(clean, "utf-8", maxlinelen=75).encode(linesep="").replace("\n", " ")
    return f"{encoded} <{address}>"


def quoted(address: str) -> str:
    """The address, with the local part quoted where RFC 5321 wants it: docomo once gave out `a..b@` and `.a@`."""
    local, _, domain = printable(address).rpartition("@")
    if _ATOM.fullmatch(local) or (local.startswith('"') and local.endswith('"')):
        return f"{local}@{domain}"
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"@{domain}'


def _unsubscribe(url: str, sender: Sender) -> str:
    mailto = f", <mailto:{sender.unsubscribe_mailto}?subject=unsubscribe>" if sender.unsubscribe_mailto else ""
    return f"<{url}>{mailto}"


def _tag(value: str) -> str:
    return _NOT_A_TAG.sub("_", value)[:_TAG_LENGTH]


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())
