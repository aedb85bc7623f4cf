"""`matakite sms`: the configuration set that SMS leave through, its receipts, replies, and this month's budget."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from infra.names import CONFIGURATION_SET, RECEIPTS_TOPIC
from shared.core.clock import SystemClock
from shared.core.errors import NotFoundError
from shared.delivery.channels.sms import origination
from shared.delivery.spend.budget import cap_of, month_of
from shared.delivery.spend.store import DynamoSpend

app = typer.Typer(name="sms", help="SMS (AWS End User Messaging)", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)

DESTINATION = "matakite"


@app.command("connect")
def connect_sms(
    number: Annotated[
        str | None,
        typer.Option("--number", help="Id of a phone number (phone-…) whose replies are to come here: STOP, 配信停止."),
    ] = None,
) -> None:
    """Make the configuration set and send its receipts to us; once for the deployment, again is the same."""
    deployment = connect()
    connect_receipts(deployment)
    _console.print("SMS の送信結果を受け取る設定をしました。")
    if number:
        connect_replies(deployment, number)
        _console.print("この番号に届く「STOP」「配信停止」などの返信は、すぐに配信停止として記録され、")
        _console.print("停止したことを SMS で1通お返しします（1日1通まで。月の通数に数えます）。")
    else:
        _console.print("返信（STOP・配信停止）を受け取るには: matakite sms connect --number 電話番号のID（phone-…）")
        _console.print("  送信者ID（英数字の差出人）には返信できません。本文に配信停止のリンクを入れてください。")
    _console.print("各ショップの設定: delivery.sms.origination（送信元）と delivery.budget.sms（月の通数）")
    _console.print("AWS の SMS 利用額の上限（初期値は月1ドル）は、AWS の申請で引き上げてください。")


@app.command()
def status(shop: OfShop = None) -> None:
    """Who texts come from, and what is left of the month."""
    deployment = connect()
    found = which_shop(deployment, shop)
    spend = DynamoSpend(deployment.outputs["DeliveriesTable"], deployment.client("dynamodb"))
    used, cap = spend.used(found.tenant, month_of("sms", found, SystemClock().now())), cap_of("sms", found)
    _console.print(f"送信元      {origination(found)}")
    _console.print(f"配信予算    {used:,} 通分を使用 / {f'{cap:,} 通分まで' if cap is not None else '上限なし'}")


def connect_replies(deployment: Deployment, number: str) -> None:
    """Two-way SMS of a number, to the topic of the receipts. Opt-outs are ours to keep: else AWS keeps them."""
    client: Any = deployment.client("pinpoint-sms-voice-v2")
    try:
        client.update_phone_number(
            PhoneNumberId=number,
            TwoWayEnabled=True,
            TwoWayChannelArn=deployment.outputs[RECEIPTS_TOPIC],
            SelfManagedOptOutsEnabled=True,
        )
    except client.exceptions.ResourceNotFoundException:
        raise NotFoundError(f"AWS knows no phone number {number!r} here: its id begins with phone-") from None


def connect_receipts(deployment: Deployment) -> None:
    """The configuration set with its event destination."""
    client: Any = deployment.client("pinpoint-sms-voice-v2")
    topic = deployment.outputs[RECEIPTS_TOPIC]
    calls = (
        (client.create_configuration_set, {"ConfigurationSetName": CONFIGURATION_SET}),
        (
            client.create_event_destination,
            {
                "ConfigurationSetName": CONFIGURATION_SET,
                "EventDestinationName": DESTINATION,
                "MatchingEventTypes": ["TEXT_ALL"],
                "SnsDestination": {"TopicArn": topic},
            },
        ),
    )
    for call, given in calls:
        try:
            call(**given)
        except client.exceptions.ConflictException:
            # It is there already.
            continue
