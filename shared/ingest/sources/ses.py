"""Amazon SES events of our own sends: accepted, delivered, bounced, complained, opened, clicked.

They come through EventBridge (configuration set → default bus → queue) as `detail`; a record's message tags say whose
send it is. A diagnostic text holds the address and a server's words, so it stays in the raw body. Best effort on
SES's side: any event may be lost or doubled, so an id is made from what the record says, not from its envelope.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from shared.core.clock import to_iso
from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, EventId, TenantId, digest
from shared.ingest import body as read
from shared.ingest import derive
from shared.ingest.adapter import About, NotPosted
from shared.ingest.body import Body
from shared.ingest.model import Envelope, Event, EventType, MessageFacts, Person

NAME = "ses"

MEANING: Mapping[str, tuple[EventType, str]] = {
    "Send": (EventType.MESSAGE_SENT, "send"),
    "Delivery": (EventType.MESSAGE_DELIVERED, "delivery"),
    "Bounce": (EventType.MESSAGE_BOUNCED, "bounce"),
    "Complaint": (EventType.MESSAGE_COMPLAINED, "complaint"),
    "Reject": (EventType.MESSAGE_REJECTED, "reject"),
    "Rendering Failure": (EventType.MESSAGE_REJECTED, "failure"),
    "Open": (EventType.MESSAGE_OPENED, "open"),
    "Click": (EventType.MESSAGE_CLICKED, "click"),
}
"""SES's word → ours, and the object that holds the rest. Delays and SES's own lists are kept and not acted on."""

MACHINE_SECONDS = 2
"""Nobody reads a mail in two seconds; a scanner follows every link in it."""

_MACHINES = re.compile(
    r"GoogleImageProxy|ggpht|YahooMailProxy|bot\b|crawl|spider|scan|proofpoint|mimecast|barracuda|safelinks|"
    r"headless|python-requests|curl/|wget/|okhttp|java/|go-http-client|preview|^Mozilla/5\.0$|^$",
    re.IGNORECASE,
)
"""User agents that are no reader: image proxies (Gmail, Yahoo, Apple's bare `Mozilla/5.0`), scanners, programs."""

_QUOTED = re.compile(r'^"((?:[^"\\]|\\.)*)"@')
_SAFE_WORD = re.compile(r"[^A-Za-z0-9_-]")


class Ses(NotPosted):
    """Adapter of SES's event records: they come through our own queue, whose policy lets only EventBridge in."""

    name = NAME

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the record says about one of our sends."""
        record = read.parse_object(envelope.raw)
        kind = kind_of(record)
        event_type, detail_name = MEANING.get(kind, (EventType.UNKNOWN, ""))
        detail = read.inner(record, detail_name) or {} if detail_name else {}
        if kind == "Complaint" and detail.get("complaintFeedbackType") == "not-spam":
            # A correction of an earlier report: nothing to hold against the address.
            event_type = EventType.UNKNOWN
        if event_type is EventType.UNKNOWN:
            return (derive.unknown(envelope),)
        return (derive.event(envelope, event_type, _facts(kind, record, detail), _person(record)),)


ADAPTER = Ses()

ABOUT = About(
    title="Amazon SES",
    arrives="EventBridge to our own queue",
    orders="no: a channel",
    customers="no: a channel",
    consent="complaints (迷惑メール報告) count as opt-out",
    carts="no: a channel",
    signature="none needed: only EventBridge may write to the queue",
    dedupe="`feedbackId`, else message, type, time and recipient",
    limits="best effort on SES's side: an event may be lost or doubled; opens by machines are flagged",
)


def envelope_of(raw: bytes, received_at: datetime) -> Envelope:
    """The envelope of one record. Raises RejectedError for a record that is not of one of our tagged sends."""
    record = read.parse_object(raw)
    kind, mail = kind_of(record), _mail(record)
    at = _occurred_at(kind, record) or received_at
    tenant = _tag(mail, "tenant")
    return Envelope(
        tenant=TenantId(tenant),
        subject=f"{NAME}/{NAME}/send/{_tag(mail, 'send_id')}",
        event_id=_event_id(kind, record, at),
        source=NAME,
        connection=ConnectionId(NAME),
        store=NAME,
        topic=kind,
        occurred_at=at,
        received_at=received_at,
        raw=raw,
    )


_KEPT_OF_MAIL = ("timestamp", "messageId", "destination", "tags")


def trimmed(record: Body) -> bytes:
    """The record without what we wrote ourselves: headers, subject and SES's own tags are most of its bytes, two or
    three times a mail, and nobody reads them again.
    """
    mail = _mail(record)
    tags = {name: said for name, said in (read.inner(mail, "tags") or {}).items() if not name.startswith("ses:")}
    kept = {name: mail[name] for name in _KEPT_OF_MAIL if name in mail} | {"tags": tags}
    return json.dumps({**record, "mail": kept}, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def kind_of(record: Body) -> str:
    """`Send`, `Delivery`, …: configuration sets write `eventType`, identities `notificationType`."""
    kind = read.text(record, "eventType") or read.text(record, "notificationType")
    return read.required(kind, "eventType")


def send_tags(record: Body) -> tuple[str, str, str]:
    """(tenant, customer id, send id) of the send that a record is about."""
    mail = _mail(record)
    return _tag(mail, "tenant"), _tag(mail, "customer"), _tag(mail, "send_id")


def message_id(record: Body) -> str:
    """SES's own id of the mail, the one `SendEmail` answered with."""
    return read.required(read.text(_mail(record), "messageId"), "messageId")


def _mail(record: Body) -> Body:
    mail = read.inner(record, "mail")
    if mail is None:
        raise RejectedError("the record has no 'mail': not an SES event")
    return mail


def _tag(mail: Body, name: str) -> str:
    values = (read.inner(mail, "tags") or {}).get(name)
    value = values[0] if isinstance(values, list) and values else None
    if not isinstance(value, str) or not value:
        raise RejectedError(f"the mail has no tag {name!r}: it was not sent by us")
    return read.key_part(value)


def _occurred_at(kind: str, record: Body) -> datetime | None:
    _, name = MEANING.get(kind, (EventType.UNKNOWN, kind[:1].lower() + kind[1:]))
    detail = read.inner(record, name) or {}
    return read.time(detail, "timestamp") or read.time(_mail(record), "timestamp")


def _event_id(kind: str, record: Body, at: datetime) -> EventId:
    detail = read.inner(record, MEANING.get(kind, (EventType.UNKNOWN, ""))[1]) or {}
    feedback = read.text(detail, "feedbackId")
    if feedback:
        return EventId(digest(NAME, kind, feedback))
    said = json.dumps(detail, sort_keys=True, default=str)
    return EventId(digest(NAME, kind, message_id(record), to_iso(at), said))


def _person(record: Body) -> Person:
    """Ours by id; the address is the one this mail went to, which may not be the one known today."""
    _, customer, _ = send_tags(record)
    destination = _mail(record).get("destination")
    address = destination[0] if isinstance(destination, list) and destination else None
    return Person(
        source_customer_id=customer, email=_unquoted(address) if isinstance(address, str) and "@" in address else None
    )


def _facts(kind: str, record: Body, detail: Body) -> MessageFacts:
    _, customer, send = send_tags(record)
    return MessageFacts(
        send_id=send,
        customer_id=customer,
        channel="email",
        message_id=message_id(record),
        permanent=kind == "Complaint" or detail.get("bounceType") == "Permanent",
        reason=_reason(kind, detail),
        link=_origin(read.text(detail, "link")) if kind == "Click" else None,
        machine=kind in {"Open", "Click"} and _machine(record, detail),
        scenario=_own_word(record, "scenario"),
        step=_own_word(record, "step"),
        arm=_own_word(record, "arm"),
    )


def _own_word(record: Body, name: str) -> str | None:
    """A tag that older mails do not have."""
    values = (read.inner(_mail(record), "tags") or {}).get(name)
    value = values[0] if isinstance(values, list) and values else None
    return value if isinstance(value, str) and value else None


def _origin(link: str | None) -> str | None:
    """`https://shop.example.jp`: the rest of a cart's recovery link is a secret of the buyer and stays in the raw."""
    parts = urlsplit(link or "")
    return f"{parts.scheme}://{parts.hostname}" if parts.scheme in {"http", "https"} and parts.hostname else None


def _reason(kind: str, detail: Body) -> str:
    """`bounce:MailboxFull`, `complaint:abuse`: words from SES's own lists, never a server's text."""
    fields = {"Bounce": "bounceSubType", "Complaint": "complaintFeedbackType", "Reject": "reason"}
    if kind == "Rendering Failure":
        return "reject:rendering"
    if kind not in fields:
        return ""
    word = _SAFE_WORD.sub("_", read.text(detail, fields[kind]) or "unknown")[:40]
    return f"{kind.lower()}:{word}"


def by_machine(record: Body) -> bool:
    """Was this opening or click a program's?"""
    return _machine(record, read.inner(record, kind_of(record).lower()) or {})


def _machine(record: Body, detail: Body) -> bool:
    """Opened or clicked by a program? SES tells when it took the mail, so 2 s after that is within 2 s of delivery."""
    sent_at, at = read.time(_mail(record), "timestamp"), read.time(detail, "timestamp")
    at_once = sent_at is not None and at is not None and at - sent_at < timedelta(seconds=MACHINE_SECONDS)
    return at_once or bool(_MACHINES.search(read.text(detail, "userAgent") or ""))


def _unquoted(address: str) -> str:
    """`"a..b"@docomo.ne.jp` is kept as `a..b@docomo.ne.jp`."""
    return _QUOTED.sub(lambda found: re.sub(r"\\(.)", r"\1", found[1]) + "@", address)
