"""`matakite shop`: what is true of a shop, kept as one SSM document that every function reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from rich.console import Console

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import all_shops, which_shop
from shared.analytics.definitions import Definitions, definitions_of
from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.ids import TenantId
from shared.core.shop import Shop, parameter_name, parse_shop
from shared.customers import nobodys
from shared.delivery.account import may_send_from
from shared.delivery.links.link import check_links
from shared.delivery.policy import SECTION as DELIVERY
from shared.delivery.policy import contact_policy
from shared.delivery.sender import sender_of
from shared.delivery.spend.budget import cap_of
from shared.delivery.staff import staff_of
from shared.scenarios.waits import usual_hour

app = typer.Typer(name="shop", help="Settings of a shop / ショップ設定", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)

_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")

LOCAL_SENDER = {
    "from_address": "news@shop.example.com",
    "postal_address": "〒100-0000 東京都千代田区見本町1-2-3",
    "contact": "support@shop.example.com",
}
"""On the local cloud no mail leaves the machine, so an invented sender will do."""

FIRST_SHOP = "default"
"""Id of the first shop when nobody named one; the dashboard opens with it."""

SETTINGS: Mapping[str, frozenset[str]] = {
    DELIVERY: frozenset({
        "from_address", "from_name", "company", "postal_address", "contact", "reply_to", "staff_mail",
        "unsubscribe_mailto", "ses_tenant", "shop_url", "guide_url", "cap_per_day", "cap_per_week", "caps",
        "quiet_hours", "topics", "warm_up", "worth", "best_hour", "utm", "track_links", "budget", "sms",
    }),
    "analytics": frozenset(each.name for each in fields(Definitions)),
    nobodys.SECTION: frozenset({"nobody"}),
    "sign_up": frozenset({"wording", "version"}),
    "tracking": frozenset({"page_types"}),
}  # fmt: skip
"""Everything that any domain reads from a shop's sections: what nobody reads must not look as if it counted."""

_Text = str | None


@app.command("set")
def set_(
    shop: Annotated[
        str | None,
        typer.Argument(
            help=f"Id of the shop: 1 to 32 of a-z, 0-9 and -; it never changes. Else the only one, or {FIRST_SHOP!r}."
        ),
    ] = None,
    name: Annotated[_Text, typer.Option(help="Name as customers know it.")] = None,
    timezone: Annotated[_Text, typer.Option(help="IANA name; default Asia/Tokyo.")] = None,
    currency: Annotated[_Text, typer.Option(help="ISO 4217; default JPY.")] = None,
    language: Annotated[_Text, typer.Option(help="ja or en; default ja.")] = None,
    public_url: Annotated[_Text, typer.Option(help="Base of links in mails; default: this deployment's API.")] = None,
    from_address: Annotated[_Text, typer.Option(help="Sender's mail address, of a domain verified in SES.")] = None,
    from_name: Annotated[_Text, typer.Option(help="Sender's name (送信者名); default: the shop's name.")] = None,
    company: Annotated[_Text, typer.Option(help="Who answers for the mail (送信責任者); default: the name.")] = None,
    postal_address: Annotated[_Text, typer.Option(help="Postal address (住所) in every marketing mail.")] = None,
    contact: Annotated[_Text, typer.Option(help="Where complaints go (苦情・問合せ先): mail, phone or URL.")] = None,
    reply_to: Annotated[_Text, typer.Option(help="Where replies go; default: the sender's address.")] = None,
    nobody: Annotated[
        list[str] | None,
        typer.Option(
            help="A mail address or telephone number typed where none is given (ダミーの宛先). Kept as a digest."
        ),
    ] = None,
    staff_mail: Annotated[_Text, typer.Option(help="Who hears of `notify` steps (社内通知): a@…,b@…")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--setting", help='Any other: delivery.cap_per_day=2, delivery.quiet_hours.email=["22:00","08:00"]'
        ),
    ] = None,
) -> None:
    """Create a shop, or change what is given and keep the rest."""
    top = {"name": name, "timezone": timezone, "currency": currency, "language": language, "public_url": public_url}
    sender = {
        "from_address": from_address,
        "from_name": from_name,
        "company": company,
        "postal_address": postal_address,
        "contact": contact,
        "reply_to": reply_to,
        "staff_mail": staff_mail,
    }
    given = _given(top) | {f"sections.{DELIVERY}.{field}": text for field, text in _given(sender).items()}
    given |= dict(parse_setting(text) for text in setting or [])
    deployment = connect()
    saved = save_shop(deployment, shop or _only_shop(deployment), given)
    if nobody:
        saved = add_nobodys(deployment, saved, nobody)
    _console.print_json(json.dumps(document_of(saved), ensure_ascii=False))
    _console.print(sender_state(deployment, saved))


def sender_state(deployment: Deployment, shop: Shop) -> str:
    """One line: may the shop's mail leave? On the local cloud none leaves the machine: any sender will do there."""
    ses, address = deployment.client("sesv2"), sender_of(shop).from_address
    if deployment.local_url and not may_send_from(ses, address):
        ses.create_email_identity(EmailIdentity=address.rpartition("@")[2])
    if may_send_from(ses, address):
        return f"送信元 {address}: SES で確認済みです / verified"
    return (
        f"注意: 送信元 {address} は SES で未確認です。確認が済むまで、メールは送られません（SES の「ID」で登録）"
        " / SES has not verified the sender: no mail leaves until then"
    )


def _only_shop(deployment: Deployment) -> str:
    return which_shop(deployment, None).tenant if all_shops(deployment) else FIRST_SHOP


@app.command()
def show(
    shop: Annotated[str | None, typer.Argument(help="Id of the shop; not needed when there is one.")] = None,
) -> None:
    """The settings document of a shop."""
    _console.print_json(json.dumps(document_of(which_shop(connect(), shop)), ensure_ascii=False))


def save_shop(deployment: Deployment, tenant: str, given: Mapping[str, Any]) -> Shop:
    """Change a shop's document (`given`: dotted path → value), check it, store it, and return the shop.

    Raises RejectedError or MisconfiguredError saying what to change; then nothing is stored.
    """
    if not _TENANT.fullmatch(tenant):
        raise RejectedError(f"a shop's id is 1 to 32 of a-z, 0-9 and -, not at its ends: {tenant!r}")
    name = parameter_name(deployment.prefix, TenantId(tenant))
    document = _stored(deployment, name) or _new_document(deployment, tenant)
    for path, value in given.items():
        _put(document, path.split("."), value)
    shop = check(TenantId(tenant), document)
    text = json.dumps(document_of(shop), ensure_ascii=False)
    deployment.client("ssm").put_parameter(Name=name, Value=text, Type="String", Overwrite=True)
    return shop


def add_nobodys(deployment: Deployment, shop: Shop, addresses: Sequence[str]) -> Shop:
    """Say of some addresses that they are nobody's, from what comes next on; the setting holds digests only."""
    keys = deployment.keys()
    digests = {nobodys.digest_of(each, shop.tenant, keys) for each in addresses}
    path = f"sections.{nobodys.SECTION}.nobody"
    return save_shop(deployment, shop.tenant, {path: sorted(nobodys.named(shop) | digests)})


def check(tenant: TenantId, document: Mapping[str, Any]) -> Shop:
    """The shop of a document, read the way every domain will read it. Raises MisconfiguredError naming the field."""
    shop = parse_shop(tenant, json.dumps(document))
    if not shop.name.strip():
        raise MisconfiguredError("name must not be empty")
    if not re.fullmatch(r"[A-Z]{3}", shop.currency):
        raise MisconfiguredError(f"currency must be three capital letters (ISO 4217): {shop.currency!r}")
    if shop.language not in {"ja", "en"}:
        raise MisconfiguredError(f"language must be ja or en: {shop.language!r}")
    if not re.fullmatch(r"https?://[^\s/]+(/[^\s?#]*)?(?<!/)", shop.public_url):
        raise MisconfiguredError(f"public_url must be an address like https://mail.example.com: {shop.public_url!r}")
    sender_of(shop)
    contact_policy(shop)
    for channel in shop.section(DELIVERY).get("budget") or ():
        cap_of(channel, shop)
    usual_hour(shop)
    check_links(shop)
    staff_of(shop)
    definitions_of(shop)
    nobodys.named(shop)
    return shop


def document_of(shop: Shop) -> dict[str, Any]:
    """A shop as it is stored."""
    return {
        "name": shop.name,
        "timezone": shop.timezone,
        "currency": shop.currency,
        "language": shop.language,
        "public_url": shop.public_url,
        "sections": {name: dict(section) for name, section in shop.sections.items()},
    }


def parse_setting(text: str) -> tuple[str, Any]:
    """`delivery.cap_per_day=2` → its path in the document and its value: JSON, else the text itself."""
    path, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-z_]+(\.[a-z0-9_]+)+", path):
        raise RejectedError(f"a setting looks like delivery.cap_per_day=2, got {text!r}")
    _check_known(*path.split(".")[:2])
    try:
        return f"sections.{path}", json.loads(value)
    except ValueError:
        return f"sections.{path}", value


def _check_known(section: str, setting: str) -> None:
    known = {f"{group}.{name}" for group, names in SETTINGS.items() for name in names}
    wanted = f"{section}.{setting}"
    if wanted not in known:
        near = "".join(f"; did you mean {each}?" for each in get_close_matches(wanted, known, 1))
        there = ", ".join(sorted(SETTINGS.get(section, SETTINGS)))
        raise RejectedError(f"there is no setting {wanted}{near} (there are {there})")


def _given(options: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: text for name, text in options.items() if text is not None}


def _stored(deployment: Deployment, name: str) -> dict[str, Any] | None:
    ssm = deployment.client("ssm")
    try:
        document: dict[str, Any] = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None
    return document


def _new_document(deployment: Deployment, tenant: str) -> dict[str, Any]:
    sender = dict(LOCAL_SENDER) if deployment.local_url else {}
    return {"name": tenant, "public_url": deployment.outputs["ApiUrl"].rstrip("/"), "sections": {DELIVERY: sender}}


def _put(document: dict[str, Any], path: list[str], value: Any) -> None:
    *folders, field = path
    for folder in folders:
        document = document.setdefault(folder, {})
        if not isinstance(document, dict):
            raise RejectedError(f"{folder} is a value, not a group of settings: {'.'.join(path)}")
    document[field] = value
