"""`matakite survey`: ask customers, and see what they answered."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from infra.cli.customer import open_desk
from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import TenantId
from shared.ingest import body as read
from shared.ingest.model import Envelope
from shared.ingest.sources import page
from shared.ingest.sources import survey as posted
from shared.ingest.store import ERASED, decode_image
from shared.ingest.surveys.book import SurveyBook
from shared.ingest.surveys.model import Kind, Question, Survey, parse_survey
from shared.ingest.surveys.tokens import SurveyToken, survey_url

app = typer.Typer(name="survey", help="Ask customers / アンケート", no_args_is_help=True, add_completion=False)
_console = Console(soft_wrap=True, highlight=False)

SurveyId = Annotated[str, typer.Argument(help="Id of the survey (`matakite survey list`).")]


@app.command()
def add(file: Annotated[Path, typer.Argument(help="The survey as YAML.")], shop: OfShop = None) -> None:
    """Check a survey's file and put it up; the same id again replaces it.

    \b
    id: first_purchase
    title: はじめてのお買い物について
    questions:
      - {id: reason, title: 決め手は？, kind: multi, choices: {taste: 味, price: 価格}}
      - {id: nps, title: おすすめ度, kind: rating, from: 0, to: 10, low: 低い, high: 高い}
      - {id: voice, title: ご意見, kind: text, required: false}
    """
    deployment = connect()
    survey = read_survey(file)
    SurveyBook(deployment.client("ssm"), deployment.prefix).save(which_shop(deployment, shop).tenant, survey)
    _console.print(f"{survey.survey_id}: {len(survey.questions)} questions")


@app.command("list")
def list_(shop: OfShop = None) -> None:
    """Every survey of a shop."""
    deployment = connect()
    table = Table(Column("id", no_wrap=True), "title", "questions", "again")
    for survey in SurveyBook(deployment.client("ssm"), deployment.prefix).all(which_shop(deployment, shop).tenant):
        table.add_row(
            survey.survey_id, Text(survey.title), str(len(survey.questions)), "yes" if survey.repeat else "no"
        )
    _console.print(table)


@app.command()
def link(
    customer: Annotated[str, typer.Argument(help="Customer id, mail address, or STORE/NUMBER.")],
    survey: SurveyId,
    occasion: Annotated[str, typer.Option("--occasion", help="Asked again for another reason, such as an order.")] = "",
    shop: OfShop = None,
) -> None:
    """The signed link with which one customer answers a survey."""
    deployment = connect()
    desk = open_desk(deployment, shop)
    find_survey(deployment, desk.shop.tenant, survey)
    customer_id, _ = desk.person(customer)
    token = SurveyToken(desk.shop.tenant, survey, customer_id, occasion)
    _console.print(survey_url(desk.shop.public_url, token, deployment.keys()), markup=False)


@app.command()
def answers(
    survey: SurveyId,
    texts: Annotated[bool, typer.Option("--texts", help="Print the free texts too: they may name people.")] = False,
    shop: OfShop = None,
) -> None:
    """What was answered in the last 30 days, question by question."""
    deployment = connect()
    tenant = which_shop(deployment, shop).tenant
    known = find_survey(deployment, tenant, survey)
    given = list(given_answers(deployment, tenant, survey))
    for question in known.questions:
        _print_question(question, [each for each in given if each.get("question") == question.question_id], texts)


def read_survey(file: Path) -> Survey:
    """The survey of a YAML file. Raises RejectedError saying what is wrong with it."""
    import yaml

    try:
        return parse_survey(yaml.safe_load(file.read_text("utf-8")))
    except FileNotFoundError:
        raise NotFoundError(f"no file {file}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RejectedError(f"{file} is not YAML in UTF-8: {error}") from None


def find_survey(deployment: Deployment, tenant: TenantId, survey_id: str) -> Survey:
    """A survey of a shop. Raises NotFoundError."""
    for survey in SurveyBook(deployment.client("ssm"), deployment.prefix).all(tenant):
        if survey.survey_id == survey_id:
            return survey
    raise NotFoundError(f"no survey {survey_id!r}: see `matakite survey list`")


def given_answers(deployment: Deployment, tenant: TenantId, survey_id: str) -> Iterator[Mapping[str, Any]]:
    """Every answer kept, from our own form and from elsewhere: one mapping per question."""
    for envelope in _envelopes(deployment, tenant):
        said = read.parse_object(envelope.raw)
        if said.get("survey_id") == survey_id:
            yield from read.items(said, "answers")


def _envelopes(deployment: Deployment, tenant: TenantId) -> Iterator[Envelope]:
    pages = deployment.client("dynamodb").get_paginator("scan").paginate(
        TableName=deployment.outputs["EventsTable"],
        FilterExpression="begins_with(pk, :shop) AND topic IN (:form, :posted)",
        ExpressionAttributeValues={
            ":shop": {"S": f"{tenant}#"},
            ":form": {"S": page.SURVEY},
            ":posted": {"S": posted.ANSWERS},
        },
    )  # fmt: skip
    for found in pages:
        yield from (decode_image(row) for row in found["Items"] if ERASED not in row)


def _print_question(question: Question, given: list[Mapping[str, Any]], texts: bool) -> None:
    _console.print(Text(f"\n■ {question.title} ({len(given)})", style="bold"))
    if question.kind is Kind.TEXT:
        for each in given if texts else ():
            sys.stdout.write(f"  {each.get('text')}\n")
        return
    counts: Counter[str] = Counter()
    for each in given:
        counts.update([str(each["number"])] if question.kind is Kind.RATING else each.get("choices") or [])
    if question.kind is Kind.RATING and given:
        _console.print(f"  mean {sum(int(each['number']) for each in given) / len(given):.2f}")
    scale = {str(n): str(n) for n in range(question.lowest, question.highest + 1)}
    for choice, shown in (scale if question.kind is Kind.RATING else question.choices).items():
        _console.print(Text(f"  {counts[choice]:>5}  {shown}"))
