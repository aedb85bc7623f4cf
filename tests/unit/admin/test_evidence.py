"""The consent ledger as evidence: the same in any order, never reversed by a file, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.admin.evidence import COLUMNS, Proof, action, actor, cells, evidence_csv, proofs
from shared.core.ids import CustomerId
from shared.customers import rules
from shared.customers.identity import entry_key
from shared.customers.model import ConsentEntry, ConsentStatus, Record
from tests.amount import amount

START = datetime(2026, 4, 1, tzinfo=UTC)
STORES = ("one.example.com", "two.example.com", "*")
LEDGERS = amount(10_000, sample=1_000)


def an_entry(chance: random.Random, number: int) -> ConsentEntry:
    by_customer = chance.random() < 0.5
    return ConsentEntry(
        channel=chance.choice(("email", "sms", "line")),
        store=chance.choice(STORES),
        granted=chance.random() < 0.6,
        at=START + timedelta(days=chance.randrange(6)),
        method="page" if by_customer else chance.choice(("import:abc", "shopify")),
        basis=chance.choice(("explicit", "business_relation")),
        by_customer=by_customer,
        event_id=f"e{number}",
        address=f"email:{chance.randrange(3)}",
        wording="d1" if by_customer else "",
    )


def a_ledger(chance: random.Random) -> list[ConsentEntry]:
    return [an_entry(chance, number) for number in range(chance.randrange(1, 9))]


def folded(entries: list[ConsentEntry]) -> Record:
    """As the fold does it: every event a record of its own, joined as they come."""
    return rules.join(Record(consent_log={entry_key(entry): entry}) for entry in entries)


def test_ledgers_fold_and_export_alike_in_any_order_and_no_file_reverses_an_opt_out() -> None:
    """A sample; 10,000 ledgers with `MATAKITE_FULL=1`."""
    chance = random.Random(20261121)
    reversible = 0
    for _ in range(LEDGERS):
        ledger = a_ledger(chance)
        shuffled = [*ledger, *chance.choices(ledger, k=2)]
        chance.shuffle(shuffled)
        one, other = folded(ledger).consent_log, folded(shuffled).consent_log
        current = rules.consents(one.values())
        assert rules.consents(other.values()) == current
        person = CustomerId("c1")
        table = [evidence_csv(proofs((person, each) for each in log.values())) for log in (one, other)]
        assert table[0] == table[1]
        assert table[0].count("\r\n") == len(one) + 1, "every line of the ledger is a row"
        for consent in current:
            if consent.status is not ConsentStatus.OPT_OUT:
                continue
            reversible += 1
            late = ConsentEntry(
                consent.channel, consent.store, True, START + timedelta(days=99), "import:x", "explicit", False, "late"
            )
            again = rules.fold_consent([*one.values(), late], consent.channel, consent.store)
            assert again is not None
            assert again.status is ConsentStatus.OPT_OUT
    assert reversible > LEDGERS / 2, "the files have tried"


ENTRY = ConsentEntry(
    channel="email",
    store="one.example.com",
    granted=True,
    at=START,
    method="double_opt_in",
    basis="explicit",
    by_customer=True,
    event_id="e1",
    address="email:k3yd",
    wording="ab12",
    wording_text="お知らせを受け取ることに同意します。",
    form="/v1/subscribe#2026-11",
    network="n3t",
)


def test_a_row_says_who_when_how_on_what_basis_and_to_which_words() -> None:
    row = dict(zip(COLUMNS, cells(Proof(CustomerId("c1"), ENTRY)), strict=True))
    assert row["顧客ID"] == "c1"
    assert row["宛先（ダイジェスト）"] == "k3yd"
    assert row["日時"] == "2026-04-01T00:00:00.000000Z"
    assert (row["区分"], row["許諾"], row["操作者"], row["法的根拠"]) == ("opt_in", "許諾", "本人", "本人の同意")
    assert row["同意文言"] == ENTRY.wording_text
    assert (row["フォームと版"], row["IPアドレス（ダイジェスト）"]) == ("/v1/subscribe#2026-11", "n3t")


@pytest.mark.parametrize(
    ("entry", "said", "by"),
    [
        (ENTRY, "opt_in", "本人"),
        (replace(ENTRY, granted=False, method="one_click"), "opt_out", "本人"),
        (replace(ENTRY, granted=False, method="complaint", store="*"), "complaint", "本人"),
        (replace(ENTRY, method="import:f1l3", by_customer=False), "import", "取込"),
        (replace(ENTRY, method="shopify", by_customer=False), "opt_in", "店舗"),
    ],
)
def test_what_happened_and_who_did_it(entry: ConsentEntry, said: str, by: str) -> None:
    assert (action(entry), actor(entry)) == (said, by)


@pytest.mark.parametrize("cell", ["=1+1", "+81", "-1", "@SUM(A1)", "\tx", "\rx", "＝1", "＋1", "－1", "＠x"])
def test_no_cell_is_a_formula(cell: str) -> None:
    text = evidence_csv([Proof(CustomerId("c1"), replace(ENTRY, wording_text=cell, form=cell))])
    assert text.startswith("\ufeff")
    (_, row) = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert not any(value[:1] == cell[0] for value in row)


def test_one_channel_alone() -> None:
    other = replace(ENTRY, channel="sms", event_id="e2")
    person = CustomerId("c1")
    assert [proof.entry for proof in proofs([(person, ENTRY), (person, other)], "sms")] == [other]
