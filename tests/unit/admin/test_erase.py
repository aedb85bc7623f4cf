"""An erasure reaches everything that is kept: sends, scenarios, bodies, imported files; a certificate says what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.admin.erase import (
    AGAIN,
    FOLDER,
    EraseDeps,
    SweepDeps,
    certificates,
    erase_person,
    pending,
    plan_sweep,
    sweep_part,
)
from shared.admin.export import ExportDeps, export_person
from shared.analytics.lake import MemoryObjects
from shared.core.clock import FixedClock, to_iso
from shared.core.errors import UnavailableError
from shared.core.ids import ConnectionId, CustomerId, EventId, ScenarioId, SendId
from shared.core.plain import as_json
from shared.customers.fold import apply
from shared.customers.identity import address_ref
from shared.customers.model import Suppressed
from shared.customers.store import MemoryCustomerStore
from shared.customers.stream import FoldDeps, fold_records
from shared.delivery.coupons.issue import Coupon
from shared.delivery.coupons.store import MemoryCoupons
from shared.delivery.links.link import Link
from shared.delivery.links.store import Followed, MemoryLinks
from shared.delivery.model import Outcome, Purpose, Reason, SendKey, SendRequest, SendState
from shared.delivery.store import Attempt, MemoryLedgerStore
from shared.delivery.tray import MemoryTray
from shared.ingest import history
from shared.ingest.model import Envelope, EventType, Person
from shared.ingest.oversize import MemoryOversize
from shared.ingest.sources.admin import erase_envelope
from shared.ingest.store import MAX_ROW_BYTES, MemoryEventStore
from shared.scenarios.store import MemoryEnrolmentStore
from tests.unit.customers.world import KEYS, SHOP, STORE, TENANT, a_customer, a_person

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
GONE, STAYS = "kieru.kiyo@example.jp", "nokoru.nobu@example.jp"
PHONE = "090-0000-0771"


def envelope(topic: str, subject: str, body: dict[str, Any], at: datetime, number: str) -> Envelope:
    return Envelope(
        tenant=TENANT,
        subject=f"shopify/{STORE}/{subject}",
        event_id=EventId(number),
        source="shopify",
        connection=ConnectionId("c"),
        store=STORE,
        topic=topic,
        occurred_at=at,
        received_at=at,
        raw=json.dumps(body).encode(),
    )


def customer(number: int, email: str, at: datetime = NOW, event: str = "", **more: Any) -> Envelope:
    body = {"id": number, "email": email, "first_name": "清", "last_name": "消", "updated_at": to_iso(at), **more}
    return envelope("customers/update", f"customer/{number}", body, at, event or f"c{number}-{to_iso(at)}")


class House:
    """A shop in memory, its events folded as the stream would."""

    def __init__(self) -> None:
        self.clock = FixedClock(NOW + timedelta(hours=1))
        self.customers = MemoryCustomerStore(self.clock)
        self.oversize = MemoryOversize()
        self.events = MemoryEventStore(self.oversize)
        self.ledger, self.enrolments, self.tray = MemoryLedgerStore(), MemoryEnrolmentStore(), MemoryTray()
        self.work = MemoryObjects("work")
        self.told: list[CustomerId] = []
        self.erase = EraseDeps(self.customers, self.ledger, self.enrolments, self.tray, self.clock)
        self.sweep_deps = SweepDeps(self.erase, self.events, self.work, KEYS, lambda: [TENANT])

    def hear(self, *envelopes: Envelope) -> None:
        deps = FoldDeps(
            self.customers,
            self.oversize,
            KEYS,
            lambda _t: SHOP,
            lambda _t, who: self.told.append(who),
            self.events.forget,
        )
        for each in envelopes:
            if self.events.put_once(each):
                image = self.events.rows[f"{each.tenant}#{each.subject}", each.event_id]
                assert fold_records([{"dynamodb": {"NewImage": image, "SequenceNumber": "1"}}], deps) == []

    def who(self, email: str) -> CustomerId | None:
        return self.customers.resolve_ref(TENANT, address_ref(TENANT, email, KEYS))

    def send_to(self, customer_id: CustomerId) -> None:
        request = SendRequest(
            tenant=TENANT,
            customer_id=customer_id,
            scenario=ScenarioId("s"),
            scenario_version="1",
            step="first",
            occurrence="o",
            channel="email",
            template="t",
            context={},
            store=STORE,
            purpose=Purpose.MARKETING,
        )
        done = Outcome(SendState.SENT, Reason.NONE, "m-1")
        self.tray.put("postal", request.key, {"send_id": request.send_id, "to": "〒100-0000"})
        self.ledger.hold(request, done, Attempt("me", self.clock.now()), self.clock.now())

    def night(self, hurry: bool = False) -> None:
        for part in plan_sweep(self.sweep_deps)["parts"]:
            state = part
            while not state["done"]:
                state = json.loads(json.dumps(sweep_part(state, self.sweep_deps, lambda: hurry)))

    def everything(self) -> Iterator[str]:
        for rows in self.customers.rows.partitions.values():  # type: ignore[attr-defined]
            yield from (row.body + str(row.fields) for row in rows.values())
        yield from (each.raw.decode() for each in self.events.envelopes())
        yield from (event for each in self.work.list("") for event in texts(self.work.get(each.key)))


def texts(body: bytes) -> list[str]:
    return [repr(event) for event in history.read_chunk(body)] if body[:2] == b"\x1f\x8b" else [body.decode()]


@pytest.fixture
def house() -> House:
    """Two customers; both also in an imported file, each with a send."""
    made = House()
    made.hear(customer(1, GONE, phone=PHONE), customer(2, STAYS))
    made.hear(customer(1, GONE, NOW + timedelta(minutes=1), phone=PHONE))
    person = Person(source_customer_id="9", email=GONE)
    chunk = history.write_chunk([a_customer(1, person), a_customer(2, replace(person, email=STAYS))])
    made.work.put(history.chunk_key(TENANT, "i1", 1), chunk)
    made.work.put(history.loaded_mark(history.chunk_key(TENANT, "i1", 1)), b"")
    for email in (GONE, STAYS):
        found = made.who(email)
        assert found
        made.send_to(found)
    return made


def erased(house: House) -> CustomerId:
    """The first of them asks, an hour later."""
    found = house.who(GONE)
    assert found
    house.hear(erase_envelope(TENANT, found, "the manager", house.clock.now()))
    assert house.told == [found]
    erase_person(TENANT, found, house.erase)
    return found


def test_nothing_of_the_erased_is_left_anywhere_and_nothing_of_others_is_missing(house: House) -> None:
    note = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(MAX_ROW_BYTES))
    house.hear(customer(1, GONE, NOW + timedelta(minutes=2), phone=PHONE, note=note))
    assert any(GONE in text for text in house.everything())
    assert house.oversize.objects, "one body is too large for a row"
    gone = erased(house)
    house.night()
    assert not [text for text in house.everything() if GONE in text or PHONE in text]
    assert not house.oversize.objects
    assert house.ledger.rows(TENANT, gone) == []
    assert [key.customer_id for _, key in house.tray.documents] == [house.who(STAYS)]
    stays = house.who(STAYS)
    assert stays
    assert len(house.ledger.rows(TENANT, stays)) == 1
    assert any(STAYS in each.raw.decode() for each in house.events.envelopes())
    assert len(history.read_chunk(house.work.get(history.chunk_key(TENANT, "i1", 1)))) == 1
    (proof,) = certificates(house.customers.erasures(TENANT))
    assert (proof.customer_id, proof.swept_at) == (gone, house.clock.now())
    assert proof.counts == {"sends": 1, "enrolments": 0, "letters": 1, "deliveries": 3, "imported": 1}
    assert proof.unread == 0


def test_a_repeat_of_what_was_erased_meets_its_row_and_brings_nothing_back(house: House) -> None:
    first = customer(1, GONE, phone=PHONE)
    erased(house)
    house.night()
    assert not house.events.put_once(first)
    house.hear(first)
    assert house.who(GONE) is None
    assert not [text for text in house.everything() if GONE in text]


def test_what_arrives_late_is_not_kept_either(house: House) -> None:
    erased(house)
    house.hear(customer(1, GONE, NOW + timedelta(minutes=30), "late"))
    assert not [each for each in house.events.envelopes() if each.event_id == "late"]
    assert house.who(GONE) is None


def test_who_comes_back_is_a_customer_like_any_other(house: House) -> None:
    erased(house)
    house.hear(customer(1, GONE, house.clock.now() + timedelta(days=1), "back"))
    house.clock.at += timedelta(days=1, hours=1)
    back = house.who(GONE)
    assert back
    house.send_to(back)
    house.night()
    assert house.who(GONE) == back
    assert len(house.ledger.rows(TENANT, back)) == 1, "nothing is sent again because its row is gone"
    assert any(each.event_id == "back" for each in house.events.envelopes())


def test_suppression_and_consent_evidence_stay_without_the_address(house: House) -> None:
    ref = address_ref(TENANT, GONE, KEYS)
    house.customers.suppress(TENANT, "email", ref, Suppressed.COMPLAINED, NOW)
    said: dict[str, Any] = {"email_marketing_consent": {"state": "subscribed", "consent_updated_at": to_iso(NOW)}}
    house.hear(customer(1, GONE, NOW + timedelta(minutes=2), **said))
    gone = erased(house)
    house.night()
    assert house.customers.is_suppressed(TENANT, "email", ref) is Suppressed.COMPLAINED
    assert [entry.address for entry in house.customers.consent_log(TENANT, gone)] == [ref]


def test_a_sweep_that_is_short_of_time_goes_on_where_it_was(house: House) -> None:
    erased(house)
    house.night(hurry=True)
    assert not [text for text in house.everything() if GONE in text]
    assert certificates(house.customers.erasures(TENANT))[0].swept_at


def test_no_sweep_when_nobody_waits_and_one_a_night_for_three_days(house: House) -> None:
    assert plan_sweep(house.sweep_deps) == {"parts": []}
    gone = erased(house)
    house.night()
    assert gone in pending(house.customers.erasures(TENANT), house.clock.now())
    house.clock.at += AGAIN
    assert pending(house.customers.erasures(TENANT), house.clock.now()) == {}
    assert plan_sweep(house.sweep_deps) == {"parts": []}


def test_what_a_sweep_writes_down_is_digests(house: House) -> None:
    erased(house)
    house.night()
    notes = [house.work.get(each.key).decode() for each in house.work.list(FOLDER)]
    assert notes
    assert not [note for note in notes if "@" in note or "0771" in note]


def test_nobody_is_deleted_before_the_fold_has_forgotten_them(house: House) -> None:
    found = house.who(GONE)
    assert found
    with pytest.raises(UnavailableError):
        erase_person(TENANT, found, house.erase)
    assert len(house.ledger.rows(TENANT, found)) == 1


def test_a_changed_certificate_has_another_hash(house: House) -> None:
    erased(house)
    house.night()
    (proof,) = certificates(house.customers.erasures(TENANT))
    assert replace(proof, counts={**proof.counts, "sends": 0}).hash != proof.hash


def test_who_asked_for_the_erasure_stays_on_record(house: House) -> None:
    erased(house)
    house.night()
    assert any("the manager" in each.raw.decode() for each in house.events.envelopes())


def test_a_disclosure_has_everything_of_one_person_and_nothing_of_another(house: House) -> None:
    found = house.who(GONE)
    assert found
    coupons, links = MemoryCoupons(), MemoryLinks()
    for owner in (found, house.who(STAYS)):
        assert owner
        coupons.give(TENANT, owner, "once", Coupon("aki", f"AKI-{owner[:4]}", "10%引き", "", None, NOW))
        sent = SendKey(TENANT, owner, SendId("s"))
        links.keep([Followed(sent, "line", "s", "m", Link(f"c-{owner[:4]}", f"https://a.example.jp/{owner[:4]}", 1))])
    deps = ExportDeps(house.customers, house.ledger, house.enrolments, house.events, KEYS, coupons, links)
    document = export_person(TENANT, found, deps, NOW)
    text = json.dumps(document, ensure_ascii=False)
    assert document["contact"]["email"] == GONE
    assert document["contact"]["phone"] == "+819000000771"
    assert document["known_by"] == ["customer", "email"]
    assert len(document["sends"]) == 1
    assert [each["code"] for each in document["coupons"]] == [f"AKI-{found[:4]}"]
    assert document["links"] == {"s": {f"c-{found[:4]}": f"https://a.example.jp/{found[:4]}"}}
    assert [each["body"]["email"] for each in document["deliveries"]] == [GONE, GONE]
    assert STAYS not in text


def test_records_become_plain_json_whole() -> None:
    event = a_customer(1, a_person("1", GONE))
    plain = as_json(event)
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["event_type"], plain["person"]["email"]) == (EventType.CUSTOMER_UPDATED.value, GONE)
    store = MemoryCustomerStore()
    assert apply(event, store, KEYS, SHOP).customer_id
