"""アンケート回答: one row per answer, or one per form with a column per question; the answer keeps its own time.

A form's columns are named by the mapping: `--mapping '満足度=number/nps' --mapping 'きっかけ=question/reason'`.
A typed text is only noted as given (`text/<id>`): its words may name anybody, and stay in the shop's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from shared.ingest.files import build, cells, people
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import Event, EventType, Person, SurveyFacts

_COLUMNS = (
    Column("survey_id", "アンケートID", ("アンケート番号", "フォームid", "surveyid", "アンケート")),
    Column("question_id", "設問ID", ("質問id", "設問番号", "設問", "質問", "questionid")),
    Column("answer", "回答", ("選択肢", "回答id", "回答内容", "選択")),
    Column("number", "点数", ("評価", "スコア", "満足度", "nps", "数値", "rating")),
    Column("text", "自由記述", ("コメント", "ご意見", "自由回答", "フリーコメント")),
    Column("answered_at", "回答日時", ("回答日", "タイムスタンプ", "日時", "timestamp", "送信日時")),
)
_PREFIXES = ("question/", "number/", "text/")
_SEPARATORS = re.compile(r"[;；|｜\n]")
_MAX_CHOICE = 80


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    (row,) = rows
    person = people.person(row)
    at = cells.needed_time(row, "answered_at", "回答日時", context)
    survey = cells.identifier(row, "survey_id", "アンケートID")
    answers = list(_answers(row, survey))
    if not answers:
        raise Refused("回答がありません", "there is no answer in this row")
    for facts in answers:
        yield _event(facts, person, context, at)


def _event(facts: SurveyFacts, person: Person, context: Context, at: datetime) -> Event:
    return build.person_event(EventType.SURVEY_ANSWERED, facts, person, context, at=at)


def _answers(row: Row, survey: str) -> Iterator[SurveyFacts]:
    if row.get("question_id") or {"answer", "number", "text"} & row.layout.names():
        question = cells.identifier(row, "question_id", "設問ID")
        yield from _answer(row, survey, question, ("answer", "number", "text"))
    for prefix in _PREFIXES:
        for name in row.layout.named(prefix):
            places = tuple(name if each == prefix else "" for each in _PREFIXES)
            yield from _answer(row, survey, name.removeprefix(prefix), places)


def _answer(row: Row, survey: str, question: str, places: tuple[str, ...]) -> Iterator[SurveyFacts]:
    chosen, number, text = places
    choices, typed = _choices(row.get(chosen)) if chosen else ((), False)
    value = cells.number(row, number, "点数") if number else None
    typed = typed or bool(text and row.get(text))
    if choices or value is not None or typed:
        yield SurveyFacts(survey_id=survey, question_id=question[:100], choices=choices, number=value, text_given=typed)


def _choices(cell: str) -> tuple[tuple[str, ...], bool]:
    """Options of a list; what is too long for one, or looks like an address, was typed."""
    words = [word.strip() for word in _SEPARATORS.split(cell)]
    taken = [word for word in words if word and len(word) <= _MAX_CHOICE and not cells.looks_personal(word)]
    return tuple(dict.fromkeys(taken)), len(taken) < sum(map(bool, words))


KIND = Kind(
    name="survey_answers",
    title="アンケート回答",
    columns=(*_COLUMNS, people.NUMBER, people.EMAIL, people.PHONE, people.MOBILE, people.LINE_ID),
    needs=(("survey_id",), ("answered_at",), people.NEEDED),
    events=_events,
    prefixes=_PREFIXES,
    aliases=("survey", "surveys", "アンケート"),
)
