"""A shop's order file: what goes in, what is refused and why, and what the same file does twice."""

from __future__ import annotations

import csv
import gzip
import io
import random
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from shared.ingest import history
from shared.ingest.files.model import FileOptions
from shared.ingest.files.registry import kind
from shared.ingest.files.report import rejected_csv
from shared.ingest.model import Event, EventType, OrderFacts
from tests.unit.ingest.files.reader import OPTIONS, Read, read_bytes

HEADING = "order_id,customer_id,email,ordered_at,amount"
COLUMNS = {column.name: column.words() for column in kind("orders").columns}


def parse(*rows: str, heading: str = HEADING, encoding: str = "utf-8", options: FileOptions = OPTIONS) -> Read:
    return read_bytes("orders", "\r\n".join((heading, *rows)).encode(encoding), options)


def facts(event: Event) -> OrderFacts:
    assert isinstance(event.facts, OrderFacts)
    return event.facts


def one(*rows: str, heading: str = HEADING) -> Event:
    (event,) = parse(*rows, heading=heading).events
    return event


def test_a_row_is_an_order() -> None:
    event = one("A-1,C1,hanako@example.com,2026-01-31,19800")
    assert event.event_type is EventType.ORDER_PLACED
    assert event.historical
    assert (event.source, event.subject) == ("import", "import/history/order/A-1")
    assert (facts(event).order_id, facts(event).total, facts(event).currency) == ("A-1", 19_800, "JPY")
    assert (event.person.source_customer_id, event.person.email) == ("C1", "hanako@example.com")
    assert facts(event).paid
    assert facts(event).cancelled_at is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_japanese_headings_and_encodings(encoding: str) -> None:
    file = parse(
        '１００,髙橋,花子,山﨑@example.jp,2026/1/5,"19,800"'.replace("山﨑@", "yamasaki@"),
        heading="注文番号,姓,名,メールアドレス,注文日,合計金額",
        encoding=encoding,
    )
    (event,) = file.events
    assert (facts(event).order_id, event.person.last_name, facts(event).total) == ("100", "髙橋", 19_800)
    assert file.encoding == ("utf-8-sig" if encoding.startswith("utf-8") else encoding)


def test_every_heading_we_promise_is_understood() -> None:
    needed = ("number", "email", "ordered_at", "amount")
    for name, words in COLUMNS.items():
        for word in words:
            others = [other for other in needed if other != name]
            layout = parse(heading=",".join([word, *others])).reading.layout
            meant = {column for column, index in layout.indexes.items() if index == 0}
            # A word may mean two things (`小計`); what it means alone is the first of them.
            assert meant, word
            assert word not in layout.unused


def test_tabs_separate_too() -> None:
    assert len(parse("A\tC\t2026-01-05\t1", heading="order_id\tcustomer_id\tordered_at\tamount").events) == 1


# --- dates and amounts


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-01-31", "2026-01-31T03:00"),  # noon in Tokyo
        ("2026/1/5", "2026-01-05T03:00"),
        ("20260105", "2026-01-05T03:00"),
        ("2026年1月5日", "2026-01-05T03:00"),
        ("２０２６/０１/０５", "2026-01-05T03:00"),
        ("2026-01-05 00:30", "2026-01-04T15:30"),
        ("2026/01/05 9:05:07", "2026-01-05T00:05:07"),
        ("2026-01-05T09:00:00+09:00", "2026-01-05T00:00"),
        ("2026-01-05T00:00:00Z", "2026-01-05T00:00"),
        ("2026-01-05T00:00:00.123Z", "2026-01-05T00:00:00.123"),
    ],
)
def test_dates_are_the_shops(written: str, instant: str) -> None:
    assert facts(one(f"A,C,,{written},1")).ordered_at == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize("timezone", ["Asia/Tokyo", "America/Los_Angeles", "Europe/London", "Asia/Kathmandu"])
def test_a_date_stays_the_same_day_wherever_it_is_looked_at_from_nearby(timezone: str) -> None:
    (event,) = parse("A,C,,2026-03-29,1", options=replace(OPTIONS, timezone=timezone)).events
    at = facts(event).ordered_at.astimezone(ZoneInfo(timezone))
    assert (at.year, at.month, at.day, at.hour) == (2026, 3, 29, 12)


@pytest.mark.parametrize(
    "written",
    ["", "31/01/2026", "2026-13-01", "2026-02-30", "2026-01-05 25:00", "yesterday", "1899-12-31", "2027-01-01", "99999",
     "2026-01-05T09:00:00+99:00"],
)  # fmt: skip
def test_what_is_no_date_is_refused_with_line_and_reason(written: str) -> None:
    file = parse("A,C,,2026-01-05,1", f"B,C,,{written},1")
    assert [facts(event).order_id for event in file.events] == ["A"]
    (bad,) = file.bad
    assert bad.line == 3
    assert "ordered_at" in bad.reason
    assert "注文日" in bad.reason


@pytest.mark.parametrize(
    ("written", "total"),
    [("19800", 19_800), ('"19,800"', 19_800), ("¥19800", 19_800), ("￥１９８００", 19_800), ("19800円", 19_800),
     ("19800.00", 19_800), ("0", 0)],
)  # fmt: skip
def test_amounts_as_shops_write_them(written: str, total: int) -> None:
    assert facts(one(f"A,C,,2026-01-05,{written}")).total == total


@pytest.mark.parametrize("written", ["", "-1", "1.5", "abc", "1e5", "９９９９９９９９９９９９９９９９９", "--1", "1/2"])
def test_what_is_no_amount_is_refused(written: str) -> None:
    (bad,) = parse(f"A,C,,2026-01-05,{written}").bad
    assert "amount" in bad.reason
    assert "金額" in bad.reason


def test_another_currency_has_its_own_minor_unit() -> None:
    assert (
        facts(one("A,C,2026-01-05,11.77,usd", heading="order_id,customer_id,ordered_at,amount,currency")).total == 1_177
    )


# --- lines of one order

LINES = "order_id,customer_id,ordered_at,amount,product_id,product_title,quantity,unit_price"


def test_rows_of_one_order_are_its_lines() -> None:
    event = one("A,C,2026-01-05,5000,P1,茶,2,1000", "A,C,2026-01-05,,P2,菓子,1,3000", heading=LINES)
    assert facts(event).total == 5_000
    assert [(line.product_id, line.quantity, line.unit_amount) for line in facts(event).lines] == [
        ("P1", 2, 1_000),
        ("P2", 1, 3_000),
    ]


def test_the_total_may_be_repeated_or_stand_on_any_line() -> None:
    assert facts(one("A,C,2026-01-05,,P1,茶,,", "A,C,2026-01-05,5000,P2,菓子,,", heading=LINES)).total == 5_000
    assert facts(one("A,C,2026-01-05,5000,P1,茶,,", "A,C,2026-01-05,5000,P2,菓子,,", heading=LINES)).total == 5_000


def test_a_single_line_without_a_price_is_worth_the_total() -> None:
    assert facts(one("A,C,2026-01-05,5000,P1,茶,2,", heading=LINES)).lines[0].unit_amount == 2_500


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ("A,C,2026-01-05,6000,P2,菓子,1,1", "amount differs"),
        ("A,C,2026-01-06,5000,P2,菓子,1,1", "ordered_at differs"),
        ("A,D,2026-01-05,5000,P2,菓子,1,1", "customer differs"),
        ("A,C,2026-01-05,5000,P2,菓子,x,1", "quantity"),
        ("A,C,2026-01-05,5000,P2,菓子,1,x", "unit_price"),
    ],
)
def test_never_half_an_order(other: str, why: str) -> None:
    file = parse("A,C,2026-01-05,5000,P1,茶,1,1", other, "B,C,2026-01-05,1,P1,茶,1,1", heading=LINES)
    assert [facts(event).order_id for event in file.events] == ["B"]
    assert [row.line for row in file.bad] == [2, 3]
    assert why in file.bad[1].reason
    assert "line 3" in file.bad[0].reason


@pytest.mark.parametrize(
    ("written", "cancelled"), [("1", True), ("はい", True), ("TRUE", True), ("", False), ("0", False)]
)
def test_a_cancelled_order_goes_in_as_cancelled(written: str, cancelled: bool) -> None:
    event = one(f"A,C,2026-01-05,1,{written}", heading="注文番号,顧客番号,注文日,金額,キャンセル")
    assert (facts(event).cancelled_at is not None) is cancelled


# --- rows and files that are refused


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (",C,,2026-01-05,1", "order_id is empty"),
        ("A,,,2026-01-05,1", "all empty"),
        ("A,C,not-a-mail,2026-01-05,1", "mail address"),
        ("A,C,,2026-01-05", "4 columns"),
        ("A,C,,2026-01-05,1,2", "6 columns"),
    ],
)
def test_a_bad_row_is_listed_and_the_others_go_in(row: str, why: str) -> None:
    file = parse("X,C,,2026-01-05,1", row, "Y,C,,2026-01-05,1")
    assert len(file.events) == 2
    assert file.rows == 3
    (bad,) = file.bad
    assert (bad.line, why in bad.reason, " / " in bad.reason) == (3, True, True)


def test_empty_rows_and_line_breaks_in_cells_do_not_shift_the_line_numbers() -> None:
    file = parse('A,"C\nX",,2026-01-05,1', "", ",,,,", "B,C,,bad,1")
    assert [row.line for row in file.bad] == [6]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "heading lacks"),
        (b"order_id,amount\n", "ordered_at"),
        (b"order_id,ordered_at,amount\n", "customer_id or email or phone"),
        (b"order_id\x81\x20", "UTF-8"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b'order_id,customer_id,ordered_at,amount\nA,"' + b"x" * 200_000, "quotation"),
    ],
    ids=range(6),
)
def test_what_is_no_order_file_is_refused_as_a_whole(content: bytes, why: str) -> None:
    with pytest.raises(RejectedError, match=why):
        read_bytes("orders", content)


def test_a_file_of_tabs_and_nul_bytes_harms_nobody() -> None:
    assert parse("A\x00,C\x07,,2026-01-05,1").events[0].person.source_customer_id == "C"


def test_refused_rows_come_back_as_a_file_to_correct() -> None:
    file = parse('=cmd|calc,C,,bad,"1,000"', "＋1,C,,bad,1")
    rows = list(csv.reader(io.StringIO(rejected_csv(file.reading).decode("utf-8-sig"))))
    assert rows[0][2:] == HEADING.split(",")
    assert rows[1][0] == "2"
    assert rows[1][2:] == ["'=cmd|calc", "C", "", "bad", "1,000"]
    assert rows[2][2] == "'＋1"


# --- the same file twice


def test_the_same_file_is_the_same_events_and_the_same_import() -> None:
    rows = ("A,C,,2026-01-05,1", "B,D,d@example.com,2026-01-06,2")
    assert parse(*rows).events == parse(*rows).events
    assert history.import_id("x", "1") == history.import_id("x", "1") != history.import_id("x", "2")


def test_the_event_id_says_nothing_about_a_person() -> None:
    ids = {one(f"A,C,{mail},2026-01-05,1").event_id for mail in ("a@example.com", "b@example.com")}
    assert len(ids) == 1


def test_a_corrected_file_wins_by_its_revision() -> None:
    first = parse("A,C,,2026-01-05,1").events[0]
    second = parse("A,C,,2026-01-05,2", options=replace(OPTIONS, revision=2)).events[0]
    assert (second.version, second.event_id) > (first.version, first.event_id)


def test_a_file_may_say_when_an_order_changed() -> None:
    event = one("A,C,2026-01-05,1,2026-02-01", heading="order_id,customer_id,ordered_at,amount,updated_at")
    assert event.version == "2026-02-01T03:00:00.000000Z"


# --- any file at all

CELL = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["A-1", "A-2", "C1", "c1@example.com", "2026-01-05", "2026/01/05 10:00", "1000", "¥1,000", '"', ",", "\n"]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(CELL, min_size=3, max_size=7), max_size=12))
def test_any_rows_are_read_or_listed_and_none_is_lost(rows: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(HEADING.split(","))
    writer.writerows(rows)
    content = out.getvalue().encode("utf-8", "surrogatepass")
    try:
        file = read_bytes("orders", content)
    except RejectedError:
        return
    assert all(bad.reason and bad.line > 1 for bad in file.bad)
    good = {facts(event).order_id for event in file.events}
    assert len(good) == len(file.events)
    assert file.rows - len(file.bad) >= len(good)
    if not file.bad:
        assert len({row for row in map(tuple, rows) if any(map(str.strip, row))}) == 0 or good


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for head in (b"", HEADING.encode() + b"\n"):
        with suppress(RejectedError):
            read_bytes("orders", head + content)


# --- chunks


def test_a_person_is_in_one_chunk_however_their_rows_are_linked() -> None:
    rng = random.Random(4)
    rows = []
    for number in range(3_000):
        person = rng.randrange(900)
        customer = f"C{person}" if rng.random() < 0.7 else ""
        mail = f"P{person}@Example.com" if not customer or rng.random() < 0.5 else ""
        rows.append(f"A{number},{customer},{mail},2026-01-05,1")
    events = parse(*rows).events
    with history.Pack() as pack:
        for event in events:
            pack.add(event)
        chunks = [history.read_chunk(chunk) for chunk in pack.chunks(500)]
    assert sorted(e.event_id for chunk in chunks for e in chunk) == sorted(e.event_id for e in events)
    assert 6 <= len(chunks) <= 9
    homes: dict[str, set[int]] = {}
    for number, chunk in enumerate(chunks):
        for event in chunk:
            for key in (event.person.source_customer_id, (event.person.email or "").lower()):
                if key:
                    homes.setdefault(key, set()).add(number)
    assert {len(home) for home in homes.values()} == {1}


def test_a_chunk_comes_back_as_it_went_and_is_the_same_bytes_every_time() -> None:
    events = parse("A,C,,2026-01-05,5000", "B,,d@example.com,2026-01-05,1").events
    chunk = history.write_chunk(events)
    assert history.read_chunk(chunk) == list(events)
    assert history.write_chunk(events) == chunk
    assert history.read_chunk(history.write_chunk([])) == []


GOOD_CHUNK = history.write_chunk(parse("A,C,,2026-01-05,5000").events)


@pytest.mark.parametrize(
    "damage",
    [b"", b"x", b"\x1f\x8b" + b"0" * 40, GOOD_CHUNK[:-9], GOOD_CHUNK[:40] + b"\xff\xff" + GOOD_CHUNK[42:]],
    ids=range(5),
)
def test_a_damaged_chunk_is_refused(damage: bytes) -> None:
    with pytest.raises(RejectedError):
        history.read_chunk(damage)


def test_a_chunk_of_something_else_is_refused() -> None:
    with pytest.raises(RejectedError):
        history.read_chunk(gzip.compress(b'{"not": "an event"}\n'))


def test_a_chunk_is_found_by_tenant_and_import() -> None:
    assert history.chunk_key(TenantId("sample"), "abc", 7) == "imports/sample/abc/chunk-00007.jsonl.gz"
