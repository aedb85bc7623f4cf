"""What a SendEmail request says: the message as the outbox keeps it, and the event records SES publishes about it."""

from __future__ import annotations

import base64
import email
import email.policy
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any
from uuid import uuid4

from infra.local.emulator.settings import ACCOUNT, REGION

_TAG = re.compile(r"^[A-Za-z0-9_-]{1,256}$")
_MAX_RECIPIENTS = 50
_MAX_HEADERS = 15


class InvalidMessageError(ValueError):
    """SES would answer BadRequestException with this message."""


@dataclass
class Message:
    """One accepted mail."""

    message_id: str
    source: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    subject: str
    text: str
    html: str
    headers: list[dict[str, str]]
    tags: dict[str, str]
    configuration_set: str
    caller: str
    accepted_at: str
    raw: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def recipients(self) -> list[str]:
        """Everyone it goes to."""
        return [*self.to, *self.cc, *self.bcc]


def timestamp(moment: datetime) -> str:
    """A moment as SES writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def new_message_id(moment: datetime) -> str:
    """An id shaped as SES's (``0106…-uuid-000000``)."""
    return f"0106{int(moment.timestamp() * 1000):012x}-{uuid4()}-000000"


def validated_tags(pairs: list[dict[str, str]]) -> dict[str, str]:
    """The message tags; SES allows letters, digits, ``_`` and ``-`` only."""
    for pair in pairs:
        for word in (pair.get("Name", ""), pair.get("Value", "")):
            if not _TAG.match(word):
                raise InvalidMessageError(
                    f"Invalid tag {word!r}: only alphanumeric ASCII characters, '_', '-' are allowed"
                )
    return {pair["Name"]: pair["Value"] for pair in pairs}


def read_message(data: dict[str, Any], message_id: str, caller: str, moment: datetime) -> Message:
    """A SendEmail request body as a message (template bodies are filled in by the caller)."""
    destination, content = data.get("Destination") or {}, data.get("Content") or {}
    simple, raw = content.get("Simple") or {}, content.get("Raw") or {}
    message = Message(
        message_id=message_id,
        source=str(data.get("FromEmailAddress", "")),
        to=list(destination.get("ToAddresses") or ()),
        cc=list(destination.get("CcAddresses") or ()),
        bcc=list(destination.get("BccAddresses") or ()),
        reply_to=list(data.get("ReplyToAddresses") or ()),
        subject=str((simple.get("Subject") or {}).get("Data", "")),
        text=str(((simple.get("Body") or {}).get("Text") or {}).get("Data", "")),
        html=str(((simple.get("Body") or {}).get("Html") or {}).get("Data", "")),
        headers=[{"name": h["Name"], "value": h["Value"]} for h in simple.get("Headers") or ()],
        tags=validated_tags(data.get("EmailTags") or []),
        configuration_set=str(data.get("ConfigurationSetName", "")),
        caller=caller,
        accepted_at=timestamp(moment),
    )
    if raw:
        _fill_from_raw(message, base64.b64decode(raw.get("Data", "")))
    if len(message.headers) > _MAX_HEADERS and not raw:
        raise InvalidMessageError(f"Number of headers exceeds the limit of {_MAX_HEADERS}")
    if len(message.recipients) > _MAX_RECIPIENTS:
        raise InvalidMessageError("Recipient count exceeds 50.")
    return message


def _fill_from_raw(message: Message, raw: bytes) -> None:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    message.raw = raw.decode("utf-8", errors="replace")
    message.headers = [{"name": str(name), "value": str(value)} for name, value in parsed.items()]
    message.source = message.source or str(parsed.get("From", ""))
    message.subject = str(parsed.get("Subject", ""))
    for attribute, name in (("to", "To"), ("cc", "Cc"), ("reply_to", "Reply-To")):
        if not getattr(message, attribute) and parsed.get(name):
            setattr(message, attribute, [part.strip() for part in str(parsed[name]).split(",")])
    if isinstance(parsed, EmailMessage):
        for attribute, kind in (("text", "plain"), ("html", "html")):
            body = parsed.get_body(preferencelist=(kind,))
            if body is not None:
                setattr(message, attribute, str(body.get_content()))
    message.configuration_set = message.configuration_set or str(parsed.get("X-SES-CONFIGURATION-SET", "")).strip()
    tags = [pair.partition("=") for pair in str(parsed.get("X-SES-MESSAGE-TAGS", "")).split(",") if "=" in pair]
    message.tags |= validated_tags([{"Name": n.strip(), "Value": v.strip()} for n, _, v in tags])


def mail_object(message: Message) -> dict[str, Any]:
    """The ``mail`` member every event record has."""
    domain = parseaddr(message.source)[1].rpartition("@")[2]
    given = {header["name"].lower() for header in message.headers}
    standard = [
        ("From", message.source),
        ("To", ", ".join(message.to)),
        *([("Reply-To", ", ".join(message.reply_to))] if message.reply_to else []),
        ("Subject", message.subject),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/alternative; boundary="----=_Part_0"'),
    ]
    return {
        "timestamp": message.accepted_at,
        "source": message.source,
        "sourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{domain}",
        "sendingAccountId": ACCOUNT,
        "messageId": message.message_id,
        "destination": message.recipients,
        "headersTruncated": False,
        "headers": [{"name": n, "value": v} for n, v in standard if n.lower() not in given] + message.headers,
        "commonHeaders": {
            "from": [message.source],
            "to": message.to,
            "messageId": message.message_id,
            "subject": message.subject,
        },
        "tags": {
            "ses:source-tls-version": ["TLSv1.3"],
            "ses:operation": ["SendEmail"],
            "ses:configuration-set": [message.configuration_set],
            "ses:source-ip": ["192.0.2.0"],
            "ses:from-domain": [domain],
            "ses:caller-identity": [message.caller],
            **{name: [value] for name, value in message.tags.items()},
        },
    }


@dataclass(frozen=True)
class Happening:
    """One thing that happens to a mail after it was accepted."""

    kind: str
    detail: dict[str, Any]


def happenings(recipient: str, suppressed: bool, moment: datetime) -> list[Happening]:
    """What SES reports about one recipient: a delivery, or what its mailbox simulator address stands for."""
    local, _, domain = parseaddr(recipient)[1].lower().rpartition("@")
    mailbox = local.partition("+")[0] if domain == "simulator.amazonses.com" else ""
    if suppressed:
        return [_bounce(recipient, "Permanent", "OnAccountSuppressionList", moment)]
    if mailbox == "suppressionlist":
        return [_bounce(recipient, "Permanent", "Suppressed", moment)]
    if mailbox == "bounce":
        return [_bounce(recipient, "Permanent", "General", moment)]
    delivery = Happening(
        "Delivery",
        {
            "timestamp": timestamp(moment),
            "processingTimeMillis": 500,
            "recipients": [recipient],
            "smtpResponse": "250 2.0.0 OK",
            "reportingMTA": "a1-1.smtp-out.amazonses.com",
        },
    )
    if mailbox == "complaint":
        return [delivery, _complaint(recipient, moment)]
    if mailbox == "ooto":
        return [delivery, _bounce(recipient, "Transient", "General", moment)]
    return [delivery]


_STATUS = {"OnAccountSuppressionList": "5.1.1", "Suppressed": "5.1.1", "General": "5.1.1"}


def _bounce(recipient: str, kind: str, subtype: str, moment: datetime) -> Happening:
    return Happening(
        "Bounce",
        {
            "feedbackId": f"0106{uuid4().hex[:12]}-{uuid4()}-000000",
            "bounceType": kind,
            "bounceSubType": subtype,
            "bouncedRecipients": [
                {
                    "emailAddress": recipient,
                    "action": "failed",
                    "status": _STATUS[subtype],
                    "diagnosticCode": "smtp; 550 5.1.1 user unknown",
                }
            ],
            "timestamp": timestamp(moment),
            "reportingMTA": "dns; a1-1.smtp-out.amazonses.com",
        },
    )


def _complaint(recipient: str, moment: datetime) -> Happening:
    return Happening(
        "Complaint",
        {
            "feedbackId": f"0106{uuid4().hex[:12]}-{uuid4()}-000000",
            "complaintSubType": None,
            "complainedRecipients": [{"emailAddress": recipient}],
            "timestamp": timestamp(moment),
            "userAgent": "Amazon SES Mailbox Simulator",
            "complaintFeedbackType": "abuse",
            "arrivalDate": timestamp(moment),
        },
    )
