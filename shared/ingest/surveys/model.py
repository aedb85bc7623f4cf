"""What a survey is (アンケート): questions, how they are answered, and what was answered.

As a file (`matakite survey add`):

    id: first_purchase
    title: はじめてのお買い物について
    intro: 1分ほどで終わります。
    questions:
      - {id: reason, title: お買い上げの決め手は？, kind: multi, choices: {taste: 味, price: 価格, gift: 贈り物}}
      - {id: nps, title: ご友人にすすめたいですか？, kind: rating, from: 0, to: 10, low: すすめない, high: すすめたい}
      - {id: voice, title: ご意見・ご感想, kind: text, required: false}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.core.errors import RejectedError

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
MAX_QUESTIONS = 30
MAX_CHOICES = 30
MAX_TITLE = 200
RATING_RANGE = range(11)


class Kind(StrEnum):
    """How a question is answered."""

    SINGLE = "single"
    """ひとつ選ぶ"""
    MULTI = "multi"
    """いくつでも選ぶ"""
    RATING = "rating"
    """点数 (NPS: 0–10)"""
    TEXT = "text"
    """自由記述. Its words stay in the raw delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question (設問)."""

    question_id: str
    title: str
    kind: Kind
    choices: Mapping[str, str]
    """id → what is shown; for `single` and `multi`."""
    required: bool
    lowest: int
    highest: int
    low: str
    high: str
    """What the ends of a rating mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One survey of a shop."""

    survey_id: str
    title: str
    intro: str
    thanks: str
    repeat: bool
    """May the same link be answered more than once?"""
    questions: tuple[Question, ...]

    def question(self, question_id: str) -> Question | None:
        """The question of this id."""
        return next((each for each in self.questions if each.question_id == question_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered to one question."""

    question_id: str
    choices: tuple[str, ...] = ()
    number: int | None = None
    text: str = ""


def parse_survey(document: object) -> Survey:
    """A survey from its file. Raises RejectedError saying which field is wrong."""
    said = _mapping(document, "the survey")
    survey_id = _id(said.get("id"), "id")
    questions = tuple(_question(each, number) for number, each in enumerate(_list(said, "questions"), 1))
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        raise RejectedError(f"survey {survey_id}: 1 to {MAX_QUESTIONS} questions, got {len(questions)}")
    if len({each.question_id for each in questions}) != len(questions):
        raise RejectedError(f"survey {survey_id}: every question needs an id of its own")
    _only(said, {"id", "title", "intro", "thanks", "repeat", "questions"}, f"survey {survey_id}")
    return Survey(
        survey_id=survey_id,
        title=_text(said, "title"),
        intro=_text(said, "intro", ""),
        thanks=_text(said, "thanks", "ご回答ありがとうございました。"),
        repeat=said.get("repeat") is True,
        questions=questions,
    )


def render_survey(survey: Survey) -> dict[str, Any]:
    """The document `parse_survey` reads."""
    return {
        "id": survey.survey_id,
        "title": survey.title,
        "intro": survey.intro,
        "thanks": survey.thanks,
        "repeat": survey.repeat,
        "questions": [_rendered(question) for question in survey.questions],
    }


def _rendered(question: Question) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": question.question_id, "title": question.title, "kind": question.kind.value}
    if question.choices:
        shown["choices"] = dict(question.choices)
    if question.kind is Kind.RATING:
        shown |= {"from": question.lowest, "to": question.highest, "low": question.low, "high": question.high}
    return {**shown, "required": question.required}


def _question(document: object, number: int) -> Question:
    said = _mapping(document, f"question {number}")
    question_id = _id(said.get("id"), f"question {number}: id")
    kind = said.get("kind")
    if kind not in set(Kind):
        raise RejectedError(f"question {question_id}: kind is one of {', '.join(Kind)}, got {kind!r}")
    _only(said, {"id", "title", "kind", "choices", "required", "from", "to", "low", "high"}, f"question {question_id}")
    lowest, highest = said.get("from", 1), said.get("to", 5)
    if lowest not in RATING_RANGE or highest not in RATING_RANGE or lowest >= highest:
        raise RejectedError(f"question {question_id}: a rating goes from 0 or more to 10 or less")
    return Question(
        question_id=question_id,
        title=_text(said, "title"),
        kind=Kind(kind),
        choices=_choices(said, question_id) if kind in {Kind.SINGLE, Kind.MULTI} else {},
        required=said.get("required", kind != Kind.TEXT) is True,
        lowest=lowest,
        highest=highest,
        low=_text(said, "low", ""),
        high=_text(said, "high", ""),
    )


def _choices(said: Mapping[str, Any], question_id: str) -> Mapping[str, str]:
    written = _mapping(said.get("choices"), f"question {question_id}: choices")
    choices = {
        _id(str(key), f"question {question_id}: choice"): str(shown)[:MAX_TITLE] for key, shown in written.items()
    }
    if not 2 <= len(choices) <= MAX_CHOICES:
        raise RejectedError(f"question {question_id}: 2 to {MAX_CHOICES} choices")
    return choices


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RejectedError(f"{what} must be fields and their values")
    return value


def _list(said: Mapping[str, Any], name: str) -> list[object]:
    value = said.get(name)
    if not isinstance(value, list):
        raise RejectedError(f"{name!r} must be a list")
    return value


def _only(said: Mapping[str, Any], known: set[str], what: str) -> None:
    unknown = sorted(str(name) for name in set(said) - known)
    if unknown:
        raise RejectedError(f"{what}: no field {', '.join(unknown)}; there are {', '.join(sorted(known))}")


def _id(value: object, what: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise RejectedError(f"{what} must be 1 to 40 of a-z, 0-9, '_' and '-', got {str(value)[:40]!r}")
    return value


def _text(said: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = said.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise RejectedError(f"{name!r} must be a text")
    return value.strip()[:1000]
