"""Letters: addresses as a printer wants them, one object a letter, files safe to open, cards that are whole."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from infra.cli.postal import export_to
from infra.cli.postcards import postcards
from infra.cli.tray import Desk, listed
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId, SendId
from shared.delivery.channels.call import PART, CallChannel, read_task
from shared.delivery.channels.channel import Message, RefusedError
from shared.delivery.channels.postal import KIND, TEXT, UNDELIVERABLE, PostalChannel, response_code, with_code
from shared.delivery.model import Purpose, SendKey
from shared.delivery.postal_address import (
    NO_BLOCK,
    NO_CODE,
    NO_NAME,
    NO_PLACE,
    OTHER_PREFECTURE,
    PREFECTURES,
    UndeliverableError,
    clean,
)
from shared.delivery.printing import CALL_COLUMNS, LETTER_COLUMNS, as_dialled, csv_of
from shared.delivery.sender import Sender
from shared.delivery.tray import MemoryTray, waiting
from tests.unit.delivery.world import TENANT, a_shop

SENDER = Sender(
    "news@shop.example.jp", "見本商店", "株式会社見本", "〒100-0000 東京都千代田区見本町1-2-3", "03-0000-0000"
)
LABEL = "〒１００ー０００１\n東京都千代田区千代田１−１　見本ﾋﾞﾙ３階\n見本 花子 様"


def a_letter(
    send: str = "s1", to: str = LABEL, text: str = "いつもありがとうございます。\n新茶が入荷しました。"
) -> Message:
    return Message(
        key=SendKey(TENANT, CustomerId("hanako"), SendId(send)),
        scenario="win_back",
        step="letter",
        purpose=Purpose.MARKETING,
        sender=SENDER,
        to=to,
        parts={TEXT: text},
        unsubscribe_url="https://go.example.jp/v1/unsubscribe/x",
    )


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("１００－０００１|東京都千代田区千代田１－１|見本　花子", "1000001|東京都|千代田区千代田1-1|見本 花子 様"),
        ("〒530-0001|大阪府大阪市北区梅田3ｰ1ー3|見本様", "5300001|大阪府|大阪市北区梅田3-1-3|見本 様"),
        ("6048006|京都府京都市中京区ﾄﾞｰﾑ1−2|ﾐﾎﾝ ﾊﾅｺ", "6048006|京都府|京都市中京区ドーム1-2|ミホン ハナコ 様"),
        ("0600001|北海道北海道札幌市北一条西２丁目|髙﨑", "0600001|北海道|札幌市北一条西2丁目|髙﨑 様"),
        ("100-0001|千代田区千代田1‐1 サーバービル|\ufa19田", "1000001||千代田区千代田1-1 サーバービル|\ufa19田 様"),
    ],
)
def test_addresses_are_printed_in_one_form(written: str, printed: str) -> None:
    code, address, name = written.split("|")
    found = clean(code, address, name)
    assert "|".join((found.postal_code, found.prefecture, found.place, found.name)) == printed


@pytest.mark.parametrize(
    ("code", "address", "name", "why"),
    [
        ("100-001", "東京都千代田区千代田1-1", "見本", NO_CODE),
        ("000-0000", "東京都千代田区千代田1-1", "見本", NO_CODE),
        ("", "東京都千代田区千代田1-1", "見本", NO_CODE),
        ("100-0001", "東京都", "見本", NO_PLACE),
        ("100-0001", "東京都千代田区千代田", "見本", NO_BLOCK),
        ("100-0001", "東京都千代田区千代田1-1", "様", NO_NAME),
        ("100-0001", "東京都千代田区千代田1-1", "\u200b ", NO_NAME),
    ],
)
def test_what_would_come_back_is_not_printed(code: str, address: str, name: str, why: str) -> None:
    with pytest.raises(UndeliverableError, match=why):
        clean(code, address, name)


def test_a_prefecture_far_from_its_postal_code_is_pointed_out_and_not_refused() -> None:
    assert clean("100-0001", "大阪府大阪市北区1-1", "見本").note == OTHER_PREFECTURE
    assert len(PREFECTURES) == 47


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=30))
def test_an_address_is_printed_clean_or_refused(code: str, address: str, name: str) -> None:
    try:
        found = clean(code, address, name)
    except UndeliverableError:
        return
    again = clean(found.postal_code, found.prefecture + found.place, found.name)
    assert (again.postal_code, again.place, again.name) == (found.postal_code, found.place, found.name)
    assert "\n" not in found.place + found.name


def test_a_letter_is_left_once_with_a_code_of_its_own() -> None:
    tray = MemoryTray()
    channel = PostalChannel(tray, lambda tenant: "https://shop.example.jp/?a=1")
    first, again = channel.send(a_letter()), channel.send(a_letter())
    assert first == again
    (letter,) = waiting(tray, TENANT, KIND)
    assert letter["place"] == "千代田区千代田1-1 見本ビル3階"
    assert letter["code"] in letter["url"]
    assert letter["url"].startswith("https://shop.example.jp/?a=1&mtk=")
    assert len({response_code(SendId(f"s{n}")) for n in range(20_000)}) == 20_000


def test_an_address_that_cannot_be_reached_is_listed_and_not_sent() -> None:
    tray = MemoryTray()
    with pytest.raises(RefusedError) as refused:
        PostalChannel(tray, lambda tenant: "https://shop.example.jp/").send(a_letter(to="〒1\n東京都\n見本 様"))
    assert "東京" not in str(refused.value)
    assert not waiting(tray, TENANT, KIND)
    assert [each["reason"] for each in waiting(tray, TENANT, UNDELIVERABLE)] == [NO_CODE]


def test_a_batch_is_printed_once_and_can_be_made_again(tmp_path: Path) -> None:
    tray = MemoryTray()
    channel = PostalChannel(tray, lambda tenant: "https://shop.example.jp/")
    for number in range(3):
        channel.send(a_letter(f"s{number}"))
    desk = Desk(a_shop(), tray)
    files = export_to(desk, "first", tmp_path, "cp932")
    assert sorted(path.name for path in files) == ["letters-first.csv", "postcards-first.pdf"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files), "only its owner reads addresses"
    assert export_to(desk, "second", tmp_path, "utf-8") == []
    channel.send(a_letter("s0"))
    assert waiting(tray, TENANT, KIND) == [], "a repeat of what was printed is no second letter"
    again = export_to(desk, "first", tmp_path / "again", "cp932", again="first")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in files]
    with pytest.raises(NotFoundError, match="first"):
        export_to(desk, "x", tmp_path, "utf-8", again="nothing")


@pytest.mark.parametrize("cell", ["=1+1", "+81", "-1", "@x", "\tx", "\rx", "＝1", "＋1", "－1", "＠x"])
def test_no_cell_is_a_formula(cell: str) -> None:
    rows = csv.reader(io.StringIO(csv_of([{"place": cell}], LETTER_COLUMNS, "utf-8").decode("utf-8-sig"), newline=""))
    assert f"'{cell}" in list(rows)[1]


def test_a_file_for_excel_begins_with_a_mark_and_cp932_loses_no_letter() -> None:
    letter = {"code": "A", "name": "髙﨑 様", "place": "千代田1-1"}
    assert csv_of([letter], LETTER_COLUMNS, "utf-8").startswith(b"\xef\xbb\xbf")
    assert "髙﨑 様" in csv_of([letter], LETTER_COLUMNS, "cp932").decode("cp932")
    with pytest.raises(RejectedError, match="CP932"):
        csv_of([{**letter, "name": "𠮷田 様"}], LETTER_COLUMNS, "cp932")


def test_a_card_has_two_pages_with_everything_on_them_and_its_font_inside() -> None:
    tray = MemoryTray()
    PostalChannel(tray, lambda tenant: "https://shop.example.jp/").send(a_letter())
    (letter,) = waiting(tray, TENANT, KIND)
    made = postcards([letter, letter])
    document = pypdfium2.PdfDocument(made)
    assert len(document) == 4
    assert [round(side / 72 * 25.4) for side in document[0].get_size()] == [100, 148]
    front, back = (document[page].get_textpage().get_text_range() for page in (0, 1))
    assert all(text in front for text in ("〒100-0001", "東京都千代田区千代田1-1", "見本 花子 様", "株式会社見本"))
    assert all(text in back for text in ("新茶が入荷しました。", f"コード {letter['code']}", "03-0000-0000"))
    assert b"/FontFile2" in made
    assert b"HeiseiKaku" not in made


def test_a_letter_the_font_lacks_is_refused_by_name() -> None:
    tray = MemoryTray()
    PostalChannel(tray, lambda tenant: "https://shop.example.jp/").send(a_letter(text="見本😀"))
    with pytest.raises(RejectedError, match="U\\+1F600"):
        postcards(waiting(tray, TENANT, KIND))


def test_a_task_without_a_reason_or_a_script_is_refused() -> None:
    with pytest.raises(RefusedError, match="reason, script"):
        read_task("{}")
    with pytest.raises(RefusedError, match="object of"):
        read_task('{"reason": "x", "script": "y", "email": "z"}')


@pytest.mark.parametrize(
    ("kept", "dialled"),
    [
        ("+818000000001", "080-0000-0001"),
        ("+81312345678", "03-1234-5678"),
        ("+81521234567", "052-123-4567"),
        ("+12025550100", "+12025550100"),
    ],
)
def test_who_calls_reads_the_number_as_it_is_dialled(kept: str, dialled: str) -> None:
    assert as_dialled(kept) == dialled


def test_a_task_waits_for_the_file_where_no_endpoint_is_connected() -> None:
    tray = MemoryTray()
    message = replace(
        a_letter(to="+818000000001"), parts={PART: '{"reason": "解約見込み", "script": "=お礼", "ltv": "¥1"}'}
    )
    CallChannel(lambda tenant: None, tray).send(message)
    rows = csv_of(waiting(tray, TENANT, "call"), CALL_COLUMNS, "utf-8").decode("utf-8-sig")
    assert ",080-0000-0001," in rows
    assert "'=お礼" in rows
    assert with_code("https://shop.example.jp/", "X").endswith("?mtk=X&utm_medium=postal")


def test_a_list_on_the_screen_shows_words_in_brackets_as_they_are() -> None:
    shown = io.StringIO()
    tasks = [{"task_id": "t1", "customer_id": "hanako", "reason": "[red]急ぎ"}]
    Console(file=shown, width=100).print(listed(tasks, ("task_id", "reason", "deadline"), CALL_COLUMNS))
    assert all(word in shown.getvalue() for word in ("タスクID", "理由", "期限", "t1", "[red]急ぎ"))
    assert "hanako" not in shown.getvalue()
