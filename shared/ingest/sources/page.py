"""Our own pages: what a person says there about themselves (配信停止, アンケート, 登録の確認).

Nothing of this is posted to a connection's URL: the page itself checks its signed link and makes the envelope. The
body names the person by our own id; `said_at` is part of the event's id, so every time somebody says it is an event
of its own, and saying it again after opting in again works.

| topic | event |
|---|---|
| unsubscribe | consent: no |
| sign_up | a customer record with the address; it is no consent (double opt-in) |
| confirm | consent: yes, with what was agreed to and where |
| survey | one answer per question |
| preferences | a consent per channel that changed, and the wishes as attributes (配信設定) |
| click | a link of a message was followed, by a person or a program (クリック) |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, cast

from shared.core.clock import to_iso
from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, TenantId, digest
from shared.ingest import body as read
from shared.ingest import derive
from shared.ingest.adapter import About, NotPosted, told_us
from shared.ingest.model import ConsentFacts, Envelope, Event, EventType, MessageFacts, Person, ProfileFacts
from shared.ingest.surveys.model import Answer
from shared.ingest.surveys.rules import answers_document, facts_of
from shared.ingest.surveys.tokens import SurveyToken

NAME = "page"
UNSUBSCRIBE = "unsubscribe"
SIGN_UP = "sign_up"
CONFIRM = "confirm"
SURVEY = "survey"
PREFERENCES = "preferences"
CLICK = "click"
_CHANNELS = frozenset({"email", "sms", "line", "postal", "call"})
MAX_WORDING = 1000
"""Characters of an agreed sentence that are kept with every consent to it."""


class Page(NotPosted):
    """Adapter of our own pages: no request from outside is one of ours."""

    name = NAME

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the person said, by the page they said it on."""
        said = read.parse_object(envelope.raw)
        if envelope.topic == SIGN_UP:
            return (_signed_up(envelope, said),)
        person = Person(source_customer_id=read.required(read.text(said, "customer_id"), "customer_id"))
        if envelope.topic == SURVEY:
            survey = read.required(read.text(said, "survey_id"), "survey_id")
            return tuple(
                derive.event(envelope, EventType.SURVEY_ANSWERED, facts, person, part=facts.question_id)
                for facts in facts_of(survey, said.get("answers"))
            )
        if envelope.topic == CLICK:
            return (derive.event(envelope, EventType.MESSAGE_CLICKED, _click(said), person),)
        if envelope.topic == PREFERENCES:
            return tuple(_preferences(envelope, said, person))
        return (derive.event(envelope, EventType.CONSENT_CHANGED, _consent(envelope, said), person),)


def _preferences(envelope: Envelope, said: read.Body, person: Person) -> Iterator[Event]:
    """Refusals first: if only some are applied before a crash, the person hears less, never more."""
    addresses = read.inner(said, "addresses") or {}
    channels = read.inner(said, "channels") or {}
    for channel, granted in sorted(channels.items(), key=lambda one: bool(one[1])):
        if channel not in _CHANNELS or not isinstance(granted, bool):
            raise RejectedError(f"no channel of ours: {channel!r}")
        facts = ConsentFacts(
            channel=cast("Literal['email', 'sms', 'line', 'postal', 'call']", channel),
            granted=granted,
            method=PREFERENCES,
            form=read.text(said, "form") or "",
            wording_text=(read.text(said, "wording_text") or "")[:MAX_WORDING] if granted else "",
            address=read.text(addresses, channel) or "",
        )
        yield derive.event(envelope, EventType.CONSENT_CHANGED, facts, person, part=channel)
    wishes = read.inner(said, "wishes") or {}
    kept = {name: value for name, value in wishes.items() if isinstance(value, (str, bool))}
    if kept:
        yield derive.event(envelope, EventType.CUSTOMER_UPDATED, ProfileFacts(attributes=kept), person, part="wishes")


def _click(said: read.Body) -> MessageFacts:
    return MessageFacts(
        send_id=read.required(read.text(said, "send_id"), "send_id"),
        customer_id=read.required(read.text(said, "customer_id"), "customer_id"),
        channel=read.required(read.text(said, "channel"), "channel"),
        message_id=read.text(said, "message_id") or "",
        link=read.text(said, "link"),
        # What does not say who it was is not counted for a person.
        machine=said.get("machine") is not False,
        scenario=read.text(said, "scenario"),
        step=read.text(said, "step"),
    )


def _consent(envelope: Envelope, said: read.Body) -> ConsentFacts:
    channel = read.required(read.text(said, "channel"), "channel")
    if envelope.topic not in {UNSUBSCRIBE, CONFIRM} or channel not in _CHANNELS:
        raise RejectedError(f"no page of ours says {envelope.topic!r} about {channel!r}")
    return ConsentFacts(
        channel=cast("Literal['email', 'sms', 'line', 'postal', 'call']", channel),
        granted=envelope.topic == CONFIRM,
        method=read.required(read.text(said, "method"), "method"),
        wording=read.text(said, "wording") or "",
        wording_text=(read.text(said, "wording_text") or "")[:MAX_WORDING],
        form=read.text(said, "form") or "",
        network=read.text(said, "network") or "",
        address=read.text(said, "address") or "",
    )


def _signed_up(envelope: Envelope, said: read.Body) -> Event:
    """Somebody typed an address; whose it is shows when its owner confirms. A form is no customer record of a cart."""
    email = read.required(read.email(said), "email")
    return derive.event(envelope, EventType.CUSTOMER_UPDATED, ProfileFacts(), Person(email=email, claimed=True))


ADAPTER = Page()

ABOUT = About(
    title="Our own pages (配信停止・登録・アンケート)",
    arrives="the page itself, behind a signed link",
    orders="no: not its business",
    customers="yes: the address of a sign-up",
    consent="yes: opt-out; opt-in by double opt-in",
    carts="no: not its business",
    signature="the link in the mail is signed",
    dedupe="digest of what was said and when",
    limits="nothing is accepted from outside",
)


def unsubscribe_envelope(
    tenant: TenantId,
    customer: CustomerId,
    channel: str,
    store: str,
    send_id: str,
    method: str,
    said_at: datetime,
    address: str = "",
) -> Envelope:
    """What is kept when somebody presses 配信停止. `method`: `one_click` or `page`; `address`: keyed digest."""
    said = {"customer_id": customer, "channel": channel, "send_id": send_id, "method": method, "address": address}
    event_id = digest(NAME, UNSUBSCRIBE, tenant, customer, channel, store, send_id, to_iso(said_at))
    return told_us(tenant, NAME, store, UNSUBSCRIBE, said, said_at, about=("consent", customer), event_id=event_id)


def preferences_envelope(
    tenant: TenantId, customer: CustomerId, store: str, said: Mapping[str, object], said_at: datetime
) -> Envelope:
    """What is kept of the preference centre's form: `channels` and `wishes` that changed, and the evidence."""
    event_id = digest(NAME, PREFERENCES, tenant, customer, store, json.dumps(said, sort_keys=True), to_iso(said_at))
    kept = {**said, "customer_id": customer}
    return told_us(tenant, NAME, store, PREFERENCES, kept, said_at, about=(PREFERENCES, customer), event_id=event_id)


def click_envelope(tenant: TenantId, said: Mapping[str, object], code: str, at: datetime) -> Envelope:
    """What is kept when a link is followed: once a minute and kind, however often a program follows it."""
    minute = to_iso(at)[: len("2026-11-21T03:04")]
    event_id = digest(NAME, CLICK, tenant, code, minute, str(said["machine"]))
    return told_us(tenant, NAME, CLICK, CLICK, said, at, about=(CLICK, str(said["send_id"])), event_id=event_id)


def survey_envelope(token: SurveyToken, answers: Sequence[Answer], said_at: datetime, *, repeat: bool) -> Envelope:
    """What is kept of a survey's form. One link is one answer, unless the survey may be answered again (`repeat`)."""
    said = {
        "customer_id": token.customer_id,
        "survey_id": token.survey_id,
        "occasion": token.occasion,
        "answers": answers_document(answers),
    }
    again = to_iso(said_at) if repeat else ""
    event_id = digest(NAME, SURVEY, token.tenant, token.survey_id, token.customer_id, token.occasion, again)
    about = (SURVEY, token.customer_id)
    return told_us(token.tenant, NAME, SURVEY, SURVEY, said, said_at, about=about, event_id=event_id)


def sign_up_envelope(tenant: TenantId, store: str, email: str, address: str, form: str, said_at: datetime) -> Envelope:
    """What is kept when somebody asks to be written to. `address`: keyed digest of the mail address."""
    event_id = digest(NAME, SIGN_UP, tenant, store, address, to_iso(said_at))
    said, about = {"email": email, "form": form}, (SIGN_UP, digest(address))
    return told_us(tenant, NAME, store, SIGN_UP, said, said_at, about=about, event_id=event_id)


def confirm_envelope(
    tenant: TenantId, customer: CustomerId, store: str, agreed: Mapping[str, str], said_at: datetime
) -> Envelope:
    """What is kept when the address's owner confirms (ダブルオプトイン). `agreed`: the evidence (wording, form, …)."""
    said = {**agreed, "customer_id": customer, "channel": "email", "method": "double_opt_in"}
    event_id = digest(NAME, CONFIRM, tenant, customer, store, agreed.get("requested_at", ""))
    return told_us(tenant, NAME, store, CONFIRM, said, said_at, about=(CONFIRM, customer), event_id=event_id)
