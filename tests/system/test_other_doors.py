"""Doors that no other test goes through: two pages, a form, two queues, a schedule, a staged scenario, deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from infra.cli.connection import add_amazon, add_connection, hook_url
from infra.cli.line import save_account
from infra.cli.session import Deployment
from infra.cli.shop import save_shop
from infra.cli.sms import connect_receipts, connect_replies
from infra.demo import shopify, verify
from infra.demo.settle import settle, wait_until
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP
from infra.local.lifecycle import LocalCloud
from infra.local.process import internal
from infra.local.stand_ins.line import BOT, TOKEN, LineStandIn
from infra.names import AMAZON_QUEUE, CONFIGURATION_SET, scenario_machine
from shared.core.ids import CustomerId, EventId, ScenarioId, SendId, TenantId, digest
from shared.customers import fold
from shared.customers.model import PersonState
from shared.customers.referrals import share_url
from shared.customers.store import CustomerStore
from shared.delivery.channels.line import LineAccount
from shared.delivery.line_link import DIALOG, link_path
from shared.delivery.links.link import ROUTE
from shared.delivery.model import Purpose, SendRequest, SendState
from shared.delivery.preferences import Frequency, wishes_of
from shared.delivery.replies.receive import METHOD
from shared.delivery.replies.store import DynamoTexted, number_digest
from shared.delivery.rules import reaches
from shared.delivery.send import IN_DOUBT
from shared.delivery.store import Attempt, DynamoLedgerStore
from shared.delivery.tokens import UnsubscribeToken, sign
from shared.delivery.tray import S3Tray, waiting
from shared.ingest.model import ConsentFacts, Event, EventType, Person, SurveyFacts
from shared.ingest.signing import hmac_base64
from shared.scenarios.enrolment import Enrolment, EnrolmentState, Instance
from shared.scenarios.store import DynamoEnrolmentStore
from tests.system.books import keys_of, people_of, table_of
from tests.system.conftest import OpenShop, fire_schedule, schedules_paused

HTTP = urllib3.PoolManager(retries=False, timeout=30)
SAMPLES = Path(__file__).parents[1] / "samples"
LINE_USER = f"U{7:032x}"
CONTRACT = {"next_delivery_on": "12月1日", "lines": [{"title": "見本の茶葉", "quantity": 2}]}
STAFF = "staff@shop.example.jp"
SABURO = Buyer(70_003, "saburo.friend@example.jp", "見本", "三郎")
JIRO = Buyer(70_001, "jiro.mihon@example.jp", "見本", "次郎")


@dataclass(frozen=True)
class Doors:
    """A shop that nobody's books are kept of, and somebody in it."""

    shop: Stage
    cloud: LocalCloud
    customer: CustomerId

    @property
    def place(self) -> Deployment:
        return self.shop.deployment

    @property
    def person(self) -> PersonState:
        """Who it is, as it stands."""
        return people_of(self.shop)[self.customer]

    def kept(self, subject: str) -> list[str]:
        """The events of one subject."""
        tenant = self.shop.shop.tenant
        rows = table_of(self.place, "EventsTable", tenant)
        return [row for key, row in sorted(rows.items()) if key.startswith(f"{tenant}#{subject} ")]


@pytest.fixture(scope="module")
def doors(open_shop: OpenShop, cloud: LocalCloud) -> Doors:
    shop, at = open_shop("pages"), datetime.now(UTC)
    body = shopify.encode(shopify.checkout("other-doors", JIRO, PRODUCTS[:1], at, SHOP))
    headers = shopify.headers("checkouts/update", body, shop.endpoint.secret, shop=SHOP, webhook_id="doors", at=at)
    assert HTTP.request("POST", shop.endpoint.url, body=body, headers=headers).status == 200
    settle(cloud.emulator, executions=False)
    (customer,) = (known for known, person in people_of(shop).items() if person.profile.email == JIRO.email)
    return Doors(shop, cloud, customer)


def form(url: str, fields: dict[str, str]) -> urllib3.BaseHTTPResponse:
    """Post a page's form as a browser does."""
    return HTTP.request_encode_body("POST", url, fields=fields, encode_multipart=False)


def test_who_asks_for_fewer_mails_is_known_to_have_asked_before_the_page_says_so(doors: Doors) -> None:
    tenant = doors.shop.shop.tenant
    token = sign(UnsubscribeToken(tenant, doors.customer, SendId("doors"), "email", SHOP), keys_of(doors.place))
    page = f"{doors.place.outputs['ApiUrl']}/v1/preferences/{token}"
    assert HTTP.request("HEAD", page).status == 200
    shown = HTTP.request("GET", page).data.decode()
    assert "月1回まで" in shown
    assert not _ticked(shown, "monthly")
    assert wishes_of(doors.person.attributes).frequency is Frequency.NORMAL, "who looks has said nothing"
    saved = form(page, {"form": "preferences", "frequency": "monthly", "topic": "cart"})
    assert (saved.status, _ticked(saved.data.decode(), "monthly")) == (200, True), saved.data
    wishes = wishes_of(doors.person.attributes)
    assert (wishes.frequency, wishes.topics_off) == (Frequency.MONTHLY, frozenset({"offers"}))
    assert form(page[:-1] + ("A" if page[-1] != "A" else "B"), {"form": "preferences", "all": "stop"}).status == 400


def test_the_shops_own_system_looks_a_customer_up(doors: Doors) -> None:
    site = add_connection(doors.place, doors.shop.shop.tenant, "track", "www.example.jp")
    address = f"{doors.place.outputs['ApiUrl']}/v1/customers/lookup"

    def ask(key: str, **meant: Any) -> urllib3.BaseHTTPResponse:
        return HTTP.request("POST", address, json=meant, headers=urllib3.make_headers(basic_auth=f"{key}:"))

    secret, mail = f"{site.connection_id}_{site.secret}", str(JIRO.email)
    told = ask(secret, email=mail)
    assert (told.status, told.json()["customer_id"]) == (200, doors.customer), told.data
    assert [cart["store"] for cart in told.json()["open_carts"]] == [SHOP]
    assert mail.encode() not in told.data
    assert ask(secret, source="shopify", store=SHOP, number=str(JIRO.customer_id)).json() == told.json()
    assert ask(secret, email="nobody@example.com").status == 404
    many = ask(secret, customers=[{"email": "nobody@example.com"}, {"email": mail}]).json()["customers"]
    assert ([each.get("code") for each in many], many[1]) == (["not_found", None], told.json())
    assert ask(site.connection_id, email=mail).status == 401


def _ticked(page: str, value: str) -> bool:
    (box,) = re.findall(rf'<input[^>]*value="{value}"[^>]*>', page)
    return " checked" in box


def link_page(doors: Doors) -> str:
    """The page that a customer who is known to the shop gets, without LINE's own token."""
    with LineStandIn() as line:
        save_account(doors.place, doors.shop.shop.tenant, LineAccount(TOKEN, line.url, BOT["userId"]))
    path = link_path(doors.shop.shop.tenant, doors.customer, keys_of(doors.place), datetime.now(UTC))
    return f"{doors.place.outputs['ApiUrl']}{path}"


def pressed(page: str) -> str:
    """The nonce with which the page's button leads to LINE."""
    sent = form(f"{page}?linkToken=from-line", {})
    assert sent.status == 303, sent.data
    target = urlsplit(sent.headers["location"])
    asked = parse_qs(target.query)
    assert f"{target.scheme}://{target.netloc}{target.path}" == DIALOG
    assert asked["linkToken"] == ["from-line"]
    return asked["nonce"][0]


def told_by_line(doors: Doors, nonce: str) -> None:
    """LINE's webhook: the nonce comes back with who pressed the button."""
    account = add_connection(doors.place, doors.shop.shop.tenant, "line", BOT["userId"])
    said = {
        "type": "accountLink",
        "timestamp": int(datetime.now(UTC).timestamp() * 1000),
        "source": {"type": "user", "userId": LINE_USER},
        "link": {"result": "ok", "nonce": nonce},
        "webhookEventId": "01HZX3N5E8W2Q4R6T8Y0A2C4E6",
    }
    body = json.dumps({"destination": BOT["userId"], "events": [said]}).encode()
    headers = {"x-line-signature": hmac_base64(account.secret, body).decode()}
    answer = HTTP.request("POST", hook_url(doors.place, account), body=body, headers=headers)
    assert answer.status == 200, answer.data
    settle(doors.cloud.emulator, executions=False)


def test_a_customer_is_sent_to_line_with_a_nonce_that_is_kept(doors: Doors) -> None:
    page = link_page(doors)
    assert "<form" not in HTTP.request("GET", page).data.decode(), "without LINE's token there is nothing to press"
    assert '<form method="post"' in HTTP.request("GET", f"{page}?linkToken=from-line").data.decode()
    nonce = pressed(page)
    assert len(doors.kept(f"line/{BOT['userId'].lower()}/link/{digest(nonce)}")) == 1


def test_a_notice_on_line_whose_answer_was_lost_is_sent_once_more(doors: Doors) -> None:
    told_by_line(doors, pressed(link_page(doors)))
    assert doors.person.profile.line_user_id == LINE_USER
    at = datetime.now(UTC) - timedelta(hours=1)
    notice = replace(
        about(doors, "line", "next_delivery/notice", at), purpose=Purpose.TRANSACTIONAL, context={"contract": CONTRACT}
    )
    ledger = sending(doors, notice, at)
    ledger.record(notice.key, IN_DOUBT, Attempt("system", at), at)
    with LineStandIn() as line:
        save_account(doors.place, notice.tenant, LineAccount(TOKEN, line.url, BOT["userId"]))
        fire_schedule(doors.cloud, "QuarterHour")
        wait_until(lambda: state(ledger, notice) is SendState.SENT, "the notice to be sent again", 20)
        assert [pushed.to for pushed in line.pushed] == [LINE_USER]
    assert f"{doors.place.outputs['ApiUrl']}{ROUTE}" in json.dumps(line.pushed[0].messages), "its link is counted"


def about(doors: Doors, channel: str, template: str, at: datetime) -> SendRequest:
    """What a step would ask to be sent."""
    scenario = template.partition("/")[0]
    return SendRequest(
        tenant=doors.shop.shop.tenant,
        customer_id=doors.customer,
        scenario=ScenarioId(scenario),
        scenario_version="1",
        step=f"{channel}_1",
        occurrence=f"{at:%H%M%S%f}",
        channel=channel,
        template=template,
    )


def sending(doors: Doors, request: SendRequest, at: datetime) -> DynamoLedgerStore:
    """The ledger, in which somebody is about to send this."""
    ledger = DynamoLedgerStore(doors.place.outputs["DeliveriesTable"], doors.place.client("dynamodb"))
    attempt = Attempt("system", at)
    assert ledger.reserve(request, attempt, at).mine
    assert ledger.mark(request.key, attempt, at)
    return ledger


def state(ledger: DynamoLedgerStore, request: SendRequest) -> SendState | None:
    row = ledger.row(request.key)
    return row.state if row else None


def test_an_address_given_by_a_program_gets_the_mail_that_asks(doors: Doors) -> None:
    site = add_connection(doors.place, doors.shop.shop.tenant, "track", "app.example.jp")
    said = {"writeKey": site.connection_id, "email": "saburo.mihon@example.jp"}
    answer = HTTP.request("POST", f"{doors.place.outputs['ApiUrl']}/v1/subscribe", json=said)
    assert (answer.status, answer.json()) == (200, {"success": True})
    mails = verify.outbox(doors.cloud.emulator, doors.shop.shop.tenant)
    (mail,) = [mail for mail in mails if verify.recipient(mail) == said["email"]]
    assert "/v1/confirm/" in mail["text"]


def test_an_order_of_amazon_that_is_told_twice_is_kept_once(doors: Doors) -> None:
    notice = (SAMPLES / "amazon" / "ORDER_CHANGE@shipped.json").read_text("utf-8")
    change = json.loads(notice)["Payload"]["OrderChangeNotification"]
    add_amazon(doors.place, doors.shop.shop.tenant, change["SellerId"])
    sqs = doors.place.client("sqs")
    queue = sqs.get_queue_url(QueueName=doors.place.outputs[AMAZON_QUEUE].rpartition(":")[2])["QueueUrl"]
    for _ in range(2):
        sqs.send_message(QueueUrl=queue, MessageBody=notice)
    settle(doors.cloud.emulator, executions=False)
    (row,) = doors.kept(f"amazon/{change['SellerId'].lower()}/order/{change['AmazonOrderId']}")
    assert "ORDER_CHANGE" in row


def test_a_text_whose_answer_was_lost_is_sent_once_its_receipt_says_so(doors: Doors) -> None:
    at = datetime.now(UTC)
    request = about(doors, "sms", "recommend/items", at)
    ledger = sending(doors, request, at)
    connect_receipts(doors.place)
    client: Any = doors.place.client("pinpoint-sms-voice-v2")
    accepted = client.send_text_message(
        DestinationPhoneNumber="+818000000001",
        MessageBody="見本商店からのお知らせです。",
        ConfigurationSetName=CONFIGURATION_SET,
        Context={"tenant": request.tenant, "customer": request.customer_id, "send_id": request.send_id},
    )
    settle(doors.cloud.emulator, executions=False)
    row = ledger.row(request.key)
    assert row
    assert (row.state, row.message_id) == (SendState.SENT, accepted["MessageId"])
    kept = doors.kept(f"sms/sms/send/{request.send_id}")
    assert [sum(word in row for row in kept) for word in ("TEXT_QUEUED", "TEXT_DELIVERED")] == [1, 1]
    assert not any("818000000001" in row for row in kept), "a receipt is kept without the number"


def test_who_texts_the_shop_to_stop_is_out_and_the_shop_can_prove_it(doors: Doors) -> None:
    tenant, number, ours = doors.shop.shop.tenant, "+818000000002", "+815000000000"
    shop = save_shop(doors.place, tenant, {"sections.delivery.sms.origination": ours})
    keys, table, client = keys_of(doors.place), doors.place.outputs["DeliveriesTable"], doors.place.client("dynamodb")
    customers = CustomerStore(doors.place.outputs["CustomersTable"], client)
    fold.apply(says_yes_to_texts(tenant, number), customers, keys, shop)
    DynamoTexted(table, client).note(tenant, number_digest(tenant, number, keys), doors.customer)
    assert reaches(doors.person, "sms", SHOP)
    connect_receipts(doors.place)
    connect_replies(doors.place, ours)
    said = {"reply": {"from": number, "to": ours, "text": "ＳＴＯＰ"}}
    internal(doors.cloud.emulator, "POST", "/_matakite/sms", said)
    settle(doors.cloud.emulator, executions=False)
    assert not reaches(doors.person, "sms", SHOP)
    texts = internal(doors.cloud.emulator, "GET", "/_matakite/sms")["messages"]
    (answer,) = [each for each in texts if each["DestinationPhoneNumber"] == number]
    assert answer["OriginationIdentity"] == ours
    assert "配信を停止しました" in answer["MessageBody"]
    said_no = [entry for entry in customers.consent_log(tenant, doors.customer) if not entry.granted]
    assert {(entry.channel, entry.method) for entry in said_no} == {("sms", METHOD)}


def says_yes_to_texts(tenant: TenantId, number: str) -> Event:
    at = datetime.now(UTC) - timedelta(days=1)
    return Event(
        tenant=tenant,
        event_id=EventId("doors-sms"),
        event_type=EventType.CONSENT_CHANGED,
        source="shopify",
        store=SHOP,
        subject=f"shopify/{SHOP}/customer/{JIRO.number}",
        occurred_at=at,
        received_at=at,
        version="1",
        person=Person(source_customer_id=str(JIRO.number), email=JIRO.email, phone=number),
        facts=ConsentFacts(channel="sms", granted=True, method="test"),
    )


def test_an_unhappy_answer_is_mailed_to_the_staff_once_and_names_nobody(doors: Doors) -> None:
    tenant, at = doors.shop.shop.tenant, datetime.now(UTC) - timedelta(days=1, minutes=1)
    shop = save_shop(doors.place, tenant, {"sections.delivery.staff_mail": STAFF})
    customers = CustomerStore(doors.place.outputs["CustomersTable"], doors.place.client("dynamodb"))
    with schedules_paused(doors.cloud), published(doors.place, "survey_follow_up"):
        fold.apply(is_unhappy(tenant, at), customers, keys_of(doors.place), shop)
        settle(doors.cloud.emulator, executions=False)
        for _ in range(2):
            fire_schedule(doors.cloud, "SweepSurveyFollowUp")
            wait_until(lambda: bool(to_staff(doors)), "the mail to the staff", 60)
            settle(doors.cloud.emulator)
    (mail,) = to_staff(doors)
    assert mail["subject"] == "【社内通知】アンケートで「不満」のお答えがありました"
    assert f"matakite customer show {doors.customer}" in mail["text"]
    assert not any(word in json.dumps(mail, ensure_ascii=False) for word in ("次郎", str(JIRO.email)))
    tray = S3Tray(doors.place.outputs["WorkBucket"], doors.place.client("s3"))
    assert [each["customer_id"] for each in waiting(tray, tenant, "notify")] == [doors.customer]


def to_staff(doors: Doors) -> list[dict[str, Any]]:
    sent = internal(doors.cloud.emulator, "GET", "/_matakite/outbox?limit=100000")["messages"]
    return [mail for mail in sent if mail["to"] == [STAFF]]


@contextmanager
def published(place: Deployment, scenario_id: str) -> Iterator[None]:
    """While inside, a staged preset sends: its machine is what deploying it as `status: live` would make of it."""
    states, arn = place.client("stepfunctions"), place.machine(scenario_machine(scenario_id))
    staged = states.describe_state_machine(stateMachineArn=arn)["definition"]
    live, steps = re.subn(r'"staged": ?true', '"staged":false', staged)
    assert steps, f"{scenario_id} is live already"
    states.update_state_machine(stateMachineArn=arn, definition=live)
    try:
        yield
    finally:
        states.update_state_machine(stateMachineArn=arn, definition=staged)


def is_unhappy(tenant: TenantId, at: datetime) -> Event:
    return Event(
        tenant=tenant,
        event_id=EventId("doors-survey"),
        event_type=EventType.SURVEY_ANSWERED,
        source="survey",
        store=SHOP,
        subject=f"survey/{SHOP}/answer/doors",
        occurred_at=at,
        received_at=at,
        version="1",
        person=Person(email=JIRO.email),
        facts=SurveyFacts(survey_id="purchase", question_id="satisfaction", choices=("bad",)),
    )


def test_a_friends_order_by_ones_link_makes_one_due_for_thanks_and_the_friend_for_none(doors: Doors) -> None:
    tenant, at = doors.shop.shop.tenant, datetime.now(UTC)
    link = share_url(f"https://{SHOP}/", tenant, doors.customer, keys_of(doors.place))
    for buyer in (SABURO, JIRO):
        order = shopify.order(70_100 + buyer.number, f"by-link-{buyer.number}", buyer, PRODUCTS[:1], at)
        body = shopify.encode({**order, "landing_site": link.removeprefix(f"https://{SHOP}")})
        secret = doors.shop.endpoint.secret
        headers = shopify.headers("orders/create", body, secret, shop=SHOP, webhook_id=str(order["id"]), at=at)
        assert HTTP.request("POST", doors.shop.endpoint.url, body=body, headers=headers).status == 200
    settle(doors.cloud.emulator, executions=False)
    enrolments = DynamoEnrolmentStore(doors.place.outputs["ScenariosTable"], doors.place.client("dynamodb"))
    due = list(enrolments.people(tenant, ScenarioId("referral_thanks")))
    assert [(each.customer_id, each.state) for each in due] == [(doors.customer, EnrolmentState.ARMED)]
    friend = people_of(doors.shop)[CustomerId(due[0].instance.key)]
    assert friend.profile.email == SABURO.email
    assert due[0].due_at
    assert due[0].due_at - at > timedelta(days=13)


def test_somebody_whom_no_sweep_collected_makes_the_figure_that_calls(doors: Doors) -> None:
    tenant, scenario = doors.shop.shop.tenant, ScenarioId("browse_abandoned")
    late = datetime.now(UTC) - timedelta(hours=3)
    forgotten = Enrolment(tenant, scenario, "forgotten", doors.customer, Instance(), late, due_at=late)
    enrolments = DynamoEnrolmentStore(doors.place.outputs["ScenariosTable"], doors.place.client("dynamodb"))
    before = overdue(doors.place)
    with schedules_paused(doors.cloud):
        assert enrolments.arm(forgotten)
        try:
            fire_schedule(doors.cloud, "Watch")
            wait_until(lambda: overdue(doors.place) > before, "the watchdog to count who is overdue", 120)
        finally:
            enrolments.disarm(tenant, scenario, forgotten.occurrence, "test", datetime.now(UTC))


def overdue(place: Deployment) -> float:
    """What the watchdog counted lately: the figure its alarm watches."""
    now = datetime.now(UTC)
    points = place.client("cloudwatch").get_metric_statistics(
        Namespace="Matakite",
        MetricName="SendsOverdue",
        Dimensions=[{"Name": "service", "Value": "delivery"}],
        StartTime=now - timedelta(hours=2),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))
