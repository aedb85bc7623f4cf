"""People who left a cart, in shops of their own, and what became of each of them: ledger, outbox, enrolment, funnel."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import urllib3

from infra.cli.session import Deployment
from infra.demo import shopify, story, verify
from infra.demo.shopify import Buyer
from infra.demo.stage import SETTINGS, Stage, set_up
from infra.local.lifecycle import LocalCloud
from shared.core.clock import SystemClock, to_iso
from shared.core.ids import CustomerId, ScenarioId, SendId, TenantId
from shared.core.shop import parameter_name
from shared.delivery.model import LedgerRow, SendState, send_id
from shared.delivery.store import DynamoLedgerStore
from shared.scenarios.enrolment import Enrolment, FunnelRow, occurrence_of
from shared.scenarios.store import DynamoEnrolmentStore

SCENARIO = ScenarioId("cart_abandoned")
FIRST = "mail_1"
PREFIX = "faults-"
"""Every shop's id here begins so."""
POST_ATTEMPTS = 4
"""A cart posts a webhook again until it is answered 200 (Shopify: 8 times in 4 hours)."""


@dataclass(frozen=True)
class Someone:
    """One person with one abandoned cart."""

    tenant: TenantId
    number: int
    email: str

    @property
    def token(self) -> str:
        """The checkout's token."""
        return f"{self.tenant}-checkout-{self.number}"

    @property
    def occurrence(self) -> str:
        """The enrolment's key."""
        return occurrence_of("shopify", story.SHOP, f"cart-{self.token}")

    def calls(self, touched_at: datetime) -> list[story.Call]:
        """What the cart reports: consent to mail, then a cart that is left."""
        buyer = Buyer(self.number, self.email, "見本", f"{self.number:02}")
        before = touched_at - timedelta(minutes=10)
        consent = shopify.email_consent(buyer, granted=True, at=before)
        checkout = shopify.checkout(self.token, buyer, story.PRODUCTS[:2], touched_at, story.SHOP)
        return [
            story.Call(
                "customers_email_marketing_consent/update", shopify.encode(consent), f"{self.token}-consent", before
            ),
            story.Call("checkouts/update", shopify.encode(checkout), f"{self.token}-left", touched_at),
        ]


@dataclass(frozen=True)
class Books:
    """Everything that was written down about a shop's sends."""

    rows: Sequence[LedgerRow]
    mails: Counter[str]
    """Mails SES accepted, by send."""
    funnel: Sequence[FunnelRow]

    def at(self, step: str) -> list[LedgerRow]:
        """The ledger's rows of one step."""
        return [row for row in self.rows if row.step == step]

    @property
    def duplicates(self) -> int:
        """Mails that left once too often."""
        return sum(count - 1 for count in self.mails.values() if count > 1)


@dataclass(frozen=True)
class Cohort:
    """A shop whose people all left a cart more than an hour ago."""

    cloud: LocalCloud
    stage: Stage
    people: tuple[Someone, ...]

    @property
    def tenant(self) -> TenantId:
        """The shop."""
        return self.stage.shop.tenant

    @cached_property
    def enrolments(self) -> DynamoEnrolmentStore:
        """Where the people stand."""
        return DynamoEnrolmentStore(
            self.stage.deployment.outputs["ScenariosTable"], self.stage.deployment.client("dynamodb")
        )

    @cached_property
    def ledger(self) -> DynamoLedgerStore:
        """The send ledger."""
        return DynamoLedgerStore(
            self.stage.deployment.outputs["DeliveriesTable"], self.stage.deployment.client("dynamodb")
        )

    @cached_property
    def ids(self) -> Mapping[str, CustomerId]:
        """Who everyone became, by occurrence; only once their carts have been followed."""
        return {occurrence: e.customer_id for occurrence, e in self.standing().items()}

    def standing(self) -> dict[str, Enrolment]:
        """Where everyone stands."""
        found = self.enrolments.get_each((self.tenant, SCENARIO, one.occurrence) for one in self.people)
        return {enrolment.occurrence: enrolment for enrolment in found.values()}

    def send(self, one: Someone, step: str = FIRST) -> SendId:
        """The identity of a person's mail."""
        return send_id(self.tenant, SCENARIO, step, one.occurrence, self.ids[one.occurrence])

    def ledger_rows(self) -> list[LedgerRow]:
        """The whole ledger of the shop."""
        with ThreadPoolExecutor(4) as pool:
            return [row for rows in pool.map(self._rows_of, sorted(set(self.ids.values()))) for row in rows]

    def _rows_of(self, customer: CustomerId) -> Sequence[LedgerRow]:
        return self.ledger.rows(self.tenant, customer)

    def books(self) -> Books:
        """Everything that was written down."""
        mails = Counter(mail["tags"]["send_id"] for mail in verify.outbox(self.cloud.emulator, self.tenant))
        funnel = self.enrolments.funnel(self.tenant, SCENARIO, date(2000, 1, 1), date(2100, 1, 1))
        return Books(self.ledger_rows(), mails, list(funnel))

    def executions(self) -> dict[str, str]:
        """The shop's executions: name → status."""
        states = self.stage.deployment.client("stepfunctions")
        found: dict[str, str] = {}
        for machine in states.list_state_machines()["stateMachines"]:
            for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"]):
                found |= {
                    e["name"]: e["status"]
                    for e in page["executions"]
                    if e["name"].startswith(f"{self.tenant}-{SCENARIO}-")
                }
        return found

    # --- time ---

    def let_doubts_age(self, by: timedelta) -> None:
        """So much time passes for the sends in doubt."""
        for row in self.ledger_rows():
            if row.state is SendState.UNKNOWN and row.unresolved_since is not None:
                since = row.unresolved_since
                key = {"pk": {"S": f"{row.tenant}#{row.customer_id}"}, "sk": {"S": f"send#{row.send_id}"}}
                rewrite(self.stage.deployment, key, "unresolved_since", to_iso(since), to_iso(since - by))


def rewrite(deployment: Deployment, key: Mapping[str, Any], name: str, seen: str, wanted: str) -> bool:
    """Change a time in a row of the ledger, unless somebody else just did."""
    client = deployment.client("dynamodb")
    try:
        client.update_item(
            TableName=deployment.outputs["DeliveriesTable"],
            Key=key,
            UpdateExpression=f"SET {name} = :wanted",
            ConditionExpression=f"{name} = :seen",
            ExpressionAttributeValues={":wanted": {"S": wanted}, ":seen": {"S": seen}},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def gather(
    cloud: LocalCloud, deployment: Deployment, shop: str, emails: Sequence[str] | int, cap_per_week: int = 4
) -> Cohort:
    """Open a shop without quiet hours; its people have these addresses (or are so many)."""
    tenant = TenantId(PREFIX + shop)
    addresses = [f"{tenant}-{n}@example.com" for n in range(emails)] if isinstance(emails, int) else emails
    people = tuple(Someone(tenant, n, email) for n, email in enumerate(addresses, start=1))
    stage = set_up(deployment, tenant)
    _set_policy(stage, cap_per_week)
    return Cohort(cloud, stage, people)


def _set_policy(stage: Stage, cap_per_week: int) -> None:
    delivery = {**SETTINGS["sections"]["delivery"], "quiet_hours": {"email": None}, "cap_per_week": cap_per_week}  # type: ignore[index]
    document = {**SETTINGS, "public_url": stage.shop.public_url, "sections": {"delivery": delivery}}
    stage.deployment.client("ssm").put_parameter(
        Name=parameter_name(stage.deployment.prefix, stage.shop.tenant),
        Value=json.dumps(document, ensure_ascii=False),
        Type="String",
        Overwrite=True,
    )


_pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=60)


def leave_carts(cohorts: Iterable[Cohort]) -> list[list[int]]:
    """Post everyone's webhooks, as a cart does: again until it is answered 200. Returns every call's answers."""
    touched_at = SystemClock().now() - timedelta(hours=1, minutes=1)

    def post_all(cohort: Cohort, one: Someone) -> list[list[int]]:
        return [post(cohort.stage, call) for call in one.calls(touched_at)]

    with ThreadPoolExecutor(6) as executor:
        work = [executor.submit(post_all, cohort, one) for cohort in cohorts for one in cohort.people]
        return [answers for each in work for answers in each.result()]


def post(stage: Stage, call: story.Call) -> list[int]:
    """One webhook, repeated until it is answered 200; the answers."""
    endpoint, answers = stage.endpoint, list[int]()
    for _ in range(POST_ATTEMPTS):
        head = shopify.headers(
            call.topic, call.body, endpoint.secret, shop=endpoint.shop, webhook_id=call.webhook_id, at=call.at
        )
        answers.append(_pool.request("POST", endpoint.url, body=call.body, headers=head).status)
        if answers[-1] == 200:
            break
        time.sleep(0.05)
    return answers


def function_name(deployment: Deployment, part: str) -> str:
    """The one deployed function with this in its name."""
    pages = deployment.client("lambda").get_paginator("list_functions").paginate()
    (name,) = [each["FunctionName"] for page in pages for each in page["Functions"] if part in each["FunctionName"]]
    return str(name)


def invoke(deployment: Deployment, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """Call a deployed function as its schedule does. Its answer, or its error."""
    client = deployment.client("lambda")
    payload = client.invoke(FunctionName=function_name(deployment, function), Payload=json.dumps(event))["Payload"]
    answer: dict[str, Any] = json.load(payload)
    return answer
