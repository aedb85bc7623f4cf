"""Survey answers from elsewhere (アンケート回答): another form tool, a call centre, an app, with a website's write key.

One event per question, at the answer's own time. A free text stays in the raw body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest import body as read
from shared.ingest import derive
from shared.ingest.adapter import About, Connection, NotPosted
from shared.ingest.model import Envelope, Event, EventType, Person
from shared.ingest.surveys.model import Answer, Survey
from shared.ingest.surveys.rules import answers_document, facts_of

NAME = "survey"
ANSWERS = "answers"


class Surveys(NotPosted):
    """Adapter of answers posted to /v1/surveys/{survey}/answers, which knows its keys itself."""

    name = NAME

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """One event for each question that was answered."""
        said = read.parse_object(envelope.raw)
        source, _, store = (read.text(said, "users_of") or "").partition("/")
        person = Person(
            source_customer_id=read.text(said, "user_id"),
            email=read.email(said),
            anonymous_ids=tuple(f"visitor/{each}" for each in (read.text(said, "anonymous_id"),) if each),
            claimed=said.get("trusted") is not True,
        )
        return tuple(
            replace(
                derive.event(envelope, EventType.SURVEY_ANSWERED, facts, person, part=facts.question_id),
                source=source or envelope.source,
                store=store or envelope.store,
            )
            for facts in facts_of(read.required(read.text(said, "survey_id"), "survey_id"), said.get("answers"))
        )


ADAPTER = Surveys()

ABOUT = About(
    title="Survey answers from elsewhere (アンケート)",
    arrives="POST /v1/surveys/{survey}/answers",
    orders="no: not its business",
    customers="no: an answer names its customer, mail address or visitor",
    consent="no: an answer is no consent",
    carts="no: not its business",
    signature="write key; the secret key for the shop's own server",
    dedupe="`answerId`, else what was answered by whom and when",
    limits="the survey must be known here (`matakite survey add`)",
)


def posted_envelope(
    connection: Connection,
    survey: Survey,
    document: Mapping[str, Any],
    answers: Sequence[Answer],
    now: datetime,
    *,
    trusted: bool,
) -> Envelope:
    """What is kept of a program's answers. Raises RejectedError when they name nobody."""
    now = from_iso(to_iso(now))
    who = {name: read.text(document, field) for name, field in _WHO.items()}
    if not any(who.values()):
        raise RejectedError("say who answered: userId, email or anonymousId")
    if connection.proven_users and not trusted and (who["user_id"] or who["email"]):
        raise RejectedError("a browser of this site may not name a customer: post the answers from the server")
    at = min(read.time(document, "answeredAt") or now, now)
    kept = {
        **who,
        "survey_id": survey.survey_id,
        "answers": answers_document(answers),
        "users_of": connection.users_of or f"track/{connection.store}",
        "trusted": trusted,
    }
    said = read.text(document, "answerId") or json.dumps({**kept, "at": to_iso(at)}, sort_keys=True)
    event_id = EventId(digest(NAME, connection.connection_id, survey.survey_id, said))
    return Envelope(
        tenant=connection.tenant,
        subject=f"{NAME}/{connection.store}/{survey.survey_id}/{event_id}",
        event_id=event_id,
        source=NAME,
        connection=connection.connection_id,
        store=connection.store,
        topic=ANSWERS,
        occurred_at=at,
        received_at=now,
        raw=json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode(),
    )


_WHO = {"user_id": "userId", "email": "email", "anonymous_id": "anonymousId"}
