"""`matakite mail`: see a template as a customer would get it, send it to oneself, check them all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.cli import coupon
from infra.cli.customer import open_desk
from infra.cli.scenario import compiled_templates
from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop
from shared.analytics.lake import S3Objects
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId
from shared.core.shop import Shop
from shared.customers.model import PersonState, Profile
from shared.delivery.channels.ses import HTML, SUBJECT
from shared.delivery.content.catalogue import Catalogue
from shared.delivery.content.feed import Catalogues
from shared.delivery.lint import lint_template, template_names
from shared.delivery.preview import Preview, mail_to_oneself, preview, sample
from shared.delivery.render import ROOT, TemplateStore

app = typer.Typer(name="mail", help="Mail templates / 文面", no_args_is_help=True)
app.add_typer(coupon.app)
_console = Console(highlight=False, soft_wrap=True)

Template = Annotated[str, typer.Argument(help="A template: SCENARIO/STEP, such as cart_abandoned/first.")]


@app.command("list")
def list_() -> None:
    """Every template there is."""
    for name in template_names(ROOT):
        parts = sorted(file.name for file in (ROOT / name).iterdir() if file.name != "meta.yaml")
        _console.print(f"{name}  {' '.join(parts)}", markup=False)


@app.command()
def check(template: Annotated[str | None, typer.Argument(help="Only this one.")] = None) -> None:
    """Lint: what must be in a mail before it may go out. Exit status 1 when anything is missing."""
    wrong = 0
    with compiled_templates() as store:
        names = [_known(template)] if template else template_names(store.root)
        for name in names:
            findings = lint_template(store, name)
            wrong += bool(findings)
            for finding in findings:
                _console.print(f"{name}: {finding}", markup=False)
    _console.print(f"{len(names) - wrong} of {len(names)} templates may go out")
    if wrong:
        raise typer.Exit(1)


@app.command("preview")
def show_preview(
    template: Template,
    customer: Annotated[str, typer.Argument(help="Customer id, mail address, or STORE/NUMBER.")],
    out: Annotated[Path, typer.Option("--out", help="File for the HTML part.")],
    shop: OfShop = None,
) -> None:
    """A template with a real customer's data; nobody is contacted."""
    deployment = connect()
    desk = open_desk(deployment, shop)
    _, person = desk.person(customer)
    with _templates(template) as store:
        shown = preview(store, template, person, desk.shop, _catalogue(deployment, desk.shop))
    out.write_text(shown.parts.get(HTML, ""), "utf-8")
    _say(shown)
    for part, text in shown.parts.items():
        if part != HTML:
            _console.print(f"--- {part}\n{text}", markup=False)
    _console.print(f"--- {HTML}: {out}", markup=False)


@app.command("test")
def send_test(
    template: Template,
    to: Annotated[str, typer.Option("--to", help="Where the test mail goes: your own address.")],
    customer: Annotated[str | None, typer.Option("--customer", help="With this customer's data; else samples.")] = None,
    shop: OfShop = None,
) -> None:
    """Send a template to oneself, marked as a test. It is no send of the ledger and its feedback counts for nobody."""
    if "@" not in to:
        raise RejectedError(f"not a mail address: {to!r}")
    deployment = connect()
    desk = open_desk(deployment, shop)
    with _templates(template) as store:
        if not (store.root / template / SUBJECT).exists():
            raise RejectedError(f"{template} is no mail: there is nothing to send to an address")
        if customer:
            shown = preview(store, template, desk.person(customer)[1], desk.shop, _catalogue(deployment, desk.shop))
        else:
            nobody = PersonState(Profile(desk.shop.tenant, CustomerId("sample"), last_name="見本"))
            shown = sample(store, template, nobody, desk.shop)
    answer = deployment.client("sesv2").send_email(**mail_to_oneself(shown, desk.shop, to))
    _say(shown)
    _console.print(f"sent to {to}: {json.dumps(answer['MessageId'])}", markup=False)


def _catalogue(deployment: Deployment, shop: Shop) -> Catalogue:
    return Catalogues(S3Objects(deployment.outputs["LakeBucket"], deployment.client("s3")).get).of(shop.tenant)


def _say(shown: Preview) -> None:
    if shown.samples:
        _console.print(f"sample values (見本): {', '.join(shown.samples)}", markup=False)


@contextmanager
def _templates(template: str) -> Iterator[TemplateStore]:
    _known(template)
    with compiled_templates() as store:
        yield store


def _known(template: str) -> str:
    names = template_names(ROOT)
    if template not in names:
        raise NotFoundError(f"there is no template {template!r}; `matakite mail list` shows all {len(names)}")
    return template
