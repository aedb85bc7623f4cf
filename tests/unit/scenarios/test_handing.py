"""Coupons given, and people handed to the shop: once each, however often a step is repeated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.customers.model import ConsentStatus
from shared.delivery.channels.channel import AmbiguousError
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.channels.handover import TEXT, HandoverChannel
from shared.delivery.coupons.issue import Coupons, Terms
from shared.delivery.coupons.store import MemoryCoupons
from shared.delivery.model import SendKey
from shared.delivery.send import SendDeps
from shared.delivery.spend.budget import Budgeted, Lots
from shared.delivery.spend.store import MemorySpend
from shared.delivery.tray import Document, MemoryTray, waiting
from shared.scenarios.enrolment import EnrolmentState
from shared.scenarios.examples import SHOP
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import read_text
from shared.scenarios.step import StepDeps
from tests.unit.scenarios.test_places import Shop
from tests.unit.scenarios.test_words import AN_EXAMPLE, SEND, scenario_of
from tests.unit.scenarios.world import TENANT


def of_steps(*steps: str) -> Scenario:
    text = scenario_of("{event: logged_in, after: 1h}", "\n".join(f"  - {step}" for step in steps), AN_EXAMPLE)
    return read_text(text).model_copy(update={"status": LiveStatus.LIVE})


@dataclass
class WithCoupons(Shop):
    """Two codes, and a step that dies once after each person."""

    books: MemoryCoupons = field(default_factory=MemoryCoupons)
    dies: bool = True

    def step_deps(self) -> StepDeps:
        return replace(super().step_deps(), coupons=self)

    def promise(self, *occasion: Any) -> None:
        """As it is."""
        Coupons(self.books, lambda _: "Asia/Tokyo").promise(*occasion)

    def issue(self, *occasion: Any) -> Any:
        """Gives, and then the worker dies."""
        coupon = Coupons(self.books, lambda _: "Asia/Tokyo").issue(*occasion)
        self.dies = not self.dies
        if not self.dies:
            raise KeyError("the worker died")
        return coupon

    def left(self) -> int:
        """Codes nobody has."""
        (book,) = self.books.books(TENANT)
        return book.left


def test_everyone_gets_one_code_whatever_dies_and_who_gets_none_is_promised_none() -> None:
    shop = WithCoupons(scenario=of_steps("coupon: spring", "{send: one, channel: email, template: t/coupon}"))
    shop.books.add(TENANT, "spring", Terms("10%引き"), ["CODE-A", "CODE-B"])
    for customer in ("hanako", "taro", "jiro"):
        shop.logs_in(customer)
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    texts = {message.key.customer_id: message.parts["mail.txt"].strip() for message in shop.ses.accepted}
    assert sorted(texts.values()) == ["CODE-A", "CODE-B"]
    (without,) = {"hanako", "taro", "jiro"} - set(texts)
    assert (shop.enrolment(without).state, shop.enrolment(without).outcome) == (EnrolmentState.EXITED, "no_coupon")


def test_a_staged_scenario_uses_up_no_code() -> None:
    staged = of_steps("coupon: spring", SEND).model_copy(update={"status": LiveStatus.STAGED})
    shop = WithCoupons(scenario=staged)
    shop.books.add(TENANT, "spring", Terms("10%引き"), ["CODE-A"])
    shop.logs_in("hanako")
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    assert shop.ledger_states("hanako") == {"one": "staged"}
    assert shop.left() == 1


NAMES_IT = "{send: one, channel: email, template: t/coupon}"


def with_one_code(*steps: str) -> WithCoupons:
    """hanako logs in on a day on which she had no mail yet."""
    shop = WithCoupons(scenario=of_steps(*steps))
    shop.books.add(TENANT, "spring", Terms("10%引き"), ["CODE-A"])
    shop.logs_in("hanako")
    return shop


def test_who_is_held_back_uses_up_no_code() -> None:
    shop = with_one_code("coupon: spring", "wait: 1h", NAMES_IT)
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.at("2026-03-02 11:30", lambda: shop.opts_out("hanako"))
    shop.play()
    assert shop.ledger_states("hanako") == {"one": "opted_out"}
    assert shop.left() == 1


def test_a_message_that_does_not_name_it_uses_up_no_code() -> None:
    shop = with_one_code("coupon: spring", SEND)
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    assert shop.ledger_states("hanako") == {"one": "sent"}
    assert shop.left() == 1


def test_a_code_that_somebody_else_took_meanwhile_is_not_promised() -> None:
    shop = with_one_code("coupon: spring", "wait: 1h", NAMES_IT, "wait: 2d", NAMES_IT.replace("one", "two"))
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.at("2026-03-02 11:30", lambda: shop.books.take(TENANT, "spring", shop.clock.at.date()))
    shop.play()
    assert shop.ledger_states("hanako") == {"one": "no_coupon"}
    assert (shop.enrolment("hanako").state, shop.mails("hanako")) == (EnrolmentState.EXITED, [])


def test_a_coupon_is_that_of_the_arm_they_took() -> None:
    arms = "branch: buyer\n    on: buyer\n    arms: {repeat: [{coupon: spring}]}\n    else: [{coupon: autumn}]"
    shop = with_one_code(arms, NAMES_IT)
    shop.books.add(TENANT, "autumn", Terms("送料無料"), ["CODE-B"])
    shop.dies = False
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    (mail,) = shop.ses.accepted
    assert mail.parts["mail.txt"].strip() == "CODE-B"


class FlakyTray(MemoryTray):
    """Takes the document, and its answer is lost the first time."""

    def put(self, kind: str, key: SendKey, document: Document) -> bool:
        """See Tray."""
        if super().put(kind, key, document):
            raise AmbiguousError("the bucket's answer was lost")
        return False


class WithTray(Shop):
    """A shop without an endpoint: everything handed over waits in the tray."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tray = FlakyTray()

    def sends(self, deps: SendDeps) -> SendDeps:
        kinds = {"notify": (TEXT,), "export": ()}
        handed = {kind: HandoverChannel(kind, self.tray, parts, clock=self.clock) for kind, parts in kinds.items()}
        return replace(deps, channels={"email": self.ses, **handed})


def test_people_are_handed_over_once_with_ids_alone() -> None:
    shop = WithTray(scenario=of_steps("{notify: staff, template: t/one}", "{export: posters}", SEND))
    shop.logs_in("hanako", times=2)
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    assert shop.ledger_states("hanako") == {"staff": "sent", "posters": "sent", "one": "sent"}
    (notice,), (line,) = waiting(shop.tray, TENANT, "notify"), waiting(shop.tray, TENANT, "export")
    assert (notice["customer_id"], notice["step"], notice["notify"].strip()) == ("hanako", "staff", "見本")
    assert set(line) == {"send_id", "customer_id", "scenario", "step", "at"}
    assert shop.tray.forget(TENANT, line["customer_id"]) == 2


def test_a_staged_scenario_hands_nobody_over() -> None:
    staged = of_steps("{export: posters}", SEND).model_copy(update={"status": LiveStatus.STAGED})
    shop = WithTray(scenario=staged)
    shop.logs_in("hanako")
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    assert shop.ledger_states("hanako") == {"posters": "staged", "one": "staged"}
    assert waiting(shop.tray, TENANT, "export") == []


class Texting(Shop):
    """A shop with mail and SMS; the second not set up unless its settings say so."""

    texts: FakeChannel

    def step_deps(self) -> StepDeps:
        deps = super().step_deps()
        budgeted = Budgeted(self.texts, "sms", lambda _: 1, Lots(MemorySpend()), lambda _: self.shop, self.clock)
        return replace(deps, sending=replace(deps.sending, channels={"email": self.ses, "sms": budgeted}))


NOTICE = of_steps("{send: one, channel: [email, sms], template: t/one, purpose: transactional}")


@pytest.mark.parametrize(
    ("more", "said", "set_up", "mails", "sms"),
    [
        # Out of mail, in for texts, of which the shop sends none: the whole cohort's execution failed on them.
        ({}, "sms", {}, 1, 0),
        ({}, "sms", {"sms": {"origination": "MIHON"}, "budget": {"sms": 10}}, 0, 1),
        # What needs no consent goes where it arrives.
        ({"email": None}, "email", {"sms": {"origination": "MIHON"}, "budget": {"sms": 10}}, 0, 1),
        ({"email": None}, "email", {}, 0, 0),
    ],
)
def test_a_notice_goes_where_it_arrives_and_never_by_a_channel_that_is_not_set_up(
    more: dict[str, Any], said: str, set_up: dict[str, Any], mails: int, sms: int
) -> None:
    shop = Texting(scenario=NOTICE)
    shop.texts = FakeChannel(parts=("sms.txt",))
    without = {name: value for name, value in SHOP.section("delivery").items() if name not in {"sms", "budget"}}
    shop.shop = replace(SHOP, sections={"delivery": {**without, **set_up}})
    shop.logs_in("hanako")
    hanako = shop.people["hanako"]
    no = replace(hanako.consents[0], status=ConsentStatus.OPT_OUT)
    consents = (no, replace(no, channel=said, status=ConsentStatus.OPT_IN)) if said != "email" else (no,)
    profile = replace(hanako.profile, phone="+818000000001", **more)
    shop.people["hanako"] = replace(hanako, profile=profile, consents=consents)
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    assert (len(shop.ses.accepted), len(shop.texts.accepted)) == (mails, sms)
    assert shop.enrolment("hanako").state is EnrolmentState.FINISHED
