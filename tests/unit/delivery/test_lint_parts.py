"""Parts for LINE, SMS, letters, calls and webhooks: each rule has a part that breaks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.delivery.channels.line import read_messages
from shared.delivery.lint import GIVEN, lint_template
from shared.delivery.lint_names import names_anybody, names_customer
from shared.delivery.lint_parts import OTHER_PARTS, QUOTES, hostile
from shared.delivery.model import Purpose
from shared.delivery.render import TemplateStore
from tests.contract.delivery.line_schema import check

BUBBLE: dict[str, Any] = {
    "type": "bubble",
    "hero": {"type": "image", "url": "https://shop.example.jp/a.png"},
    "body": {"type": "box", "layout": "vertical", "contents": [{"type": "text", "text": "新茶"}]},
}
FLEX = {"type": "flex", "altText": "新茶が入荷しました", "contents": BUBBLE}
IMAGE = {"type": "image", "originalContentUrl": "https://x.example/a.png", "previewImageUrl": "https://x.example/a.png"}
NOWHERE = {"type": "button", "action": {"type": "uri", "label": "見る", "uri": "javascript:alert(1)"}}


def findings(part: str, text: str, purpose: Purpose = Purpose.MARKETING) -> list[str]:
    return list(OTHER_PARTS[part](text, purpose))


def test_good_messages_pass_and_are_what_line_describes() -> None:
    messages = [{"type": "text", "text": "こんにちは"}, IMAGE, FLEX, {**FLEX, "contents": carousel(2)}]
    assert findings("line.json", json.dumps(messages)) == []
    check("PushMessageRequest", {"to": "U" + "0" * 32, "messages": messages})


def carousel(count: int) -> dict[str, Any]:
    return {"type": "carousel", "contents": [BUBBLE] * count}


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "list of 1 to 5"),
        ([{"type": "text", "text": "x"}] * 6, "list of 1 to 5"),
        ({"type": "text", "text": "x"}, "list of 1 to 5"),
        (["x"], "no object"),
        ([{"type": "text", "text": ""}], "1 to 5000 letters"),
        ([{"type": "text", "text": "あ" * 5001}], "1 to 5000 letters"),
        ([{"type": "text", "text": "😀" * 2501}], "1 to 5000 letters"),
        ([{"type": "text", "text": "None 様"}], "missing value"),
        ([{"type": "sticker"}], "not text, image or flex"),
        ([{**IMAGE, "previewImageUrl": "http://x.example/a.png"}], "previewImageUrl"),
        ([{**FLEX, "altText": ""}], "altText"),
        ([{**FLEX, "contents": {"type": "box"}}], "bubble or a carousel"),
        ([{**FLEX, "contents": carousel(13)}], "12 bubbles"),
        ([{**FLEX, "contents": {**BUBBLE, "footer": NOWHERE}}], "leads nowhere"),
        ([{**FLEX, "contents": {**BUBBLE, "footer": {"type": "text", "text": ""}}}], "empty"),
        ([{**FLEX, "contents": {**BUBBLE, "footer": {"type": "text", "text": "x" * 30_000}}}], "30000 bytes"),
    ],
)
def test_what_line_would_refuse_is_said_before(messages: Any, says: str) -> None:
    assert any(says in finding for finding in findings("line.json", json.dumps(messages)))


@pytest.mark.parametrize(
    ("part", "text", "says"),
    [
        ("line.json", '[{"type": "text", "text": "a"b"}]', "| json"),
        ("sms.txt", "新茶が入荷しました", "配信停止"),
        ("sms.txt", "停止 " + "あ" * 300, "parts"),
        ("postal.txt", "", "letters"),
        ("postal.txt", "あ" * 401, "letters"),
        ("postal.txt", "None 様", "missing value"),
        ("call.json", "{}", "lacks reason, script"),
        ("call.json", "[", "no JSON"),
        ("webhook.json", "[]", "JSON object"),
    ],
)
def test_every_other_part_is_held_to_its_own_rules(part: str, text: str, says: str) -> None:
    assert any(says in finding for finding in findings(part, text))


def test_an_sms_that_is_due_by_contract_needs_no_way_out() -> None:
    assert findings("sms.txt", "ご注文を発送しました", Purpose.TRANSACTIONAL) == []


def a_template(root: Path, line: str) -> list[str]:
    folder = root / "win_back" / "line"
    folder.mkdir(parents=True)
    (folder / "line.json").write_text(line, "utf-8")
    (folder / "meta.yaml").write_text("title: LINE\npurpose: marketing\nvariables: {}\n", "utf-8")
    return lint_template(TemplateStore(root), "win_back/line")


def test_a_template_of_line_alone_passes_with_every_variable_quoted(tmp_path: Path) -> None:
    line = '[{"type": "text", "text": {{ person.name | default: "お客" | append: " 様" | json }}}]'
    assert a_template(tmp_path, line) == []
    store = TemplateStore(tmp_path)
    (message,) = read_messages(store.render("win_back/line", ["line.json"], hostile(GIVEN, QUOTES))["line.json"])
    assert message["text"].startswith("見本")


def test_a_variable_without_the_filter_is_found_by_a_hostile_name(tmp_path: Path) -> None:
    found = a_template(tmp_path, '[{"type": "text", "text": "{{ person.name | default: "お客" }} 様"}]')
    assert any("| json" in finding and "quotation marks" in finding for finding in found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\n \n", "0 letters"),
        ("あ" * 49, "49 letters"),
        ("お知らせ\n" + "あ" * 1000, "at most 1000"),
        ("お知らせ\n前回: None", "missing value"),
    ],
)
def test_a_note_to_the_staff_has_a_subject_and_can_be_read(text: str, says: str) -> None:
    assert any(says in finding for finding in findings("notify.txt", text, Purpose.TRANSACTIONAL))
    assert findings("notify.txt", "お問い合わせの多い方がいらっしゃいます\n\nご様子をお伺いください。") == []


@pytest.mark.parametrize(
    ("said", "line", "variable"),
    [
        ("お知らせ\n{{ person.last_name }} 様", 2, "person.last_name"),
        ("お知らせ\n\n{% if person.name %}様{% endif %}", 3, "person.name"),
        ("お知らせ\n連絡先 {{ person.email | downcase }}", 2, "person.email"),
        ("お知らせ {{ person['phone'] }}", 1, "person.phone"),
        ("お知らせ\n{% assign who = person %}{{ who.name }}", 2, "person"),
        ("お知らせ\n{% render 'greeting.txt', person: person, shop: shop %}", 2, "person"),
        ("お知らせ\n{{ cart.recovery_url }}", 2, "cart.recovery_url"),
        ("お知らせ\n{{ unsubscribe_url }}", 2, "unsubscribe_url"),
    ],
)
def test_a_note_to_the_staff_that_says_who_it_is_about_is_refused_with_its_line(
    tmp_path: Path, said: str, line: int, variable: str
) -> None:
    (mistake,) = names_customer(a_note(tmp_path, said))
    assert (mistake.file, mistake.line, mistake.field) == ("win_back/staff/notify.txt", line, variable)
    assert "after an erasure" in mistake.reason
    assert "person.order_count" in mistake.suggestion
    (told,) = [each for each in lint_template(TemplateStore(tmp_path), "win_back/staff") if "mailboxes" in each]
    assert told == str(mistake)


def test_a_partial_that_says_who_it_is_about_is_found_in_its_own_file(tmp_path: Path) -> None:
    (mistake,) = names_customer(a_note(tmp_path, "お知らせ\n\n\n{% include 'greeting.txt' %}"))
    assert (mistake.file.endswith("_partials/greeting.txt"), mistake.line) == (True, 2)


def test_a_note_to_the_staff_may_say_what_kind_of_customer_it_is(tmp_path: Path) -> None:
    said = "お知らせ\n{{ person.order_count }}回 {{ person.ltv_tier }}{% if order %}{{ order.total }}{% endif %}"
    assert list(names_customer(a_note(tmp_path, said))) == []


@pytest.mark.parametrize(
    ("part", "said", "line", "variable"),
    [
        ("call.json", '{\n"reason": {{ person.name | json }},\n"script": "s"}', 2, "person.name"),
        ("call.json", '{"script": "s",\n"title": "{{ person.phone }}"}', 2, "person.phone"),
        ("call.json", '{% assign who = person.name %}{"reason": {{ who | json }}}', 1, "person.name"),
        ("call.json", '{"deadline": "{% render \'greeting.txt\', person: person %}"}', 1, "person"),
        ("postal.txt", "こんにちは\n{{ person.email }}", 2, "person.email"),
        ("postal.txt", "カート: {{ cart.recovery_url }}", 1, "cart.recovery_url"),
        ("postal.txt", "{{ person.name }} 様\n停止: {{ unsubscribe_url }}", 2, "unsubscribe_url"),
    ],
)
def test_what_more_people_read_than_may_know_says_no_more_than_it_may(
    tmp_path: Path, part: str, said: str, line: int, variable: str
) -> None:
    (mistake,) = names_customer(a_note(tmp_path, said, part))
    assert (mistake.line, mistake.field) == (line, variable)
    assert str(mistake) in lint_template(TemplateStore(tmp_path), "win_back/staff")


def test_who_calls_may_know_the_name(tmp_path: Path) -> None:
    said = '{"reason": "解約の見込み", "name": {{ person.name | json }}, "script": "{{ person.last_name }}様ですか"}'
    assert list(names_customer(a_note(tmp_path, said, "call.json"))) == []


@pytest.mark.parametrize(
    ("said", "line", "found"),
    [
        ("お問い合わせは\nhanako@example.com まで", 2, "hanako@example.com"),
        ("{% if cart\n %}{% endif %}090-0000-0000", 2, "090-0000-0000"),
        ("お電話 08000000000", 1, "08000000000"),
        ("0120-000-000、{{ sender.contact }}、注文 1090000000001、logo@2x.png", 0, ""),
    ],
)
def test_an_address_written_into_a_text_is_told_with_its_line(tmp_path: Path, said: str, line: int, found: str) -> None:
    assert [(each.line, each.field) for each in names_anybody(a_note(tmp_path, said))] == [(line, found)] * bool(line)


def a_note(root: Path, said: str, part: str = "notify.txt") -> Path:
    folder, partials = root / "win_back" / "staff", root / "_partials"
    folder.mkdir(parents=True)
    partials.mkdir()
    (partials / "greeting.txt").write_text("いつもありがとうございます\n{{ person.name }} 様", "utf-8")
    (folder / part).write_text(said, "utf-8")
    (folder / "meta.yaml").write_text("title: 社内通知\npurpose: transactional\nvariables: {}\n", "utf-8")
    return folder / part
