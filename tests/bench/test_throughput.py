"""How fast one worker sends: the step function beside a plain loop of boto3, and single mails beside bulk.

The plain loop does for a mail what a script would: render, `send_email`, one conditional write. The step does all of
it under the ledger's protocol: enrolment, reservation, consent read again, a slot under the caps, mark, send, record.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import FixedClock, SystemClock
from shared.core.ids import EventId, ScenarioId
from shared.customers import fold
from shared.customers.store import CustomerStore
from shared.delivery.account import read_quota
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT, SesChannel
from shared.delivery.pace.store import DynamoPaceStore
from shared.delivery.pacing import MailTurns, Pace
from shared.delivery.render import ROOT, TemplateStore
from shared.delivery.send import SendDeps
from shared.delivery.store import DynamoLedgerStore
from shared.ingest.model import ConsentFacts, Event, EventType, Person
from shared.scenarios.cohorts import MemoryCohortFiles
from shared.scenarios.enrolment import Enrolment, Instance
from shared.scenarios.step import StepDeps, run_step
from shared.scenarios.store import DynamoEnrolmentStore
from tests.bench.answering import DYNAMODB_SECONDS, SES_SECONDS, Services
from tests.unit.delivery.world import KEYS, NOON, STORE, TENANT, a_shop

PEOPLE, BATCH = 200, 100
BAR = 5.0
THREADS, WORKERS = 16, 3
SCENARIO = ScenarioId("newsletter")
SHOP = a_shop(quiet_hours={"email": None})
CALL: dict[str, Any] = {
    "action": "send", "tenant": TENANT, "scenario": "newsletter", "version": "v1", "execution": "run", "step": "mail",
    "lane": "", "exit_when": [], "scheduled_at": NOON, "arrived_at": NOON,
    "cohort": {"bucket": "work", "key": "cohort.json", "part": "all", "size": PEOPLE, "batches": PEOPLE // BATCH},
    "send": {"channels": ["email"], "template": "letter", "purpose": "marketing", "expires_after_seconds": 10**9,
             "staged": False, "last": True},
}  # fmt: skip


def templates(root: Path) -> TemplateStore:
    """A mail of usual size: greeting, ten products, the legal footer."""
    (root / "_partials").mkdir(exist_ok=True)
    for part in ("greeting.html", "greeting.txt", "legal_footer.html", "legal_footer.txt"):
        (root / "_partials" / part).write_text((ROOT / "_partials" / part).read_text("utf-8"), "utf-8")
    letter = root / "letter"
    letter.mkdir(exist_ok=True)
    rest = "shop: shop, sender: sender, unsubscribe_url: unsubscribe_url"
    product = '<tr><td style="padding:8px;font-size:14px">見本のコーヒー豆 {{ shop.name }}</td></tr>\n' * 60
    (letter / SUBJECT).write_text("{{ shop.name }}からのお知らせ")
    text = "{{ person.name }} 様\n" + "お知らせです。\n" * 40
    (letter / TEXT).write_text(f"{text}{{% render 'legal_footer.txt', {rest} %}}")
    head = '<html lang="ja"><body><p>{{ person.name }} 様</p>'
    footer = f"{{% render 'legal_footer.html', {rest} %}}"
    (letter / HTML).write_text(f"{head}<table>{product}</table>{footer}</body></html>")
    return TemplateStore(root)


class Shop:
    """A shop's people behind the two services, and everything that sends to them."""

    def __init__(self, root: Path) -> None:
        self.services = Services()
        self.templates = templates(root)
        self.dynamodb = self.services.client("dynamodb", max_pool_connections=64)
        self.ses = self.services.client("sesv2", max_pool_connections=64, retries={"total_max_attempts": 1})
        self.customers = CustomerStore("customers", self.dynamodb, FixedClock(NOON))
        self.people = [self._person(n) for n in range(PEOPLE)]

    def _person(self, number: int) -> Any:
        at = NOON - timedelta(days=30)
        event = Event(
            tenant=TENANT, event_id=EventId(f"e{number}"), event_type=EventType.CONSENT_CHANGED, source="shopify",
            store=STORE, subject=f"customer/{number}", occurred_at=at, received_at=at, version=at.isoformat(),
            person=Person(source_customer_id=str(number), email=f"p{number}@example.com"),
            facts=ConsentFacts(channel="email", granted=True, method="test"),
        )  # fmt: skip
        return fold.apply(event, self.customers, KEYS, SHOP).customer_id

    def deps(self, workers: int) -> StepDeps:
        clock = SystemClock()
        pace_store = DynamoPaceStore("deliveries", self.dynamodb)
        sending = SendDeps(
            ledger=DynamoLedgerStore("deliveries", self.dynamodb),
            read_person=self.customers.person,
            read_shop=lambda tenant: SHOP,
            channels={"email": SesChannel("set", self.ses)},
            renderer=self.templates,
            keys=KEYS,
            clock=clock,
            turns=MailTurns(Pace("ses", pace_store, lambda: read_quota(self.ses)), pace_store),
        )
        enrolments = DynamoEnrolmentStore("scenarios", self.dynamodb)
        return StepDeps(
            enrolments, MemoryCohortFiles(), self.customers.person, sending, FixedClock(NOON), workers=workers
        )

    def enrol(self, deps: StepDeps) -> None:
        members = []
        for number, customer in enumerate(self.people):
            occurrence = f"o{number}"
            about = Instance("shopify", STORE, str(number), "person")
            one = Enrolment(TENANT, SCENARIO, occurrence, customer, about, NOON, due_at=NOON)
            deps.enrolments.arm(one)
            deps.enrolments.claim(TENANT, SCENARIO, occurrence, "run", "v1", NOON)
            members.append([occurrence, customer])
        for batch in range(PEOPLE // BATCH):
            deps.files.put(f"batch{batch}", {"all": members[batch * BATCH : (batch + 1) * BATCH]})


def step_rate(shop: Shop, workers: int, patient: bool = True) -> float:
    """Mails a second of one worker that does the batches of a cohort one after the other."""
    deps = shop.deps(workers)
    shop.services.patient = False
    shop.enrol(deps)
    shop.services.patient, shop.services.mails = patient, 0
    began = time.monotonic()
    for batch in range(PEOPLE // BATCH):
        answer = run_step({**CALL, "batch": {"key": f"batch{batch}", "part": "all", "index": str(batch)}}, deps)
        assert answer["defer_seconds"] == 0
    took = time.monotonic() - began
    assert shop.services.mails == PEOPLE, "every one of them, once"
    return PEOPLE / took


def loop_rate(shop: Shop, mails: int = 60) -> float:
    """The plain loop."""
    shop.services.patient = True
    context = {
        "person": {"name": "見本"}, "shop": {"name": "見本商店"}, "unsubscribe_url": "https://go.example.jp/v1/unsubscribe/x",
        "sender": {"company": "株式会社見本", "postal_address": "東京都", "contact": "support@shop.example.jp"},
    }  # fmt: skip
    began = time.monotonic()
    for number in range(mails):
        parts = shop.templates.render("letter", (SUBJECT, HTML, TEXT), context)
        shop.dynamodb.put_item(
            TableName="loop",
            Item={"pk": {"S": f"p{number}"}, "sk": {"S": "sent"}},
            ConditionExpression="attribute_not_exists(pk)",
        )
        shop.ses.send_email(
            FromEmailAddress="news@shop.example.jp",
            Destination={"ToAddresses": [f"p{number}@example.com"]},
            Content={"Simple": {
                "Subject": {"Data": parts[SUBJECT]},
                "Body": {"Text": {"Data": parts[TEXT]}, "Html": {"Data": parts[HTML]}},
            }},
        )  # fmt: skip
    return mails / (time.monotonic() - began)


def bulk_rate(shop: Shop, calls: int = 10) -> float:
    """`SendBulkEmail`, 50 to a call, with everything each recipient needs of their own: nothing but the calls."""
    shop.services.patient = True
    html = {"Name": "html", "Value": "x"}
    entry = {
        "Destination": {"ToAddresses": ["p@example.com"]},
        "ReplacementEmailContent": {
            "ReplacementTemplate": {"ReplacementTemplateData": json.dumps({"html": "x" * 8_000})}
        },
        "ReplacementTags": [html],
        "ReplacementHeaders": [{"Name": "List-Unsubscribe", "Value": "<https://go.example.jp/v1/unsubscribe/x>"}],
    }
    content = {"Template": {"TemplateContent": {"Subject": "s", "Html": "{{html}}"}, "TemplateData": "{}"}}
    began = time.monotonic()
    for _ in range(calls):
        shop.ses.send_bulk_email(
            FromEmailAddress="news@shop.example.jp", DefaultContent=content, BulkEmailEntries=[entry] * 50
        )
    return calls * 50 / (time.monotonic() - began)


def _worker(folder: Path) -> tuple[float, float]:
    began = time.process_time()
    return step_rate(Shop(folder), THREADS), (time.process_time() - began) / PEOPLE


def test_the_step_sends_five_times_as_fast_as_a_plain_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The machine does its batches at once, each in a function of its own; the plain loop is one loop."""
    shop = Shop(_folder(tmp_path, 0))
    loop, bulk = loop_rate(shop), bulk_rate(shop)
    one, cpu = _worker(_folder(tmp_path, 1))
    # Processes, because functions share no interpreter.
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        together = sum(rate for rate, _ in pool.map(_worker, [_folder(tmp_path, 2 + n) for n in range(WORKERS)]))
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    waits = f"SES {SES_SECONDS * 1000:.0f} ms and DynamoDB {DYNAMODB_SECONDS * 1000:.0f} ms a call for all"
    lines = (
        f"sending, {waits}; load {load:.1f} on {cores} cores",
        f"  plain loop: render, one conditional write, send_email  {loop:7.1f} mails/s",
        f"  the step, one worker, {THREADS} people at once               {one:7.1f} mails/s = {one / loop:.1f} x",
        f"  the step, {WORKERS} workers (the machine runs 10)     {together:7.1f} mails/s = {together / loop:.1f} x",
        f"  processor time of a mail in the step, set-up included  {cpu * 1000:7.1f} ms",
        f"  SendBulkEmail alone, 50 a call, one thread             {bulk:7.1f} mails/s",
    )
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    if load > 2 * cores:
        pytest.skip(f"measured, not judged: load {load:.1f} on {cores} cores")
    assert together >= BAR * loop


def _folder(root: Path, number: int) -> Path:
    folder = root / f"shop{number}"
    folder.mkdir(exist_ok=True)
    return folder
