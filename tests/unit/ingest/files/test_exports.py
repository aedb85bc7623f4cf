"""Order and customer exports with the headings that Japanese carts, malls and tills write: read without any mapping."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from shared.core.errors import RejectedError
from shared.ingest.files import report
from shared.ingest.files.mapping import FileMapping
from shared.ingest.model import OrderFacts, PointsFacts, ProductFacts
from tests.unit.ingest.files.reader import Read, read, read_bytes

COLORME = (
    "売上ID,受注日,購入者 顧客ID,購入者 名前,購入者 都道府県,購入者 住所,購入者 メールアドレス,購入者 電話番号,"
    "購入者 携帯番号,商品の合計金額(税込),送料合計,決済手数料,割引金額,総合計金額,入金状態,発送状態,配送先 名前,"
    "配送先 電話番号,購入商品 商品ID,購入商品 商品名,購入商品 販売価格(消費税込),購入商品 販売個数,購入商品 小計,\n"
)
BASE = (
    "注文ID,注文日時,氏(請求先),名(請求先),電話番号(請求先),メールアドレス(請求先),氏(配送先),名(配送先),電話番号(配送先),"
    "商品名,価格,税率,数量,合計金額,送料,代引き手数料,発送状況,商品ID,種類ID,調整金額\n"
)
RAKUTEN = (
    "注文番号,ステータス,注文日時,注文日,注文時間,商品合計金額,請求金額,合計金額,注文者郵便番号1,注文者郵便番号2,"
    "注文者住所都道府県,注文者住所郡市区,注文者住所それ以降の住所,注文者姓,注文者名,注文者姓カナ,注文者名カナ,"
    "注文者電話番号1,注文者電話番号2,注文者電話番号3,注文者メールアドレス,送付先姓,送付先名,送付先電話番号1,"
    "商品ID,商品名,単価,個数\n"
)
MAKESHOP = "日付,注文時間,注文番号,処理状況,注文者,注文者(振り仮名),メールアドレス,電話番号,合計金額,商品名,個数\n"
FUTURESHOP = (
    "受注コード,注文日時,請求合計金額,商品合計金額,送料,決済手数料,氏名(姓),氏名(名),フリガナ(姓),フリガナ(名),"
    "メールアドレス,都道府県区分,住所1,電話番号(メイン),携帯電話番号,お届け先氏名(姓),商品番号,商品名,販売単価,購入数量\n"
)
SHOPIFY = (
    "Name,Email,Financial Status,Currency,Subtotal,Shipping,Total,Discount Amount,Created at,Lineitem quantity,"
    "Lineitem name,Lineitem price,Lineitem sku,Billing Name,Billing Address1,Billing City,Billing Phone,"
    "Refunded Amount,Id,Phone\n"
)


def facts(found: Read) -> list[OrderFacts]:
    assert found.bad == []
    return [event.facts for event in found.events if isinstance(event.facts, OrderFacts)]


def test_color_me_lists_an_order_by_line_with_the_buyer_before_the_recipient() -> None:
    buyer = "7,髙﨑 花子,東京都,千代田区①番～,hanako@example.jp,,090-0000-0001,4400,600,330,500,4830,入金済,発送済"
    rows = "".join(
        f'8,2026/01/05 9:03:12,{buyer},樋口 一葉,03-0000-0009,{n},"靴下\r\n赤",2200,1,2200,\r\n' for n in (1, 2)
    )
    found = read("orders", COLORME + rows, "cp932")
    (order,) = facts(found)
    assert (order.order_id, order.total, order.goods_total, order.discount) == ("8", 4830, 3900, 500)
    assert [(line.product_id, line.quantity, line.unit_amount) for line in order.lines] == [
        ("1", 1, 2200),
        ("2", 1, 2200),
    ]
    person = found.events[0].person
    assert (person.source_customer_id, person.last_name, person.phone) == ("7", "髙﨑", "090-0000-0001")
    assert person.address == "千代田区①番～"


def test_base_writes_the_amount_and_the_state_of_each_line() -> None:
    who = "2026-01-05 09:03:12,山田,太郎,0300000001,taro@example.jp,見本,花子,0300000002"
    found = read(
        "orders",
        BASE
        + f"A,{who},シャツ,2000,10%,2,4000,500,300,発送済み,1000,101,\n"
        + f"A,{who},靴下,4000,10%,1,4000,500,300,未発送,1001,,\n"
        + f"A,{who},商品オプション「名入れ」,300,10%,1,300,500,300,未発送,,,\n"
        + f"B,{who},シャツ,2000,10%,1,2000,0,0,発送済み,1000,101,-100\n"
        + f"B,{who},靴下,1000,10%,1,1000,0,0,キャンセル,1001,,-100\n"
        + f"C,{who},靴下,1000,10%,1,1000,0,0,キャンセル,1001,,\n",
        "cp932",
    )
    orders = facts(found)
    assert [(order.order_id, order.total, order.cancelled_at is not None) for order in orders] == [
        ("A", 9100, False),
        ("B", 1900, False),
        ("C", 0, True),
    ]
    assert [line.product_id for line in orders[0].lines] == ["1000", "1001"]
    assert found.events[0].person.last_name == "山田"
    assert "BASE の注文CSV" in "\n".join(report.lines(found.reading))
    said = FileMapping(columns={"合計金額": "amount"})
    assert read("orders", BASE + f"A,{who},シャツ,1,10%,1,9,1,1,,1,,\n", mapping=said).events[0].facts != orders[0]


def test_rakuten_writes_a_telephone_number_in_three_columns_and_a_postcode_in_two() -> None:
    who = "北海道,札幌市,北一条1,樋口,一葉,ヒグチ,イチヨウ"
    found = read(
        "orders",
        RAKUTEN
        + f"R-1,700,2026-01-05 09:03:12,2026-01-05,09:03:12,3000,2500,3000,060,0001,{who},090,0000,0001,"
        + "a@fw.rakuten.ne.jp,山田,花子,080,10001,靴下,1500,2\n"
        + f"R-2,900,2026/1/6 9:03,2026/1/6,9:03,1500,1500,1500,60,1,{who},90,0000,0002,a@fw.rakuten.ne.jp,"
        + "山田,花子,080,10001,靴下,1500,1\n",
        "cp932",
    )
    paid, cancelled = facts(found)
    assert (paid.total, paid.goods_total, paid.cancelled_at) == (2500, 2500, None)
    assert cancelled.cancelled_at is not None
    people = [event.person for event in found.events]
    assert [person.phone for person in people] == ["090-0000-0001", "09000000002"]
    assert {person.postal_code for person in people} == {"060-0001"}
    assert (people[0].last_name, people[0].first_name, people[0].first_name_kana) == ("樋口", "一葉", "イチヨウ")
    assert (people[0].prefecture, people[0].address) == ("北海道", "札幌市 北一条1")


def test_makeshop_writes_the_clock_beside_the_date_and_may_end_with_a_row_of_totals() -> None:
    found = read(
        "orders",
        MAKESHOP
        + '2026/1/5,90312,P-1,配送,山田 太郎,ヤマダ,taro@example.jp,,"1,100",靴下,1\n'
        + "2026/1/6,103309,P-2,注文キャンセル,山田 太郎,ヤマダ,taro@example.jp,,1100,靴下,1\n"
        + "2026/1/6,99:99,P-3,配送,山田 太郎,ヤマダ,taro@example.jp,,1100,靴下,1\n"
        + '合計,,合計,,,,,,"3,300",,\n',
    )
    assert [event.occurred_at for event in found.events] == [
        datetime(2026, 1, 5, 0, 3, 12, tzinfo=UTC),
        datetime(2026, 1, 6, 1, 33, 9, tzinfo=UTC),
    ]
    assert [(row.line, row.reason.partition(" / ")[2]) for row in found.bad] == [
        (4, "ordered_time is no time such as 9:03"),
        (5, "a row of totals is no order"),
    ]


def test_futureshop_bills_a_total_of_its_own_name() -> None:
    row = (
        'A1,2026/01/05 09:03,"3,630",3300,330,無料,樋口,一葉,ヒグチ,イチヨウ,a@example.jp,愛知県,名古屋市,'
        "052-000-0001,,山田,S,靴下,1650,2\n"
    )
    found = read("orders", FUTURESHOP + row, "cp932")
    (order,) = facts(found)
    assert (order.order_id, order.total, order.goods_total, order.lines[0].quantity) == ("A1", 3630, 3300, 2)
    assert (found.events[0].person.prefecture, found.events[0].person.phone) == ("愛知県", "052-000-0001")


def test_ecforce_writes_all_product_codes_of_an_order_into_one_cell() -> None:
    heading = (
        "受注ID,受注番号,顧客番号,購入URL,定期受注番号,メールアドレス,小計,支払い合計,受注日,購入商品（商品コード）,"
        "広告URLグループ名,定期ステータス,定期回数\n"
    )
    row = '9,bdbf,5f20,lp1,1f76,a@example.jp,8500,8500,2026/01/05 23:15,"teiki_3w, guide-1",Google,有効,2\n'
    found = read("orders", heading + row, "cp932")
    (order,) = facts(found)
    assert (order.order_id, order.total, order.media) == ("9", 8500, "Google")
    assert (order.subscription_id, order.delivery_number) == ("1f76", 2)
    assert [line.product_id for line in order.lines] == ["teiki_3w", "guide-1"]


def test_a_refund_in_a_file_lowers_the_total_for_it_has_no_id_of_its_own() -> None:
    found = read(
        "orders",
        SHOPIFY
        + "#1001,a@example.jp,partially_refunded,JPY,4700,600,5300,500,2026-01-03 10:14:00 +0900,2,Fern,1600,F,"
        + "Ada Example,見本町1,名古屋市,'+819000000001,1000,55,\n"
        + "#1001,a@example.jp,,,,,,,2026-01-03 10:14:00 +0900,1,Tote,2000,T,,,,,,,\n"
        + "#1002,b@example.jp,voided,USD,16.00,0.00,16.00,0.00,2026-01-12 12:00:00 -0400,1,Fern,16.00,F,,,,,0.00,56,\n",
    )
    partly, voided = facts(found)
    assert (partly.order_id, partly.total, partly.goods_total, partly.refunds) == ("55", 4300, 3700, ())
    assert (voided.total, voided.cancelled_at is not None) == (1600, True)
    person = found.events[0].person
    assert (person.last_name, person.first_name, person.phone) == ("Ada Example", None, "+819000000001")
    assert person.address == "名古屋市 見本町1"


def test_tills_of_square_and_smaregi() -> None:
    square = read(
        "offline_orders",
        "Date,Time,Time Zone,Gross Sales,Net Sales,Total Collected,Transaction ID,Event Type,Location,Customer ID\n"
        '2026-09-13,10:02:11,Osaka,"¥3,000","¥2,700","¥2,916",SQ1,Payment,渋谷店,C1\n'
        '2026-09-13,10:12:11,Osaka,"-¥3,000","-¥2,700","-¥2,916",SQ2,Refund,渋谷店,C1\n'
        "2026-09-13,10:12:11,Osaka,$30.00,$27.00,$29.16,SQ3,Payment,渋谷店,C1\n",
    )
    (event,) = square.events
    assert (event.subject.rpartition("/")[2] != "", event.occurred_at.minute) == (True, 2)
    assert [row.line for row in square.bad] == [3, 4], "money that was given back, and dollars in a shop of yen"
    smaregi = read_bytes(
        "offline_orders",
        (
            "取引ID\t取引日時\t取消区分\t店舗名\t会員ID\t会員名\t商品ID\t商品名\t数量\t単価\t小計\t合計\n"
            "1001\t2026/01/05 19:03\t通常\t渋谷店\t77\t樋口 一葉\t5\t靴下\t1\t1100\t1100\t3300\n"
            "1001\t2026/01/05 19:03\t通常\t渋谷店\t77\t樋口 一葉\t6\t帽子\t1\t2200\t2200\t3300\n"
            "1002\t2026/01/05 19:05\t取消\t渋谷店\t77\t樋口 一葉\t5\t靴下\t1\t1100\t1100\t1100\n"
        ).encode("cp932"),
    )
    sold, taken_back = facts(smaregi)
    assert (sold.total, sold.goods_total, len(sold.lines)) == (3300, None, 2)
    assert taken_back.cancelled_at is not None


SMAREGI = (
    "取引ID,取引日時,取引区分,取消区分,小計,小計値引き,合計,店舗ID,会員ID,端末取引ID,"
    "取引明細区分 （1：通常、2：返品、3：部門売り）,商品ID,商品名,商品単価,販売単価,数量,部門名,打消取引ID,"
    "打消区分(0：通常、1：打消元レコード、2：打消レコード),レシート番号\n"
)


def test_a_till_of_smaregi_keeps_more_than_sales() -> None:
    def row(number: int, act: int, total: int, line: int = 1, void: int = 0) -> str:
        sale = f"{number},2026-01-05 19:03:11,{act},0,{total},100,{total},3,77,9"
        return f"{sale},{line},5,靴下,1200,1100,1,衣料,,{void},1\n"

    found = read(
        "offline_orders",
        SMAREGI
        + row(1, 1, 1000)
        + row(1, 1, 1000, line=2)
        + row(2, 1, 1100, void=1)
        + row(3, 1, -1100, void=2)
        + row(4, 2, 50000)
        + row(5, 16, 1100)
        + row(6, 1, -1100, line=2),
    )
    orders = [event.facts for event in found.events if isinstance(event.facts, OrderFacts)]
    assert [(order.order_id, order.total, order.cancelled_at is not None) for order in orders] == [
        ("pos/3/1", 1000, False),
        ("pos/3/2", 1100, True),
    ]
    assert [(line.unit_amount, line.category) for line in orders[0].lines] == [(1100, "衣料")], (
        "what came back is no line"
    )
    assert [row.line for row in found.bad] == [5, 6, 7, 8]
    assert ["打消" in row.reason or "販売ではありません" in row.reason for row in found.bad] == [
        True,
        True,
        True,
        False,
    ]


SMAREGI_MEMBERS = (
    '会員ID,会員コード,姓,名,メールアドレス,"性別(0:不明,  1:男,  2:女)",ポイント,ポイント期限,入会日,退会日,'
    '"案内メール受取許可フラグ (0:拒否, 1:許可)",'
    '"会員状態区分 (0:利用可, 1:利用停止, 2:紛失, 3:退会, 4:名寄せ)",会員ランク名\n'
)


def test_members_of_smaregi_are_people_points_and_permissions() -> None:
    rows = SMAREGI_MEMBERS + "".join(
        f"{number},M{number},髙﨑,花子,m{number}@example.com,2,120,2027-01-01,2020-01-01,,0,{state},ゴールド\n"
        for number, state in ((1, 0), (2, 3))
    )
    people, points = read("customers", rows), read("points", rows)
    assert [event.person.source_customer_id for event in people.events] == ["1"], "3 is 退会"
    assert [row.line for row in people.bad] == [3]
    assert points.events[0].facts == PointsFacts(balance=120, expires_on=date(2027, 1, 1), rank="ゴールド")
    said = read("consents", rows, mapping=FileMapping(columns={"入会日": "said_at"}))
    assert [getattr(event.facts, "granted", None) for event in said.events] == [False, False]


@pytest.mark.parametrize("written", ["JP-13", "Tokyo", "東京", "13", "東京都"])
def test_a_prefecture_however_the_cart_writes_it(written: str) -> None:
    heading = "Customer ID,Default Address Address1,Default Address City,Default Address Province Code\n"
    (event,) = read("customers", f"{heading}'77,見本町1-2,千代田区,{written}\n").events
    assert (event.person.prefecture, event.person.address) == ("東京都", "千代田区 見本町1-2")


@pytest.mark.parametrize(
    ("ordered", "amount"),
    [("令和8年1月5日 9:03", "￥1,100-"), ("R8.1.5 9:03", "1,100円"), ("2026年1月5日(月) 9時03分", "１，１００")],
)
def test_days_of_an_era_and_of_the_week_and_amounts_written_by_hand(ordered: str, amount: str) -> None:
    found = read("orders", f'注文番号,注文日,メールアドレス,合計\n1,{ordered},a@example.jp,"{amount}"\n', "cp932")
    assert [order.total for order in facts(found)] == [1100]
    assert found.events[0].occurred_at == datetime(2026, 1, 5, 0, 3, tzinfo=UTC)


def test_a_member_who_left_is_not_taken_in_and_an_id_loses_its_apostrophe() -> None:
    found = read(
        "customers",
        "会員ID,メールアドレス,会員ステータス(ID),会員ステータス(名称)\n"
        "'7012345678901,a@example.jp,2,本会員\n882,x@dummy.dummy,3,退会\n883,y@dummy.dummy,2,本会員\n",
    )
    assert [event.person.source_customer_id for event in found.events] == ["7012345678901", "883"]
    assert found.events[1].person.email is None
    assert [row.line for row in found.bad] == [3]


def test_a_till_says_by_a_date_that_a_member_left_and_the_report_where_the_rest_belongs() -> None:
    found = read(
        "customers",
        "会員ID,メールアドレス,退会日,メール受信許可フラグ,ポイント\n1,a@example.jp,,1,5\n2,b@example.jp,2026-01-05,1,5\n",
    )
    assert [event.person.source_customer_id for event in found.events] == ["1"]
    shown = "\n".join(report.lines(found.reading))
    assert "メール受信許可フラグ は配信の許諾" in shown
    assert "matakite import points" in shown


@pytest.mark.parametrize(
    ("kind", "columns", "cells"),
    [
        ("customers", "氏名", "見本 花子"),
        ("points", "ポイント残高", "5"),
        ("consents", "許諾,同意日時,チャネル,根拠,文言", "同意,2026-01-05,SMS,同意,SMSをお送りします"),
    ],
)
def test_a_mobile_number_alone_names_a_person_in_every_kind(kind: str, columns: str, cells: str) -> None:
    found = read(kind, f"携帯電話番号,{columns}\n090-0000-0001,{cells}\n")
    assert ([event.person.phone for event in found.events], found.bad) == (["090-0000-0001"], [])


@pytest.mark.parametrize(("state", "gone"), [("公開", False), ("非公開", True), ("active", False), ("draft", True)])
def test_a_product_that_is_not_shown_is_not_for_sale(state: str, gone: bool) -> None:
    (event,) = read("products", f"商品ID,商品名,公開ステータス(ID),公開ステータス(名称)\n1,茶,1,{state}\n").events
    assert isinstance(event.facts, ProductFacts)
    assert event.facts.deleted is gone


@pytest.mark.parametrize(
    ("said", "cancelled"),
    [
        ("ご注文キャンセル", True),
        ("取消済", True),
        ("キャンセル確定待ち", True),
        ("キャンセル依頼", False),
        ("一部キャンセル", False),
    ],
)
def test_a_shops_own_word_for_a_cancelled_order(said: str, cancelled: bool) -> None:
    (order,) = facts(read("orders", f"注文番号,注文日,メールアドレス,合計,状態\n1,2026/1/5,a@example.jp,1,{said}\n"))
    assert (order.cancelled_at is not None) is cancelled


def test_a_title_may_stand_above_the_headings() -> None:
    found = read(
        "orders",
        '受注一覧,,,\n"出力日:",2026/1/9,,\n\n注文番号,注文日,電話番号,合計\n1,2026/1/5,090-0000-0001,1\n2,x,1,1\n',
    )
    assert [event.subject[-1] for event in found.events] == ["1"]
    assert ([row.line for row in found.bad], found.rows) == ([6], 2)
    assert "注文番号" in report.rejected_csv(found.reading).decode("utf-8-sig")
    with pytest.raises(RejectedError, match="見出し行に次の列がありません"):
        read("orders", "受注一覧,\n1,2\n" * 20)
