"""Show a survey, take its answers: from our own page behind a signed link, or from elsewhere with a write key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from shared.core.errors import NotFoundError, RejectedError, UnavailableError
from shared.core.ids import TenantId
from shared.core.keys import KeyRing
from shared.core.pages import Page
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.ingest.connections import Connections
from shared.ingest.receive import request_of
from shared.ingest.sources.page import survey_envelope
from shared.ingest.sources.survey import posted_envelope
from shared.ingest.store import EventStore
from shared.ingest.surveys import form
from shared.ingest.surveys.book import Surveys
from shared.ingest.surveys.model import Survey
from shared.ingest.surveys.rules import UnansweredError, answers_of, form_values, values_of
from shared.ingest.surveys.tokens import SurveyToken, verify
from shared.ingest.tracking.receive import UnknownKeyError, authenticated, unpacked

MAX_BODY = 100_000


@dataclass(frozen=True, slots=True)
class ShowDeps:
    """What showing a survey needs."""

    keys: Callable[[], KeyRing]
    read_shop: Callable[[TenantId], Shop]
    surveys: Surveys


@dataclass(frozen=True, slots=True)
class AnswerDeps(ShowDeps):
    """What taking its answers needs."""

    events: EventStore
    connections: Connections


def show_http(event: Mapping[str, Any], deps: ShowDeps, now: datetime) -> dict[str, Any]:
    """GET, HEAD: the form. Changes nothing."""
    head = event["requestContext"]["http"]["method"] == "HEAD"
    found = _find(event, deps, now)
    shown = form.form_page(found[1], found[2], {}, {}) if found else form.unknown_page()
    return shown.answer(head=head)


def answer_http(event: Mapping[str, Any], deps: AnswerDeps, now: datetime) -> dict[str, Any]:
    """POST of the form, or of a program: the route tells."""
    if "survey" in (event.get("pathParameters") or {}):
        return _post(event, deps, now)
    return _submit(event, deps, now).answer()


def _find(event: Mapping[str, Any], deps: ShowDeps, now: datetime) -> tuple[SurveyToken, Survey, str] | None:
    token = verify(str((event.get("pathParameters") or {}).get("token") or ""), deps.keys())
    survey = deps.surveys.find(token.tenant, token.survey_id, now) if token else None
    return (token, survey, deps.read_shop(token.tenant).name) if token and survey else None


def _submit(event: Mapping[str, Any], deps: AnswerDeps, now: datetime) -> Page:
    found = _find(event, deps, now)
    if found is None:
        return form.unknown_page()
    token, survey, shop_name = found
    values = form_values(_pairs(event))
    try:
        answers = answers_of(survey, values)
    except UnansweredError as error:
        return form.form_page(survey, shop_name, values, error.problems)
    try:
        new = deps.events.put_once(survey_envelope(token, answers, now, repeat=survey.repeat))
    except UnavailableError:
        return form.busy_page(shop_name)
    return form.thanks_page(survey, shop_name, again=not new)


def _pairs(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    try:
        body = request_of(event).body[:MAX_BODY]
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=2000)
    except (RejectedError, ValueError):
        return []


# --- answers from elsewhere ------------------------------------------------------------------------------------------
def _post(event: Mapping[str, Any], deps: AnswerDeps, now: datetime) -> dict[str, Any]:
    try:
        new = _keep_posted(event, deps, now)
    except UnknownKeyError as error:
        return _said(401, {"success": False, "message": str(error)})
    except NotFoundError as error:
        return _said(404, {"success": False, "message": str(error)})
    except UnansweredError as error:
        return _said(400, {"success": False, "message": str(error), "problems": dict(error.problems)})
    except RejectedError as error:
        return _said(400, {"success": False, "message": str(error)})
    except UnavailableError:
        return _said(503, {"success": False, "message": "not kept: please send it again"})
    return _said(200, {"success": True, "new": new})


def _keep_posted(event: Mapping[str, Any], deps: AnswerDeps, now: datetime) -> bool:
    request = request_of(event)
    document = _document(unpacked(request))
    connection, trusted = authenticated(request.headers, document, deps.connections, now)
    survey_id = str(event["pathParameters"]["survey"])
    survey = (
        deps.surveys.find(connection.tenant, survey_id, now) if survey_id.isascii() and len(survey_id) <= 40 else None
    )
    if survey is None:
        raise NotFoundError("the shop has no survey of this id: see `matakite survey list`")
    given = document.get("answers")
    if not isinstance(given, Mapping):
        raise RejectedError('\'answers\' must be an object such as {"nps": 9, "reason": ["taste"]}')
    answers = answers_of(survey, values_of(survey, given))
    return deps.events.put_once(posted_envelope(connection, survey, document, answers, now, trusted=trusted))


def _document(raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw[: MAX_BODY + 1])
    except (ValueError, RecursionError):
        raise RejectedError(f"the body must be JSON of at most {MAX_BODY // 1000} KB") from None
    if not isinstance(document, dict):
        raise RejectedError("the body must be a JSON object")
    return document


def _said(status: int, document: Mapping[str, object]) -> dict[str, Any]:
    if status != 200:
        logger("ingest").warning("survey answers refused", extra={"status": status})
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(document, ensure_ascii=False)}
