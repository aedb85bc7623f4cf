"""Is this an answer? What a form or a program sent, checked against the survey's questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.core.errors import RejectedError
from shared.ingest.model import SurveyFacts
from shared.ingest.surveys.model import Answer, Kind, Question, Survey

FIELD = "q_"
"""A form field's name is this and the question's id."""
MAX_TEXT = 2000


class UnansweredError(RejectedError):
    """Some questions are not answered as they must be; `problems` says which and why, in Japanese."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(f"not answered: {', '.join(problems)}")
        self.problems = problems


def form_values(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of a submitted form by question id."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.startswith(FIELD):
            values.setdefault(name.removeprefix(FIELD), []).append(value)
    return values


def answers_of(survey: Survey, values: Mapping[str, Sequence[str]]) -> tuple[Answer, ...]:
    """The answers in a form's values; questions left open are left out. Raises UnansweredError."""
    problems: dict[str, str] = {}
    answers = []
    for question in survey.questions:
        given = [value.strip() for value in values.get(question.question_id, ()) if value.strip()]
        answer = _answer(question, given)
        if answer is None and given:
            problems[question.question_id] = "選択肢からお選びください。"
        elif answer is None and question.required:
            problems[question.question_id] = "お答えください。"
        elif answer is not None:
            answers.append(answer)
    if problems:
        raise UnansweredError(problems)
    return tuple(answers)


def values_of(survey: Survey, answers: Mapping[str, Any]) -> dict[str, list[str]]:
    """A program's answers (`{"reason": ["taste"], "nps": 9}`) as form values. Raises RejectedError."""
    unknown = sorted(str(name)[:40] for name in answers if survey.question(name) is None)
    if unknown:
        raise RejectedError(f"survey {survey.survey_id} has no question {', '.join(unknown)}")
    values: dict[str, list[str]] = {}
    for name, value in answers.items():
        # Form tools write null for what was left open, and 9.0 for a nine.
        given = [each for each in (value if isinstance(value, list) else [value]) if each is not None]
        if not all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in given):
            raise RejectedError(f"the answer to {name} must be a choice, a list of choices, a number or a text")
        values[name] = [
            str(int(each)) if isinstance(each, float) and each.is_integer() else str(each) for each in given
        ]
    return values


def _answer(question: Question, given: Sequence[str]) -> Answer | None:
    if not given:
        return None
    name = question.question_id
    match question.kind:
        case Kind.TEXT:
            return Answer(question_id=name, text=_plain(given[0])[:MAX_TEXT])
        case Kind.RATING:
            scale = {str(number) for number in range(question.lowest, question.highest + 1)}
            return Answer(question_id=name, number=int(given[0])) if len(given) == 1 and given[0] in scale else None
        case Kind.SINGLE | Kind.MULTI:
            taken = tuple(choice for choice in question.choices if choice in given)
            fits = set(given) <= set(question.choices) and (question.kind is Kind.MULTI or len(taken) == 1)
            return Answer(question_id=name, choices=taken) if fits else None


def _plain(text: str) -> str:
    whole = text.encode("utf-8", "replace").decode()
    return "".join(letter for letter in whole if letter.isprintable() or letter == "\n")


# --- kept and read again ---------------------------------------------------------------------------------------------
def answers_document(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Answers as they are kept in a raw body."""
    return [
        {"question": each.question_id, "choices": list(each.choices), "number": each.number, "text": each.text}
        for each in answers
    ]


def facts_of(survey_id: str, document: object) -> list[SurveyFacts]:
    """What kept answers say: choices and numbers, and that there was a text; never the text."""
    kept = document if isinstance(document, list) else []
    return [
        SurveyFacts(
            survey_id=survey_id,
            question_id=str(each["question"]),
            choices=tuple(str(choice) for choice in each.get("choices") or ()),
            number=float(each["number"]) if each.get("number") is not None else None,
            text_given=bool(each.get("text")),
        )
        for each in kept
        if isinstance(each, Mapping) and each.get("question")
    ]
