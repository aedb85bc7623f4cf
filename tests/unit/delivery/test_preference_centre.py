"""The preference centre: GET shows, POST is committed when it is confirmed, and the gate obeys from then on."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

from functions.delivery import set_preferences as function
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, ScenarioId, SendId
from shared.customers import fold
from shared.customers.model import ConsentStatus, PersonState
from shared.delivery import preference_centre
from shared.delivery.model import Contact, Reason
from shared.delivery.policy import contact_policy
from shared.delivery.preference_centre import act, show
from shared.delivery.preferences import Frequency, wishes_of
from shared.delivery.rules import decide, reaches
from shared.delivery.tokens import UnsubscribeToken, sign
from shared.delivery.unsubscribe import Submission
from tests.unit.delivery.test_unsubscribe import FORM, ONE_CLICK, Site, request
from tests.unit.delivery.world import KEYS, NOON, STORE, TENANT, a_request, a_shop


class _Form(HTMLParser):
    """What a browser would post: every ticked box."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "input" and (given["type"] == "hidden" or "checked" in given):
            self.fields.append((str(given["name"]), str(given["value"])))


def form_of(site: Site, at: Any = NOON) -> list[tuple[str, str]]:
    return _Form(show(site.link, site.deps, at).html).fields


def save(site: Site, fields: list[tuple[str, str]], at: Any = NOON) -> str:
    answer = act(site.link, Submission(FORM, urlencode(fields).encode()), site.deps, at)
    assert answer.status == 200
    return answer.html


def person(site: Site) -> PersonState:
    found = site.customers.person(TENANT, site.customer)
    assert found is not None
    return found


def reason(site: Site, scenario: str = "cart_abandoned", at: Any = NOON) -> Reason:
    due = a_request(customer=site.customer, scenario=ScenarioId(scenario), store=STORE)
    return decide(person(site), due, Contact(), contact_policy(a_shop()), at).reason


@pytest.fixture
def site() -> Site:
    return Site()


def test_saving_the_form_as_it_is_shown_changes_nothing(site: Site) -> None:
    assert form_of(site) == [
        ("form", "preferences"),
        ("channel", "email"),
        ("topic", "cart"),
        ("topic", "offers"),
        ("frequency", "normal"),
    ]
    assert "保存しました" in save(site, form_of(site))
    assert not site.events.rows


def test_a_channel_that_is_unticked_is_refused_before_the_answer(site: Site) -> None:
    save(site, [field for field in form_of(site) if field != ("channel", "email")])
    assert site.status() is ConsentStatus.OPT_OUT
    assert reason(site) is Reason.OPTED_OUT
    save(site, [*form_of(site), ("channel", "email")], NOON + timedelta(seconds=2))
    assert site.status() is ConsentStatus.OPT_IN
    assert reason(site) is Reason.NONE


def test_a_topic_a_rest_and_once_a_month_are_obeyed_at_once(site: Site) -> None:
    save(site, [field for field in form_of(site) if field != ("topic", "offers")])
    assert (reason(site, "newsletter"), reason(site)) == (Reason.TOPIC_OFF, Reason.NONE)
    save(site, [*form_of(site), ("pause", "yes")], NOON + timedelta(seconds=2))
    assert reason(site, at=NOON + timedelta(days=29)) is Reason.PAUSED
    assert reason(site, at=NOON + timedelta(days=31)) is Reason.NONE
    assert "12月20日まで" in show(site.link, site.deps, NOON + timedelta(days=1)).html
    monthly = [*(field for field in form_of(site) if field[0] != "frequency"), ("frequency", "monthly")]
    save(site, monthly, NOON + timedelta(seconds=4))
    assert wishes_of(person(site).attributes).frequency is Frequency.MONTHLY
    save(site, [field for field in form_of(site) if field[0] != "pause"], NOON + timedelta(seconds=6))
    assert reason(site) is Reason.NONE


def test_stop_all_refuses_every_channel_whatever_is_ticked(site: Site) -> None:
    assert "すべてのお知らせを停止しました" in save(site, [*form_of(site), ("all", "stop")])
    assert site.status() is ConsentStatus.OPT_OUT
    assert ("channel", "email") not in form_of(site)


def test_letters_and_calls_are_offered_to_whom_they_reach_and_stop_with_all_else(site: Site) -> None:
    home = {"postal_code": "100-0000", "address": "千代田区見本町1-2-3", "last_name": "見本", "phone": "+818000000001"}
    site.says(granted=True, at=NOON - timedelta(days=800), **home)
    assert [field for field in form_of(site) if field[0] == "channel"] == [
        ("channel", "email"), ("channel", "postal"), ("channel", "call")
    ]  # fmt: skip
    save(site, form_of(site))
    assert not site.events.rows
    save(site, [field for field in form_of(site) if field != ("channel", "call")])
    assert [letter_or_call(site, each) for each in ("postal", "call")] == [Reason.NONE, Reason.OPTED_OUT]
    save(site, [*form_of(site), ("all", "stop")], NOON + timedelta(seconds=2))
    assert [letter_or_call(site, each) for each in ("postal", "call")] == [Reason.OPTED_OUT] * 2
    save(site, [*form_of(site), ("channel", "postal")], NOON + timedelta(seconds=4))
    assert [letter_or_call(site, each) for each in ("postal", "call")] == [Reason.NONE, Reason.OPTED_OUT]


def test_stop_all_stops_line_whose_yes_was_given_to_the_account_and_the_shops_other_stores(site: Site) -> None:
    site.follows_on_line()
    site.says(granted=True, at=NOON - timedelta(days=3), store="other.example.jp")
    save(site, [*form_of(site), ("all", "stop")])
    assert {consent.status for consent in person(site).consents} == {ConsentStatus.OPT_OUT}
    assert not reaches(person(site), "line")
    save(site, [*form_of(site), ("all", "stop")], NOON + timedelta(seconds=2))
    assert len(site.events.rows) == 1
    save(site, [*form_of(site), ("channel", "email")], NOON + timedelta(seconds=4))
    assert reason(site) is Reason.NONE
    assert not reaches(person(site), "line")


def test_line_is_shown_as_it_stands_and_can_be_turned_off_and_on_from_a_mail(site: Site) -> None:
    site.follows_on_line()
    assert ("channel", "line") in form_of(site)
    save(site, form_of(site))
    assert not site.events.rows
    save(site, [field for field in form_of(site) if field != ("channel", "line")])
    assert not reaches(person(site), "line")
    assert reason(site) is Reason.NONE
    save(site, [*form_of(site), ("channel", "line")], NOON + timedelta(seconds=2))
    assert reaches(person(site), "line")


def test_a_link_that_came_by_line_shows_the_mail_as_it_stands(site: Site) -> None:
    bot = site.follows_on_line()
    site.link = sign(UnsubscribeToken(TENANT, site.customer, SendId("s1"), "line", bot), KEYS)
    assert [field for field in form_of(site) if field[0] == "channel"] == [("channel", "email"), ("channel", "line")]
    save(site, [field for field in form_of(site) if field != ("channel", "email")])
    assert reason(site) is Reason.OPTED_OUT


def letter_or_call(site: Site, channel: str) -> Reason:
    due = a_request(customer=site.customer, channel=channel, store=STORE)
    return decide(person(site), due, Contact(), contact_policy(a_shop()), NOON).reason


def test_posting_five_times_is_the_same_as_once(site: Site) -> None:
    fields = [*form_of(site), ("pause", "yes")]
    for second in range(5):
        save(site, fields, NOON + timedelta(seconds=second))
    assert len(site.events.rows) == 1


def test_what_was_kept_and_what_was_applied_are_the_same(site: Site) -> None:
    from shared.ingest.registry import events_of

    save(site, [("form", "preferences"), ("frequency", "monthly"), ("pause", "yes")])
    again = [event for envelope in site.events.envelopes() for event in events_of(envelope)]
    assert len(again) == 2
    for event in again:
        assert not fold.apply(event, site.customers, KEYS, a_shop()).changed


def test_a_thousand_scanners_change_nothing(site: Site) -> None:
    """T16: GET, HEAD, previews, and POSTs that are not our form, with cookies or without."""
    rng = random.Random(16)
    bodies = [b"", b"url=https%3A%2F%2Fexample.com", ONE_CLICK.body, b"channel=&frequency=monthly", b"\xff\xfe", b"{}"]
    for _ in range(1000):
        method = rng.choice(["GET", "HEAD", "GET", "POST"])
        event = request(method, site.link, rng.choice(bodies) if method == "POST" else b"")
        event["headers"] |= rng.choice([{}, {"Cookie": "a=b"}, {"User-Agent": "Slackbot-LinkExpanding 1.0"}])
        answer = function.handler(event, None, site.deps)
        assert answer["statusCode"] in {200, 400}
        assert not (method == "HEAD" and answer["body"])
    assert not site.events.rows
    assert reason(site) is Reason.NONE


def test_a_busy_database_is_no_confirmation(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise UnavailableError("busy")

    fields = [*form_of(site), ("all", "stop")]
    monkeypatch.setattr(site.customers, "commit", busy)
    answer = act(site.link, Submission(FORM, urlencode(fields).encode()), site.deps, NOON)
    assert answer.status == 503
    assert "保存できませんでした" in answer.html
    monkeypatch.undo()
    save(site, fields, NOON + timedelta(seconds=3))
    assert site.status() is ConsentStatus.OPT_OUT


def test_a_link_of_nobody_and_a_person_who_is_gone_are_explained(site: Site) -> None:
    for link in ("", "v1.1.x.y", "<script>"):
        for answer in (show(link, site.deps, NOON), act(link, ONE_CLICK, site.deps, NOON)):
            assert answer.status == 400
            assert "<script>" not in answer.html
    gone = sign(UnsubscribeToken(TENANT, CustomerId("gone"), SendId("s1"), "email", STORE), KEYS)
    assert "削除されています" in show(gone, site.deps, NOON).html


def test_nothing_that_is_not_offered_can_be_turned_on(site: Site) -> None:
    save(site, [*form_of(site), ("channel", "sms"), ("channel", "fax"), ("topic", "secret"), ("frequency", "hourly")])
    assert not site.events.rows


def test_the_evidence_of_turning_a_channel_on_again_names_the_form(site: Site) -> None:
    save(site, [("form", "preferences"), *[("topic", each) for each in ("cart", "offers")]])
    save(site, [*form_of(site), ("channel", "email")], NOON + timedelta(seconds=2))
    latest = json.loads(site.events.envelopes()[-1].raw)
    assert latest["channels"] == {"email": True}
    assert latest["form"] == preference_centre.FORM
    assert latest["wording_text"] == preference_centre.WORDING


def test_the_page_works_without_scripts_pictures_or_another_server(site: Site) -> None:
    page = _Form(show(site.link, site.deps, NOON).html)
    names = [tag for tag, _ in page.tags]
    assert not {"script", "img", "link", "iframe", "a"} & set(names)
    assert [attrs for tag, attrs in page.tags if tag == "form"] == [{"method": "post"}]
    assert names.count("label") == len([1 for tag, attrs in page.tags if tag == "input" and attrs["type"] != "hidden"])
    assert names.count("fieldset") == names.count("legend") == 4


def test_topics_are_the_shops_own(site: Site) -> None:
    topics = [{"id": "wine", "label": "ワイン便り", "scenarios": ["wine_*"]}]
    site.deps = replace(site.deps, read_shop=lambda tenant: a_shop(topics=topics))
    html = show(site.link, site.deps, NOON).html
    assert "ワイン便り" in html
    assert "おすすめ・クーポン" not in html
