"""The one reader of all files: encodings, mappings, limits, and that the same bytes are the same events."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, TenantId
from shared.core.shop import Shop
from shared.ingest import history
from shared.ingest.adapter import Connection
from shared.ingest.codec import event_json
from shared.ingest.files import report
from shared.ingest.files.importing import home, import_name
from shared.ingest.files.inbox import InboxPorts, take_in
from shared.ingest.files.mapping import FileMapping
from shared.ingest.files.registry import kind, kinds
from shared.ingest.model import Event
from tests.unit.ingest.files.reader import NOW, OPTIONS, Read, read, read_bytes

ORDERS = "注文番号,会員ID,注文日,合計金額,氏名\n"


def test_what_windows_writes_is_read_to_the_letter() -> None:
    text = ORDERS + "A,7,2026-01-05,100,髙﨑①～㈱\n"
    for encoding in ("utf-8", "utf-8-sig", "cp932", "utf-16"):
        assert read("orders", text, encoding).events[0].person.last_name == "髙﨑①～㈱"


@pytest.mark.parametrize(("said", "meant"), [("sjis", "cp932"), ("Shift_JIS", "cp932"), ("UTF-8", "utf-8-sig")])
def test_an_encoding_may_be_said(said: str, meant: str) -> None:
    from shared.ingest.files.sheet import Sheet

    content = (ORDERS + "A,7,2026-01-05,100,見本\n").encode(meant)
    assert Sheet(io.BytesIO(content), said).encoding == meant
    with pytest.raises(RejectedError, match="文字コード"):
        Sheet(io.BytesIO("氏名\n見本\n".encode("cp932")), "utf-8")
    with pytest.raises(RejectedError, match="文字コード"):
        Sheet(io.BytesIO(content), "klingon")


def test_full_width_digits_and_spaces_are_digits_and_spaces() -> None:
    (event,) = read("orders", ORDERS + "Ａ－１,７,２０２６／１／５,１２３４５円,見本　花子\n").events
    assert event.subject.endswith("/A-1")
    assert (event.person.source_customer_id, event.person.first_name) == ("7", "花子")
    assert event.occurred_at == datetime(2026, 1, 5, 3, tzinfo=UTC)


def test_what_excel_makes_of_dates_and_numbers_is_read_where_nothing_is_lost() -> None:
    found = read(
        "orders", ORDERS + '"=""0012""",7,46327,100,見本\n13,7,46327.4375,100,\n1.23457E+11,7,2026-01-05,100,\n'
    )
    assert [event.subject.rpartition("/")[2] for event in found.events] == ["0012", "13"]
    assert [event.occurred_at for event in found.events] == [
        datetime(2026, 11, 1, 3, tzinfo=UTC),
        datetime(2026, 11, 1, 1, 30, tzinfo=UTC),
    ]
    (lost,) = found.bad
    assert lost.line == 4
    assert "桁が Excel で失われています" in lost.reason


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ("orders", ORDERS + "{long},7,2026-01-05,100,\nA,7,2026-01-05,100,\n"),
        ("subscriptions", "定期番号,会員ID\n{long},7\nA,7\n"),
        (
            "offline_orders",
            "伝票番号,店舗名,販売日時,金額,会員ID\n1,{long},2026-01-05,100,7\n1,本店,2026-01-05,100,7\n",
        ),
    ],
    ids=["orders", "subscriptions", "offline_orders"],
)
def test_a_note_in_place_of_a_number_costs_its_row_and_not_the_import(named: str, text: str) -> None:
    """It would be part of a key of more than the 1,024 bytes that DynamoDB takes."""
    found = read(named, text.format(long="備考" * 200))
    assert ["長すぎます" in bad.reason for bad in found.bad] == [True]
    assert len(found.events) == 1


def test_a_workbook_is_refused_with_what_to_do() -> None:
    with pytest.raises(RejectedError, match="CSV UTF-8（コンマ区切り）"):
        read_bytes("orders", b"PK\x03\x04" + bytes(100))


def test_a_cell_may_hold_line_breaks_and_the_lines_are_still_counted_right() -> None:
    found = read("orders", ORDERS + 'A,7,2026-01-05,100,"見本\n花子"\nB,7,bad,100,見本\n')
    assert found.events[0].person.first_name == "花子"
    assert [row.line for row in found.bad] == [4]


def test_a_ragged_row_is_listed_unless_only_empty_cells_are_too_many() -> None:
    found = read("orders", ORDERS + "A,7,2026-01-05,100\nB,7,2026-01-05,100,見本,,\nC,7,2026-01-05,100,見本,x\n")
    assert [event.subject[-1] for event in found.events] == ["B"]
    assert [(row.line, row.reason.partition("です")[0]) for row in found.bad] == [(2, "列数が4"), (4, "列数が6")]


# --- mappings


def test_a_mapping_beats_the_guess_and_may_leave_a_column_out() -> None:
    mapping = FileMapping(columns={"おきゃくさま": "customer_id", "会員ID": "", "整理番号": "number"})
    text = "整理番号,会員ID,おきゃくさま,注文日,合計\nA,1,2,2026-01-05,100\n"
    (event,) = read("orders", text, mapping=mapping).events
    assert event.person.source_customer_id == "2"
    assert event.subject.endswith("/A")


@pytest.mark.parametrize(
    "mapping", [FileMapping(columns={"会員ID": "nonsense"}), FileMapping(values={"nonsense": "1"})]
)
def test_a_mapping_to_nothing_is_refused(mapping: FileMapping) -> None:
    with pytest.raises(RejectedError, match="nonsense"):
        read("orders", ORDERS, mapping=mapping)


def test_mappings_are_typed_as_pairs() -> None:
    mapping = FileMapping().with_pairs(["a=b=number", "x="], ["basis=同意"])
    assert (mapping.columns, mapping.values) == ({"a=b": "number", "x": ""}, {"basis": "同意"})
    with pytest.raises(RejectedError):
        FileMapping().with_pairs(["nothing"])


def test_the_report_says_what_is_read_what_is_not_and_what_was_refused() -> None:
    found = read("orders", ORDERS.strip() + ",備考\nA,7,2026-01-05,100,見本,x\nB,7,2026-02-05,200,見本,x\nC,7,,1,,\n")
    shown = "\n".join(report.lines(found.reading))
    assert "3 行（UTF-8）: 受注 2 件、取り込めない行 1" in shown
    assert "期間 2026-01-05 〜 2026-02-05" in shown
    assert "合計 ¥300" in shown
    assert "使わない列 備考" in shown
    assert "4 行目: 注文日時" in shown
    document = report.document(found.reading)
    assert (document["rows"], document["events"], document["refused"]) == (3, 2, 1)
    assert "見本" not in str(document), "no cell of the file"


def test_a_reason_that_many_rows_share_is_said_once_with_the_first_of_them() -> None:
    lone = "A,7,2026-01-05,x,\n"
    same = "".join(f"B{number},7,,1,\n" for number in range(1_000))
    shown = list(report.lines(read("orders", ORDERS.strip() + "\n" + lone + same).reading))[-2:]
    assert shown[0].startswith("  1,000 行（3・4・5・6・7 行目ほか）: 注文日時")
    assert shown[1].startswith("  2 行目: ")


# --- whose numbers


def _connection(source: str, store: str) -> Connection:
    return Connection(ConnectionId("x"), TenantId("sample"), source, store, "secret")


def test_the_only_connection_is_whose_numbers_a_file_holds() -> None:
    found = home([_connection("shopify", "a")], FileMapping())
    assert (found.source, found.store, found.sure) == ("shopify", "a", True)


def test_a_site_line_and_a_call_centre_bring_no_orders_and_are_nobodys_numbers() -> None:
    beside = [_connection(source, "z") for source in ("track", "line", "callcentre")]
    found = home([*beside, _connection("shopify", "a")], FileMapping())
    assert (found.source, found.store, found.sure) == ("shopify", "a", True)
    assert home(beside, FileMapping()).sure


def test_of_several_connections_nobody_can_know() -> None:
    found = home([_connection("shopify", "a"), _connection("shopify", "b")], FileMapping())
    assert (found.source, found.store, found.sure) == ("import", "history", False)


@pytest.mark.parametrize(
    ("key", "report", "where"),
    [
        ("inbox/sample/orders/a.csv", "inbox/sample/orders/a.csv.report.json", "<種類>/<カート>/<カートの店>/"),
        ("sample/orders/b.csv", "inbox/sample/orders/b.csv.report.json", "inbox/<店>/<種類>/<ファイル>.csv"),
    ],
)
def test_a_file_nobody_can_place_is_refused_in_the_inbox_with_where_to_put_it(
    key: str, report: str, where: str
) -> None:
    said: dict[str, str] = {}

    class Bucket:
        def put_object(self, Key: str, Body: bytes, **_: object) -> None:  # noqa: N803
            said[Key] = Body.decode()

    nothing: Any = None
    ports = InboxPorts(
        importing=nothing,
        s3=Bucket(),
        bucket="inbox",
        shop=lambda tenant: Shop(tenant, "見本商店"),
        mapping=lambda *_: FileMapping(),
        connections=lambda: [_connection("shopify", "a"), _connection("square", "b")],
        personal_key=lambda: b"",
    )
    take_in(json.dumps({"detail": {"bucket": {"name": "inbox"}, "object": {"key": key}}}), ports, NOW)
    assert where in said[report]


def test_what_is_said_beats_what_was_saved_and_that_the_connection() -> None:
    connections = [_connection("shopify", "a"), _connection("square", "b")]
    saved = FileMapping(source="shopify", store="a")
    assert (home(connections, saved).source, home(connections, saved).store) == ("shopify", "a")
    assert home(connections, saved, "square", "b").source == "square"
    assert home(connections, FileMapping(), "square").store == "b"
    with pytest.raises(RejectedError, match="--store"):
        home(connections, FileMapping(), "ecforce")


# --- the same again


def test_the_same_file_is_the_same_import_and_another_reading_of_it_is_another() -> None:
    content = (ORDERS + "A,7,2026-01-05,100,見本\n").encode()
    names = [import_name(read_bytes("orders", content).reading, FileMapping()) for _ in range(2)]
    assert names[0] == names[1]
    others = [
        import_name(read_bytes("orders", content, replace(OPTIONS, store="b")).reading, FileMapping()),
        import_name(read_bytes("orders", content).reading, FileMapping(columns={"会員ID": "customer_id"})),
        import_name(read_bytes("orders", content + b"\n").reading, FileMapping()),
    ]
    assert len({names[0], *others}) == 4


WORDS = st.sampled_from(
    [
        "",
        "A-1",
        "7",
        "a@example.jp",
        "2026-01-05",
        "2026/1/5 10:00",
        "100",
        "1",
        "0",
        "同意",
        "継続",
        "Q1",
        "不在",
        "茶",
        "髙",
    ]
) | st.text(st.characters(codec="cp932", exclude_categories=["Cc"], exclude_characters="¢£¬‖−〜"), max_size=6)


def _content(kind_name: str, rows: list[list[str]], encoding: str = "utf-8") -> bytes:
    columns = kind(kind_name).columns
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([column.title for column in columns])
    writer.writerows((row * len(columns))[: len(columns)] for row in rows)
    return out.getvalue().encode(encoding)


def _said(found: Read) -> list[Event]:
    return list(found.events)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from([each.name for each in kinds()]), st.lists(st.lists(WORDS, min_size=3, max_size=9), max_size=8))
def test_any_rows_of_any_kind_are_read_or_listed_and_the_same_every_time(kind_name: str, rows: list[list[str]]) -> None:
    content = _content(kind_name, rows)
    once, again = read_bytes(kind_name, content), read_bytes(kind_name, content)
    assert _said(once) == _said(again)
    assert once.bad == again.bad
    assert all(bad.reason and bad.line > 1 for bad in once.bad)
    assert once.reading.figures.events == len(once.events)
    if not once.events:
        assert once.rows == len(once.bad)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([each.name for each in kinds()]), st.lists(st.lists(WORDS, min_size=3, max_size=9), max_size=8))
def test_in_shift_jis_it_says_the_same(kind_name: str, rows: list[list[str]]) -> None:
    if kind_name == "consents":
        return  # its evidence is the digest of the bytes
    one, other = (read_bytes(kind_name, _content(kind_name, rows, encoding)) for encoding in ("utf-8", "cp932"))
    assert _said(one) == _said(other)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([each.name for each in kinds()]), st.lists(st.lists(WORDS, min_size=3, max_size=9), max_size=8))
def test_events_go_through_chunks_and_come_back_as_they_were(kind_name: str, rows: list[list[str]]) -> None:
    events = _said(read_bytes(kind_name, _content(kind_name, rows)))
    with history.Pack() as pack:
        for event in events:
            pack.add(event)
        back = [event for chunk in pack.chunks(2) for event in history.read_chunk(chunk)]
    assert sorted(back, key=event_json) == sorted(events, key=event_json)
    assert {at.tzinfo for event in back for at in (event.occurred_at, event.received_at)} <= {UTC}


@given(st.lists(WORDS, min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_refused_rows_come_back_cell_for_cell_and_run_in_no_spreadsheet(row: list[str]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["受注番号", "受注日", "金額", "会員ID"], ["A", "bad", "=1+1", *row]])
    found = read_bytes("orders", text.getvalue().encode())
    rows = list(csv.reader(io.StringIO(report.rejected_csv(found.reading).decode("utf-8-sig"))))
    assert rows[1][2:5] == ["A", "bad", "'=1+1"]
    assert not any(cell.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) for cell in rows[1][2:])
