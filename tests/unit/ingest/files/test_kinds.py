"""Each kind of file as a shop really exports it: what its rows become, and what is refused and why."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.ids import TenantId
from shared.customers.identity import named_person
from shared.ingest.files import registry
from shared.ingest.files.mapping import FileMapping
from shared.ingest.files.model import FileOptions
from shared.ingest.files.registry import kind, kinds
from shared.ingest.model import (
    CallFacts,
    ConsentFacts,
    Event,
    EventType,
    OrderFacts,
    PointsFacts,
    ProductFacts,
    ProfileFacts,
    SubscriptionFacts,
    SubscriptionState,
    SurveyFacts,
)
from tests.unit.ingest.files.reader import read, read_bytes


def one(kind_name: str, text: str, mapping: FileMapping | None = None) -> Event:
    found = read(kind_name, text, mapping=mapping)
    assert not found.bad, [row.reason for row in found.bad]
    (event,) = found.events
    return event


def reason(kind_name: str, text: str) -> str:
    found = read(kind_name, text)
    assert not found.events
    (bad,) = found.bad
    assert bad.line == 2
    assert " / " in bad.reason
    return bad.reason


def test_a_kind_is_named_after_its_file_and_is_found_by_every_name() -> None:
    folder = Path(registry.__file__).parent / "kinds"
    assert [each.name for each in kinds()] == sorted(file.stem for file in folder.glob("[a-z]*.py"))
    for each in kinds():
        for name in (each.name, each.name.replace("_", "-"), each.title, *each.aliases):
            assert kind(name) is each, f"{name} is a name of {each.name} and of {kind(name).name}"


SIMPLEST = {
    "orders": "注文番号,注文日時,支払合計,メールアドレス\nA-1,2026-10-01 10:00,1200,a@example.com\n",
    "offline_orders": "伝票番号,店舗名,販売日時,金額,会員ID\n31,本店,2026-10-01 10:00,1200,7\n",
    "customers": "会員ID,生年月日\n7,1990-04-01\n",
    "products": "商品ID,商品名\nP-1,深蒸し煎茶\n",
    "subscriptions": "定期番号,会員ID\nS-1,7\n",
    "consents": "配信可否,同意日時,メールアドレス,根拠\n許可,2026-10-01 10:00,a@example.com,書面\n",
    "survey_answers": "アンケートID,回答日時,会員ID,満足度\nspring,2026-10-01 10:00,7,9\n",
    "points": "ポイント残高,会員ID\n120,7\n",
    "call_results": "架電日時,結果,会員ID\n2026-10-01,拒否,7\n",
}
"""The columns `files/README.md` says a file needs at least, and one row."""


@pytest.mark.parametrize("name", [each.name for each in kinds()])
def test_the_simplest_file_of_a_kind_is_read(name: str) -> None:
    assert name in SIMPLEST, f"write the simplest file of {name} into SIMPLEST"
    mapping = FileMapping(columns={"満足度": "number/nps"}) if name == "survey_answers" else None
    found = read(name, SIMPLEST[name], mapping=mapping)
    assert [row.reason for row in found.bad] == []
    assert found.events


def test_an_unknown_kind_is_refused_with_the_list() -> None:
    with pytest.raises(RejectedError, match="consents（配信許諾）"):
        kind("nonsense")


# --- 受注: exports of real carts

EC_CUBE = (
    "注文ID,注文番号,会員ID,お名前(姓),お名前(名),お名前(セイ),お名前(メイ),会社名,郵便番号,都道府県(ID),都道府県(名称),住所1,住所2,"
    "メールアドレス,TEL,小計,値引き,送料,合計,支払合計,対応状況(ID),対応状況(名称),受注日,商品ID,商品規格ID,商品名,商品コード,"
    "価格,個数,明細区分(名称),配送先_お名前(姓),配送先_TEL\n"
)
_BUYER = "12,20260501-12,7,髙﨑,①子,ﾀｶｻｷ,イチコ,,100-0001,13,東京都,千代田区,1-1,a@example.jp,０５０−００００−０１０１"


def _ec_cube(status: str, *lines: str) -> str:
    rows = (
        f'{_BUYER},3000,-100,500,3400,"３，４００",5,{status},2026/05/01 10:00:00,{line},届先,0500\n' for line in lines
    )
    return EC_CUBE + "".join(rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_an_order_as_ec_cube_exports_it(encoding: str) -> None:
    text = _ec_cube("発送済み", "3,9,茶,cha-1,1000,3,商品", ",,送料,,500,1,送料").replace("−", "-")
    (event,) = read("orders", text, encoding).events
    facts = event.facts
    assert isinstance(facts, OrderFacts)
    assert (facts.order_id, facts.number, facts.total, facts.goods_total, facts.discount) == (
        "12",
        "20260501-12",
        3_400,
        2_900,
        100,
    )
    assert [(line.product_id, line.variant_id, line.quantity, line.unit_amount) for line in facts.lines] == [
        ("3", "9", 3, 1_000)
    ], "shipping is no product"
    person = event.person
    assert (person.last_name, person.first_name, person.last_name_kana) == ("髙﨑", "①子", "タカサキ")
    assert (person.phone, person.postal_code, person.prefecture, person.address) == (
        "050-0000-0101",
        "100-0001",
        "東京都",
        "千代田区 1-1",
    )


def test_an_order_that_is_still_being_made_is_no_order_and_a_taken_back_one_is_cancelled() -> None:
    assert "まだ注文になっていません" in reason("orders", _ec_cube("購入処理中", "3,9,茶,cha-1,1000,3,商品"))
    facts = one("orders", _ec_cube("注文取消し", "3,9,茶,cha-1,1000,3,商品")).facts
    assert isinstance(facts, OrderFacts)
    assert facts.cancelled_at is not None
    assert not facts.paid


def test_an_order_as_shopify_exports_it_is_known_by_the_id_its_webhooks_use() -> None:
    text = (
        "Name,Email,Financial Status,Paid at,Currency,Subtotal,Shipping,Total,Discount Code,Discount Amount,Created at,"
        "Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Billing Name,Billing Phone,Cancelled at,Id\n"
        "#1001,a@example.com,paid,2026-01-02 10:00:00 +0900,JPY,3000,500,3500,HELLO,100,2026-01-02 10:00:00 +0900,"
        "1,茶,1000,cha-1,見本 花子,'+815000000101,,450789469\n"
        "#1001,a@example.com,,,,,,,,,2026-01-02 10:00:00 +0900,2,菓子,1000,kashi-1,,,,\n"
    )
    event = one("orders", text)
    facts = event.facts
    assert isinstance(facts, OrderFacts)
    assert (facts.order_id, facts.number, facts.total, facts.coupons) == ("450789469", "#1001", 3_500, ("HELLO",))
    assert facts.ordered_at == datetime(2026, 1, 2, 1, tzinfo=UTC)
    assert [line.title for line in facts.lines] == ["茶", "菓子"]
    assert (event.person.last_name, event.person.first_name, event.person.phone) == ("見本", "花子", "+815000000101")


def test_the_recipient_is_not_the_buyer() -> None:
    assert read("orders", _ec_cube("発送済み", "3,9,茶,c,1,1,商品")).events[0].person.last_name == "髙﨑"


def test_an_order_of_a_contract_keeps_its_number_and_which_delivery_it_was() -> None:
    facts = one(
        "orders", "受注番号,受注日,合計金額,会員番号,定期受注番号,定期回数,広告媒体\nA,2026-01-01,100,7,T1,3回目,LP1\n"
    ).facts
    assert isinstance(facts, OrderFacts)
    assert (facts.subscription_id, facts.delivery_number, facts.media) == ("T1", 3, "LP1")


# --- 店舗売上

POS = "伝票番号,店舗名,販売日時,会員番号,電話番号,メールアドレス,商品名,数量,単価,合計金額\n"


@pytest.mark.parametrize(
    ("who", "field", "found"),
    [
        ("7,,", "source_customer_id", "7"),
        (",090-0000-0001,", "phone", "090-0000-0001"),
        (",9000000001,", "phone", "09000000001"),
        (",,a@example.jp", "email", "a@example.jp"),
    ],
)
def test_a_sale_of_a_shop_is_an_offline_order_of_whoever_can_be_named(who: str, field: str, found: str) -> None:
    event = one("offline_orders", f"{POS}R-1,渋谷店,2026-02-03 18:30,{who},茶,2,500,1000\n")
    facts = event.facts
    assert isinstance(facts, OrderFacts)
    assert facts.offline
    assert (facts.branch, facts.number, facts.total) == ("渋谷店", "R-1", 1_000)
    assert getattr(event.person, field) == found


def test_the_same_slip_number_of_two_shops_is_two_orders_and_never_the_carts() -> None:
    rows = [f"{POS}R-1,{branch},2026-02-03,7,,,茶,1,500,500\n" for branch in ("渋谷店", "新宿店")]
    subjects = {one("pos", row).subject for row in rows}
    assert len(subjects) == 2
    assert "import/history/order/R-1" not in subjects


def test_a_slip_without_a_total_is_worth_its_lines() -> None:
    text = POS + "R-1,渋谷店,2026-02-03,7,,,茶,2,500,\n" + "R-1,渋谷店,2026-02-03,7,,,菓子,1,300,\n"
    facts = one("offline", text).facts
    assert isinstance(facts, OrderFacts)
    assert facts.total == 1_300


def test_a_sale_to_nobody_is_listed() -> None:
    assert "誰の購入か" in reason("offline", f"{POS}R-1,渋谷店,2026-02-03,,,,茶,2,500,1000\n")


def test_one_shop_may_be_said_once_for_the_whole_file() -> None:
    mapping = FileMapping(values={"branch": "本店"})
    facts = one("pos", "伝票番号,日時,会員番号,合計\nR-1,2026-02-03,7,100\n", mapping).facts
    assert isinstance(facts, OrderFacts)
    assert facts.branch == "本店"


# --- 顧客

CUSTOMERS = "会員ID,氏名,フリガナ,メールアドレス,住所,生年月日,性別,職業,会員登録日,タグ,更新日\n"


def test_a_customer_has_a_person_and_typed_attributes() -> None:
    row = "7,見本　花子,みほん　はなこ,a@example.jp,神奈川県横浜市1-1,昭和63年1月7日,女性,会社員,2020/4/1,"
    row += '"VIP,お茶好き",2026-03-01\n'
    event = one("customers", CUSTOMERS + row)
    assert isinstance(event.facts, ProfileFacts)
    assert event.event_type is EventType.CUSTOMER_UPDATED
    assert event.facts.attributes == {
        "birth_on": "1988-01-07",
        "gender": "female",
        "occupation": "会社員",
        "registered_on": "2020-04-01",
        "tags/VIP": True,
        "tags/お茶好き": True,
    }
    assert (event.person.last_name, event.person.first_name) == ("見本", "花子")
    assert (event.person.last_name_kana, event.person.first_name_kana) == ("ミホン", "ハナコ")
    assert (event.person.prefecture, event.person.address) == ("神奈川県", "横浜市1-1")
    assert event.occurred_at == datetime(2026, 3, 1, 3, tzinfo=UTC)


def test_a_column_of_the_shops_own_is_kept_under_its_name_unless_it_is_an_address() -> None:
    mapping = FileMapping(columns={"好きな味": "custom/taste"})
    event = one("customers", "会員ID,好きな味\n7,抹茶\n", mapping)
    assert isinstance(event.facts, ProfileFacts)
    assert event.facts.attributes == {"custom/taste": "抹茶"}
    event = one("customers", "会員ID,好きな味\n7,a@example.jp\n", mapping)
    assert isinstance(event.facts, ProfileFacts)
    assert event.facts.attributes == {}


def test_without_a_date_of_its_own_a_row_is_as_of_the_files_day() -> None:
    event = one("customers", "会員ID,性別\n7,男\n")
    assert event.occurred_at == datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize(("born", "why"), [("1788-01-01", "あり得ない"), ("2026-02-31", "2026-01-31 のように")])
def test_an_impossible_birthday_is_listed(born: str, why: str) -> None:
    assert why in reason("customers", f"会員ID,生年月日\n7,{born}\n")


# --- 商品


def test_variants_of_a_product_are_one_product_with_the_lowest_price_and_all_its_stock() -> None:
    text = "商品ID,商品名,商品カテゴリ(名称),販売価格,在庫数\n3,茶,飲料＞茶,1200,5\n3,茶,飲料＞茶,1000,7\n"
    facts = one("products", text).facts
    assert isinstance(facts, ProductFacts)
    assert (facts.product_id, facts.title, facts.category) == ("3", "茶", "飲料 > 茶")
    assert (facts.price, facts.currency, facts.stock) == (1_000, "JPY", 12)


def test_a_product_names_nobody() -> None:
    event = one("products", "商品コード,商品名\ncha-1,茶\n")
    assert event.person == type(event.person)()


# --- 定期

SUBSCRIPTIONS = (
    "定期受注番号,顧客番号,ステータス,申込日,お届け間隔,お届け回数,次回お届け日,"
    "解約日,解約理由,商品コード,商品名,単価\n"
)


def test_a_contract_and_its_products() -> None:
    rows = "".join(
        f"T1,7,継続中,2026-01-10,1ヶ月ごと,3回,2026/12/10,,,{code},{title},1000\n"
        for code, title in (("a", "茶"), ("b", "菓子"))
    )
    facts = one("subscriptions", SUBSCRIPTIONS + rows).facts
    assert isinstance(facts, SubscriptionFacts)
    assert facts.state is SubscriptionState.ACTIVE
    assert (facts.interval_count, facts.interval_unit, facts.deliveries) == (1, "month", 3)
    assert facts.next_delivery_on == date(2026, 12, 10)
    assert [line.product_id for line in facts.lines] == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "cycle"),
    [("30日", (30, "day")), ("30", (30, "day")), ("2週間", (2, "week")), ("３ヵ月に1回", (3, "month")),
     ("毎月", (1, "month")), ("隔月", (2, "month")), ("1年", (1, "year")), ("", (None, None))],
)  # fmt: skip
def test_cycles_as_shops_write_them(written: str, cycle: tuple[int | None, str | None]) -> None:
    facts = one("subscriptions", f"{SUBSCRIPTIONS}T1,7,継続,2026-01-10,{written},,,,,,,\n").facts
    assert isinstance(facts, SubscriptionFacts)
    assert (facts.interval_count, facts.interval_unit) == cycle


def test_a_state_we_do_not_know_is_unknown_and_an_ended_contract_says_why() -> None:
    facts = one("subscriptions", f"{SUBSCRIPTIONS}T1,7,解約済み,2026-01-10,,,,2026-05-01,価格,,,\n").facts
    assert isinstance(facts, SubscriptionFacts)
    assert (facts.state, facts.cancel_reason) == (SubscriptionState.CANCELLED, "価格")
    facts = one("subscriptions", f"{SUBSCRIPTIONS}T1,7,審査中,2026-01-10,,,,,,,,\n").facts
    assert isinstance(facts, SubscriptionFacts)
    assert facts.state is SubscriptionState.UNKNOWN


# --- 配信許諾

CONSENTS = "会員ID,メールアドレス,チャネル,配信可否,根拠,同意日時\n"


def test_a_permission_from_a_file_carries_its_evidence_and_is_never_the_customers_own_word() -> None:
    found = read("consents", f"{CONSENTS}7,a@example.jp,メール,希望する,書面,2026-01-01\n")
    facts = found.events[0].facts
    assert isinstance(facts, ConsentFacts)
    assert (facts.channel, facts.granted, facts.basis) == ("email", True, "written_notice")
    assert facts.by_customer is False
    assert facts.method == f"import:{found.reading.digest}"


def test_a_permission_without_its_basis_is_refused_and_a_refusal_without_one_goes_in() -> None:
    assert "根拠が空です" in reason("consents", f"{CONSENTS}7,a@example.jp,メール,1,,2026-01-01\n")
    facts = one("consents", f"{CONSENTS}7,a@example.jp,メール,配信停止,,2026-01-01\n").facts
    assert isinstance(facts, ConsentFacts)
    assert not facts.granted


@pytest.mark.parametrize(("written", "channel"), [("郵送DM", "postal"), ("はがき", "postal"), ("電話", "call")])
def test_who_refused_letters_or_calls_comes_in_too(written: str, channel: str) -> None:
    facts = one("consents", f"{CONSENTS}7,,{written},不可,,2026-01-01\n").facts
    assert isinstance(facts, ConsentFacts)
    assert (facts.channel, facts.granted) == (channel, False)


def test_the_basis_may_be_said_once_for_the_whole_file() -> None:
    facts = one(
        "consents",
        "メールアドレス,メルマガ,登録日\na@example.jp,○,2026-01-01\n",
        FileMapping(values={"basis": "取引関係"}),
    ).facts
    assert isinstance(facts, ConsentFacts)
    assert facts.basis == "business_relation"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (",a@example.jp,はと,1,同意,2026-01-01", "チャネル"),
        (",a@example.jp,メール,たぶん,同意,2026-01-01", "配信可否"),
        (",a@example.jp,メール,1,なんとなく,2026-01-01", "根拠"),
        (",a@example.jp,メール,1,同意,", "同意日時"),
        (",a@example.jp,SMS,1,同意,2026-01-01", "宛先"),
        (",,メール,1,同意,2026-01-01", "すべて空"),
    ],
)
def test_a_permission_that_says_too_little_is_refused(row: str, why: str) -> None:
    assert why in reason("consents", f"{CONSENTS}{row}\n")


def test_two_people_who_say_the_same_are_two_events_and_neither_id_gives_them_away() -> None:
    text = CONSENTS + "".join(f",{name}@example.jp,メール,1,同意,2026-01-01\n" for name in ("a", "b"))
    first, second = read("consents", text).events
    assert first.event_id != second.event_id
    assert first.subject != second.subject
    assert "example" not in first.subject + first.event_id
    other = read_bytes("consents", text.encode(), FileOptions(TenantId("sample"), personal_key=b"another")).events[0]
    assert other.event_id != first.event_id, "guessable without the shop's key"
    assert other.subject != first.subject


def test_people_are_not_read_without_the_shops_key() -> None:
    with pytest.raises(MisconfiguredError):
        read_bytes("points", "会員ID,ポイント\n7,1\n".encode(), FileOptions(TenantId("sample")))


# --- アンケート回答


def test_an_answer_keeps_its_own_time() -> None:
    text = "アンケートID,設問ID,会員ID,回答,回答日時\nS1,Q1,7,はい;友人から,2026-01-02 03:04\n"
    event = one("survey_answers", text)
    facts = event.facts
    assert isinstance(facts, SurveyFacts)
    assert (facts.survey_id, facts.question_id, facts.choices, facts.number) == ("S1", "Q1", ("はい", "友人から"), None)
    assert event.occurred_at == datetime(2026, 1, 1, 18, 4, tzinfo=UTC)


def test_a_form_with_a_column_per_question_is_an_event_per_answer() -> None:
    mapping = FileMapping(
        columns={"満足度": "number/nps", "きっかけ": "question/why", "ひとこと": "text/words"},
        values={"survey_id": "S1"},
    )
    text = "タイムスタンプ,メールアドレス,満足度,きっかけ,ひとこと\n"
    text += "2026/01/02 3:04:05,a@example.jp,9,SNS|友人,見本花子です\n"
    answers = [event.facts for event in read("survey", text, mapping=mapping).events]
    assert answers == [
        SurveyFacts(survey_id="S1", question_id="why", choices=("SNS", "友人")),
        SurveyFacts(survey_id="S1", question_id="nps", number=9.0),
        SurveyFacts(survey_id="S1", question_id="words", text_given=True),
    ]


@pytest.mark.parametrize("typed", ["a@example.jp へ連絡ください", "090-0000-0001", "とても" * 40])
def test_what_somebody_typed_is_only_noted_as_given(typed: str) -> None:
    facts = one("survey", f"アンケートID,設問ID,会員ID,回答,回答日時\nS1,Q1,7,{typed},2026-01-02\n").facts
    assert isinstance(facts, SurveyFacts)
    assert (facts.choices, facts.text_given) == ((), True)


# --- ポイント


def test_points_and_rank() -> None:
    text = "会員番号,保有ポイント,有効期限,失効予定ポイント,会員ランク,ランク有効期限,基準日\n"
    text += '7,"1,200pt",2027/3/31,200,ゴールド,,2026-11-01\n'
    event = one("points", text)
    assert event.facts == PointsFacts(balance=1_200, expires_on=date(2027, 3, 31), expiring=200, rank="ゴールド")
    assert event.occurred_at == datetime(2026, 11, 1, 3, tzinfo=UTC)


def test_the_same_balance_on_another_day_is_another_event() -> None:
    ids = {one("points", f"会員番号,ポイント,基準日\n7,100,2026-0{month}-01\n").event_id for month in (1, 2, 3)}
    assert len(ids) == 3


# --- 架電結果

CALLS = "依頼番号,会員番号,電話番号,架電日時,架電結果,解約理由\n"


@pytest.mark.parametrize(
    ("written", "outcome"),
    [("不在", "absent"), ("本人通話", "reached"), ("引き留め成功", "retained"), ("解約受付", "cancelled"),
     ("拒否", "refused"), ("番号違い", "wrong_number"), ("折返し待ち", "折返し待ち")],
)  # fmt: skip
def test_outcomes_of_calls(written: str, outcome: str) -> None:
    event = read("calls", f"{CALLS}K-1,7,,2026-10-01 11:00,{written},価格\n").events[0]
    assert event.facts == CallFacts(task_id="K-1", outcome=outcome, reason="価格")
    assert event.occurred_at == datetime(2026, 10, 1, 2, tzinfo=UTC)


def test_who_refused_is_not_called_again_and_the_tasks_own_id_names_them() -> None:
    ours = "a2" * 13
    called, refused = read(
        "calls", f"依頼番号,顧客ID,電話番号,架電日時,結果\nT,{ours},090-0000-0001,2026-10-01,拒否\n"
    ).events
    assert isinstance(refused.facts, ConsentFacts)
    assert (refused.facts.channel, refused.facts.granted) == ("call", False)
    assert {named_person(each) for each in (called, refused)} == {ours}
    by_number = read("calls", f"{CALLS}K-1,7,,2026-10-01,拒否,\n").events
    assert [(each.source, named_person(each)) for each in by_number] == [("import", None)] * 2


def test_a_note_about_a_person_is_no_outcome() -> None:
    assert "短い言葉" in reason("calls", f"{CALLS}K-1,7,,2026-10-01,見本様の奥様より折返し。090-0000-0001,\n")
    assert "空です" in reason("calls", f"{CALLS}K-1,7,,2026-10-01,,\n")


def test_the_page_about_files_names_every_kind() -> None:
    page = (Path(registry.__file__).parent / "README.md").read_text(encoding="utf-8")
    for each in kinds():
        assert f"| `{each.name}` | {each.title}" in page, f"{each.name} needs its row in shared/ingest/files/README.md"
