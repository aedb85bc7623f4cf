"""Double opt-in and a survey over the deployed API: pages, mail, events, and what is then known of the customer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3

from infra.cli.connection import add_connection
from infra.cli.customer import open_desk
from infra.cli.session import Deployment
from infra.cli.survey import given_answers, read_survey
from infra.demo import verify
from infra.demo.stage import Stage
from infra.local.lifecycle import LocalCloud
from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import parse_key_ring
from shared.customers.model import ConsentStatus, PersonState
from shared.ingest.adapter import Connection
from shared.ingest.surveys.book import SurveyBook
from shared.ingest.surveys.tokens import SurveyToken, survey_url

HTTP = urllib3.PoolManager(retries=False, timeout=30)
SHOP = TenantId("pages")
HANAKO = "hanako.mihon@example.com"
SURVEY = """
id: first_purchase
title: はじめてのお買い物について
questions:
  - {id: reason, title: お買い上げの決め手は？, kind: multi, choices: {taste: 味, price: 価格}}
  - {id: nps, title: ご友人にすすめたいですか？, kind: rating, from: 0, to: 10}
  - {id: voice, title: ご意見・ご感想, kind: text}
"""


@pytest.fixture(scope="module")
def site(open_shop: Callable[[str], Stage]) -> tuple[Stage, Connection]:
    """A website of a shop of its own."""
    stage = open_shop(SHOP)
    return stage, add_connection(stage.deployment, SHOP, "track", "www.example.jp")


@pytest.fixture(scope="module")
def customer(site: tuple[Stage, Connection], cloud: LocalCloud) -> CustomerId:
    """Somebody who signed up and confirmed."""
    stage, connection = site
    form = f"{stage.deployment.outputs['ApiUrl']}/v1/subscribe/{connection.connection_id}"
    assert "確認メールを受け取る" in HTTP.request("GET", form).data.decode()
    for _ in range(2):
        sent = HTTP.request_encode_body("POST", form, fields={"email": HANAKO}, encode_multipart=False)
        assert sent.status == 200, sent.data
    person = person_of(stage.deployment)
    assert not person.consents, "an address typed is no consent"
    (mail,) = [mail for mail in verify.outbox(cloud.emulator, SHOP) if verify.recipient(mail) == HANAKO]
    found = re.search(r"https?://\S+/v1/confirm/[\w.-]+", mail["text"])
    assert found
    assert "同意して登録する" in HTTP.request("GET", found[0]).data.decode()
    assert "登録が完了しました" in HTTP.request("POST", found[0]).data.decode()
    return person.profile.customer_id


def person_of(deployment: Deployment, wanted: Callable[[PersonState], bool] = lambda _: True) -> PersonState:
    """The customer, once what is wanted is known of them."""
    deadline = time.monotonic() + 30
    while True:
        try:
            person = open_desk(deployment, SHOP).person(HANAKO)[1]
            if wanted(person) or time.monotonic() > deadline:
                return person
        except NotFoundError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.3)


def test_the_owners_click_is_consent(site: tuple[Stage, Connection], customer: CustomerId) -> None:
    person = person_of(site[0].deployment, lambda person: bool(person.consents))
    assert person.profile.customer_id == customer
    (consent,) = person.consents
    assert (consent.status, consent.method, consent.store) == (ConsentStatus.OPT_IN, "double_opt_in", "www.example.jp")


def test_a_survey_is_answered_once(site: tuple[Stage, Connection], customer: CustomerId, tmp_path: Path) -> None:
    deployment = site[0].deployment
    file = tmp_path / "survey.yaml"
    file.write_text(SURVEY, "utf-8")
    SurveyBook(deployment.client("ssm"), deployment.prefix).save(SHOP, read_survey(file))
    secret = deployment.client("secretsmanager").get_secret_value(SecretId=deployment.outputs["KeysSecret"])
    keys = parse_key_ring(secret["SecretString"])
    url = survey_url(deployment.outputs["ApiUrl"], SurveyToken(SHOP, "first_purchase", customer), keys)
    assert "お買い上げの決め手は？" in HTTP.request("GET", url).data.decode()
    answers = [("q_reason", "taste"), ("q_nps", "9"), ("q_voice", "おいしかったです。")]
    said = [
        HTTP.request_encode_body("POST", url, fields=answers, encode_multipart=False).data.decode() for _ in range(2)
    ]
    assert "回答を受け付けました" in said[0]
    assert "すでにご回答いただいています" in said[1]
    given = list(given_answers(deployment, SHOP, "first_purchase"))
    assert [each["question"] for each in given] == ["reason", "nps", "voice"]
    person = person_of(deployment, lambda person: bool(person.attributes))
    assert {name: said.value for name, said in person.attributes.items()} == {
        "survey/first_purchase/reason": ("taste",),
        "survey/first_purchase/nps": 9.0,
    }


def test_answers_from_elsewhere_come_in_with_the_write_key(
    site: tuple[Stage, Connection], customer: CustomerId
) -> None:
    stage, connection = site
    url = f"{stage.deployment.outputs['ApiUrl']}/v1/surveys/first_purchase/answers"
    body = {"email": HANAKO, "answerId": "1", "answers": {"reason": ["price"], "nps": 3}}
    assert HTTP.request("POST", url, json=body).status == 401
    basic = urllib3.make_headers(basic_auth=f"{connection.connection_id}_{connection.secret}:")
    first, again = (HTTP.request("POST", url, json=body, headers=basic).json() for _ in range(2))
    assert (first, again) == ({"success": True, "new": True}, {"success": True, "new": False})
