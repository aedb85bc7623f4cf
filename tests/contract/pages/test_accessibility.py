"""Our public pages in a real browser: no finding of axe-core (WCAG 2.2 AA), nothing wider than a telephone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from shared.delivery import preference_centre, unsubscribe
from shared.delivery.links.clicks import follow
from shared.delivery.render import ROOT, TemplateStore
from tests.sdk.axe import violations
from tests.unit.delivery.test_clicks import Road
from tests.unit.delivery.test_preference_centre import form_of, save
from tests.unit.delivery.test_sign_up import Desk as SignUp
from tests.unit.delivery.test_unsubscribe import Site
from tests.unit.delivery.world import NOON
from tests.unit.ingest.surveys.world import Desk as Survey


def every_page() -> dict[str, str]:
    """Each page in each of its states."""
    survey, sign_up, mail = Survey(), SignUp(TemplateStore(ROOT)), Site()
    return {
        "survey": survey.get()["body"],
        "survey, not all answered": survey.post({"q_why": "price", "q_voice": "おいしかったです"})["body"],
        "survey, answered": survey.post({"q_how": "ad", "q_nps": "9"})["body"],
        "survey of nobody": survey.get("-")["body"],
        "sign-up": sign_up.ask("GET")["body"],
        "sign-up, no address": sign_up.ask(email="hanako@")["body"],
        "confirmation of nobody": sign_up.confirm("-")["body"],
        "confirmation": sign_up.confirm(sign_up.token(), "GET")["body"],
        "confirmed": sign_up.confirm(sign_up.token())["body"],
        "unsubscribing": unsubscribe.show(mail.link, mail.deps).html,
        "preferences": preference_centre.show(mail.link, mail.deps, NOON).html,
        "preferences, saved": save(mail, [*form_of(mail), ("pause", "yes")]),
        "preferences, all stopped": save(mail, [*form_of(mail), ("all", "stop")], NOON + timedelta(seconds=1)),
        "link of nobody": follow("-", "GET", {}, Road().deps, NOON).html,
        "preferences of nobody": preference_centre.show("-", mail.deps, NOON).html,
    }


@pytest.mark.parametrize("width", [390, 1200])
def test_every_page_is_for_everybody(width: int, tmp_path: Path) -> None:
    assert violations(every_page(), tmp_path, width) == {}


def test_a_bad_page_is_found_out(tmp_path: Path) -> None:
    body = "<div><h1>a</h1></div>" * 3 + '<img src="x"><input><p style="width:3000px">x</p>'
    page = f"<!doctype html><html><head><title>x</title></head><body>{body}</body></html>"
    found = violations({"bad": page}, tmp_path, 390)
    rules = {line.partition(":")[0] for line in found["bad"]}
    assert rules >= {"html-has-lang", "image-alt", "label", "wider than the screen"}
