"""Surveys: what a file must say, what a form shows, and what of an answer becomes an event."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.ids import CustomerId
from shared.ingest.codec import event_json, event_of
from shared.ingest.model import EventType, SurveyFacts
from shared.ingest.surveys.model import parse_survey, render_survey
from shared.ingest.surveys.tokens import SurveyToken, sign, verify
from tests.unit.ingest.surveys.world import FILE, KEYS, NOW, SURVEY, TENANT, TOKEN, Desk
from tests.unit.ingest.tracking.world import SECRET_KEY, SITE

GOOD = {"q_how": "friend", "q_why": ["gift", "taste"], "q_nps": "9", "q_voice": "山田花子です。おいしかったです。"}


# --- the file --------------------------------------------------------------------------------------------------------
def test_a_survey_is_stored_as_it_was_written() -> None:
    assert parse_survey(render_survey(SURVEY)) == SURVEY


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"id": "First Purchase"}, "id must be"),
        ({"title": ""}, "'title'"),
        ({"questions": []}, "1 to 30 questions"),
        ({"questions": [{"id": "a", "title": "?", "kind": "single", "choices": {"x": "X"}}]}, "2 to 30 choices"),
        ({"questions": [{"id": "a", "title": "?", "kind": "essay"}]}, "kind is one of"),
        ({"questions": [{"id": "a", "title": "?", "kind": "rating", "from": 5, "to": 1}]}, "a rating goes"),
        ({"questions": [{"id": "a", "title": "?", "kind": "text"}] * 2}, "an id of its own"),
        ({"quesions": []}, "no field quesions"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(RejectedError, match=wrong):
        parse_survey({**FILE, **change})


# --- the form --------------------------------------------------------------------------------------------------------
def test_the_form_asks_every_question_and_escapes_what_it_shows() -> None:
    answer = Desk().get()
    assert answer["statusCode"] == 200
    for shown in (
        "当店をどこで知りましたか？",
        "見本商店 &lt;本店&gt;",
        "贈り物に &lt;b&gt;よさそう&lt;/b&gt;",
        'lang="ja"',
    ):
        assert shown in answer["body"]
    assert "<script" not in answer["body"]
    assert "default-src 'none'" in answer["headers"]["content-security-policy"]
    assert Desk().get(method="HEAD")["body"] == ""


def test_looking_changes_nothing() -> None:
    desk = Desk()
    desk.get()
    desk.get(method="HEAD")
    assert desk.events() == []


@pytest.mark.parametrize("token", ["", "x", "v1.1.x.y", sign(replace(TOKEN, survey_id="gone"), KEYS)])
def test_a_link_of_nobody_shows_nothing(token: str) -> None:
    desk = Desk()
    assert desk.get(token or "-")["statusCode"] == 404
    assert desk.post(GOOD, token=token or "-")["statusCode"] == 404
    assert desk.events() == []


def test_a_survey_link_is_no_other_link() -> None:
    from shared.delivery.tokens import verify as verify_unsubscribe

    token = sign(TOKEN, KEYS)
    assert verify(token, KEYS) == TOKEN
    assert verify_unsubscribe(token, KEYS) is None


# --- answers ---------------------------------------------------------------------------------------------------------
def test_each_question_is_an_event_at_the_answers_own_time() -> None:
    desk = Desk()
    assert "貴重なご意見" in desk.post(GOOD)["body"]
    events = desk.events()
    assert [event.facts for event in events] == [
        SurveyFacts(survey_id="first", question_id="how", choices=("friend",)),
        SurveyFacts(survey_id="first", question_id="why", choices=("taste", "gift")),
        SurveyFacts(survey_id="first", question_id="nps", number=9.0),
        SurveyFacts(survey_id="first", question_id="voice", text_given=True),
    ]
    assert len({event.event_id for event in events}) == 4
    assert {(event.event_type, event.occurred_at, event.person.source_customer_id) for event in events} == {
        (EventType.SURVEY_ANSWERED, NOW, "person-1")
    }
    assert all(event_of(event_json(event)) == event for event in events)
    assert "山田" not in "".join(event_json(event) for event in events)
    assert "山田花子です" in desk.store.envelopes()[0].raw.decode()


def test_the_same_link_counts_once_unless_the_survey_allows_more() -> None:
    desk = Desk()
    desk.post(GOOD)
    again = desk.post({**GOOD, "q_nps": "0"}, now=NOW + timedelta(days=1))
    assert "すでにご回答" in again["body"]
    assert [event.facts.number for event in desk.events() if isinstance(event.facts, SurveyFacts)][2] == 9.0
    assert len(desk.events()) == 4
    desk.post(GOOD, token=sign(SurveyToken(TENANT, "first", CustomerId("person-1"), "order-2"), KEYS))
    assert len(desk.events()) == 8
    many = Desk(replace(SURVEY, repeat=True))
    many.post(GOOD)
    many.post(GOOD, now=NOW + timedelta(days=1))
    assert len(many.events()) == 8


def test_what_is_missing_is_asked_for_and_what_was_given_is_kept() -> None:
    desk = Desk()
    answer = desk.post({"q_why": "price", "q_voice": "</textarea><script>"})
    assert answer["statusCode"] == 400
    assert answer["body"].count("お答えください。") == 2
    assert 'value="price" checked' in answer["body"]
    assert "&lt;/textarea&gt;&lt;script&gt;" in answer["body"]
    assert 'href="#q_how"' in answer["body"]
    assert desk.events() == []


@pytest.mark.parametrize(
    "change",
    [
        {"q_how": "nobody"},
        {"q_how": ["ad", "friend"]},
        {"q_nps": "11"},
        {"q_nps": "9.5"},
        {"q_nps": "٩"},
        {"q_why": "x"},
    ],
)
def test_what_was_never_offered_is_no_answer(change: dict[str, Any]) -> None:
    desk = Desk()
    assert desk.post({**GOOD, **change})["statusCode"] == 400
    assert desk.events() == []


# --- from elsewhere --------------------------------------------------------------------------------------------------
POSTED = {
    "userId": "7",
    "answeredAt": "2026-11-20T10:00:00+09:00",
    "answerId": "a-1",
    "answers": {"how": "ad", "nps": 3},
}


def test_answers_from_elsewhere_name_their_customer_and_time() -> None:
    desk = Desk()
    for _ in range(2):
        assert desk.send(POSTED)["statusCode"] == 200
    events = desk.events()
    assert [event.facts for event in events] == [
        SurveyFacts(survey_id="first", question_id="how", choices=("ad",)),
        SurveyFacts(survey_id="first", question_id="nps", number=3.0),
    ]
    assert {(event.source, event.person.source_customer_id, event.person.claimed) for event in events} == {
        ("track", "7", True)
    }
    assert events[0].occurred_at.isoformat() == "2026-11-20T01:00:00+00:00"
    desk.send({**POSTED, "answerId": "a-2", "answeredAt": "2099-01-01T00:00:00Z"}, key=SECRET_KEY)
    assert desk.events()[-1].occurred_at == NOW
    assert not desk.events()[-1].person.claimed


@pytest.mark.parametrize(
    ("body", "how", "status"),
    [
        (POSTED, {"key": None}, 401),
        (POSTED, {"survey": "gone"}, 404),
        ({**POSTED, "userId": None}, {}, 400),
        ({**POSTED, "answers": {"how": "ad"}}, {}, 400),
        ({**POSTED, "answers": {"other": "ad"}}, {}, 400),
        ({**POSTED, "answers": ["ad"]}, {}, 400),
        ({**POSTED, "answers": {"how": {"a": 1}, "nps": 1}}, {}, 400),
        (b"[", {}, 400),
    ],
)
def test_what_cannot_be_an_answer_is_refused(body: Any, how: dict[str, Any], status: int) -> None:
    desk = Desk()
    assert desk.send(body, **how)["statusCode"] == status
    assert desk.events() == []


def test_form_tools_write_null_for_what_was_left_open_and_nine_as_a_fraction() -> None:
    desk = Desk()
    said = {"how": "ad", "nps": 9.0, "voice": None, "why": [None, "taste"]}
    assert desk.send({**POSTED, "answers": said})["statusCode"] == 200
    answers = {e.facts.question_id: e.facts for e in desk.events() if isinstance(e.facts, SurveyFacts)}
    assert (answers["nps"].number, answers["why"].choices, "voice" in answers) == (9, ("taste",), False)


def test_where_proof_is_wanted_a_browser_names_nobody() -> None:
    strict = Desk(site=replace(SITE, proven_users=True))
    assert strict.send(POSTED)["statusCode"] == 400
    assert strict.send({**POSTED, "userId": None, "anonymousId": "visitor-1"})["statusCode"] == 200
    assert strict.send(POSTED, key=SECRET_KEY)["statusCode"] == 200


# --- hostile ---------------------------------------------------------------------------------------------------------
HOSTILE: tuple[Any, ...] = (
    "",
    "x" * 3000,
    "\ud800",
    "\x00",
    0,
    -1,
    2**70,
    1.5,
    True,
    None,
    [],
    {},
    [None],
    {"": {}},
    "9",
    "friend",
)


def test_two_thousand_hostile_answers_are_read_or_refused() -> None:
    rng = random.Random(6)
    desk = Desk(replace(SURVEY, repeat=True))
    statuses = set()
    for number in range(2_000):
        body = copy.deepcopy(POSTED) | {"answerId": str(number)}
        target: Any = body if rng.random() < 0.5 else body["answers"]
        target[rng.choice((*body, "how", "nps", "voice", "why"))] = rng.choice(HOSTILE)
        statuses.add(desk.send(json.dumps(body).encode())["statusCode"])
        raw = bytes(rng.randrange(256) for _ in range(rng.randrange(200)))
        statuses.add(
            desk.post(raw if rng.random() < 0.5 else b"q_how=" + raw, now=NOW + timedelta(seconds=number))["statusCode"]
        )
    assert statuses <= {200, 400, 404}
    for event in desk.events():
        assert event_of(event_json(event)) == event
