"""Every widget, drawn with nothing, a normal shop, a huge shop and hostile data."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from shared.admin import widgets
from shared.admin.draw import describe, draw
from shared.admin.frame import frame_of
from shared.admin.sources import Sources, Titles
from shared.admin.views import VIEWS
from shared.analytics.definitions import Definitions
from shared.analytics.models.cancellation import audited
from shared.analytics.nightly import RUN, STEPS
from shared.analytics.reports import MODEL_AUDIT, MemoryReportStore
from shared.core.ids import ScenarioId, TenantId
from shared.core.shop import Shop
from shared.scenarios.enrolment import FunnelRow
from shared.scenarios.store import MemoryEnrolmentStore

TENANT = TenantId("default")
ACCOUNT = "111122223333"
NOW = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
ON = date(2026, 11, 20)

Ask = Callable[[TenantId], Sources]


def a_shop(*, scale: int = 1, word: str = "cart_abandoned") -> Sources:
    """A shop with a report of every kind; `word` stands wherever a text comes from outside."""
    reports, enrolments = MemoryReportStore(), MemoryEnrolmentStore()
    cells = [
        {"r": r, "f": f, "customers": r * f * scale, "orders": r * f, "amount": r * f * 4321 * scale}
        for r in range(1, 7)
        for f in range(1, 7)
    ]
    reports.put(TENANT, "rfm_matrix", ON, {"rows": cells})
    for on, more in ((ON, 3), (date(2026, 11, 19), 0)):
        statuses = [
            {"status": status, "customers": (n + 1) * scale + more, "amount": n * scale, "entered": n}
            for n, status in enumerate(("loyal", "promising", "new", "at_risk", "dormant"))
        ]
        reports.put(TENANT, "status_counts", on, {"rows": statuses})
    moves = [
        {"from_status": "promising", "to_status": "at_risk", "customers": 2 * scale, "month_moves": 9 * scale},
        {"from_status": "none", "to_status": "new", "customers": scale, "month_moves": 3 * scale},
        {"from_status": "loyal", "to_status": "at_risk", "customers": 0, "month_moves": 0},
    ]
    reports.put(TENANT, "status_moves", ON, {"rows": moves})
    approaches = [
        {"status": "at_risk", "scenario": word, "approach": "早期介入", "response_rate": 0.125},
        {"status": "dormant", "scenario": "not_deployed", "approach": "休眠復活", "response_rate": None},
    ]
    reports.put(TENANT, "next_approach", ON, {"rows": approaches})
    analysis = {"state": "failed", "reason": word, "rows": scale, "scanned_bytes": scale, "seconds": 1.5}
    run = {
        "state": "incomplete",
        "failed": [word],
        "started_at": "2026-11-20T17:00:00+00:00",
        "ended_at": "2026-11-20T17:01:00+00:00",
        "changed": scale,
        "analyses": [{"name": word, "title": {"ja": word, "en": word}, "warnings": [word], **analysis}],
    }
    reports.put(TENANT, RUN, ON, run)
    taken = {"rows": 7 * scale, "scanned_bytes": 2_000 * scale, "seconds": 12.5}
    compact = {"step": "compact", "state": "done", "note": "3 partitions", **taken}
    write_back = {"step": "write_back", "state": "failed", "note": word, **taken}
    reports.put(
        TENANT, STEPS, ON, {"steps": [compact, {"step": word, "state": "failed", "note": "", **taken}, write_back]}
    )
    reports.put(TENANT, MODEL_AUDIT, ON, an_audit(word, scale))
    counts = {"sent": 5 * scale, "ordered": 3 * scale, "ambiguous": 1, "waiting": 1, "failed": 1}
    enrolments.put_funnel(FunnelRow(TENANT, ScenarioId(word), ON, "x", word, "0", counts, 8 * scale + 3))
    return Sources(Shop(TENANT, word), reports, enrolments, (Titles(word, word, {word: word}),), NOW)


def an_audit(word: str, scale: int = 1, **more: Any) -> dict[str, Any]:
    """What a night found out about its predictions."""
    figures = {"mae": 0.755 * scale, "calibration_slope": 0.97, "normalised_gini": None}
    worse = {"mae": 0.94 * scale, "calibration_slope": None, "normalised_gini": 0.41}
    audit = {"verdict": "better", "use": word, "best": word, "customers": 23_570 * scale, "buyers": 11_506 * scale}
    audit |= {"holdout_days": 273, "scores": {"rate": worse, word: figures}}
    calls = audited(28, 900 * scale, 90 * scale, 100, 30, 20) | {"audited_on": ON.isoformat()}
    return {"audit": audit | more, "fits": {}, "audited_on": ON.isoformat(), "cancellation": calls}


def nothing() -> Sources:
    """A shop on its first day."""
    return Sources(Shop(TENANT, "店"), MemoryReportStore(), MemoryEnrolmentStore(), (Titles("a", "A", {"m": ""}),), NOW)


def ask(sources: Sources, **event: Any) -> str:
    """What the dashboard is answered."""
    answer = draw({"tenant": "default", **event}, ACCOUNT, lambda _tenant: sources)
    assert isinstance(answer, str)
    return answer


def parsed(html: str) -> ElementTree.Element:
    """The widget as XML: it must be well-formed."""
    return ElementTree.fromstring(html)  # noqa: S314 - our own output


def texts(html: str) -> str:
    """What is read on the screen, without the style sheet."""
    root = parsed(html)
    for parent in root.iter():
        for child in list(parent):
            if child.tag == "style":
                parent.remove(child)
    return "".join(root.itertext())


class _Tags(HTMLParser):
    """The elements and attributes as a browser finds them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))


def elements(html: str) -> list[tuple[str, list[str]]]:
    """Tags with the names of their attributes, in order."""
    parser = _Tags()
    parser.feed(html)
    return parser.found


@pytest.fixture(params=list(VIEWS))
def view(request: pytest.FixtureRequest) -> str:
    """Each view there is."""
    return str(request.param)


def test_every_file_is_a_view_and_they_stand_in_the_order_of_their_places() -> None:
    assert set(VIEWS) == {file.stem for file in Path(*widgets.__path__).glob("[a-z]*.py")}
    assert [view.SIZE.place for view in VIEWS.values()] == sorted(view.SIZE.place for view in VIEWS.values())
    assert next(iter(VIEWS)) == "scenario_funnel", "what is looked at first stands first"


def test_a_view_has_something_to_draw_in_these_tests(view: str) -> None:
    drawn = texts(ask(a_shop(), view=view))
    assert "データなし" not in drawn, f"{view} finds nothing in a_shop(): put a report of what it reads there"


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scale", [1, 987_654_321])
def test_every_view_draws_a_shop_of_any_size(view: str, language: str, theme: str, scale: int) -> None:
    context = {"theme": theme, "width": 588, "height": 369, "accountId": ACCOUNT}
    html = ask(a_shop(scale=scale), view=view, language=language, widgetContext=context)
    assert "cannot" not in html.lower()
    assert texts(html)
    assert len(html) < 100_000


@pytest.mark.parametrize(("language", "said"), [("ja", "データなし"), ("en", "No data yet")])
def test_every_view_says_what_is_missing_when_there_is_nothing(view: str, language: str, said: str) -> None:
    html = ask(nothing(), view=view, language=language)
    assert said in texts(html)
    when = ("02:00", "2時", "scenario", "シナリオ")
    assert any(word in html.lower() for word in when), f"say when it will have data, one of {when}"


def test_nothing_that_runs_or_loads_is_ever_drawn(view: str) -> None:
    for sources in (a_shop(), nothing()):
        html = ask(sources, view=view)
        for name, attributes in elements(html):
            assert name not in {"script", "iframe", "use", "link", "img", "object", "embed", "form", "foreignobject"}
            assert not [each for each in attributes if each.startswith("on") or each in {"href", "src", "xlink:href"}]
        assert "url(" not in html
        assert "@import" not in html


def _hostile() -> Iterator[str]:
    yield from (
        "<script>alert(1)</script>",
        "</style><script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='alert(1)",
        "javascript:alert(1)",
        "</svg></div><iframe src=//example.com>",
        "<!--",
        "]]>",
        "<![CDATA[",
        "&lt;b&gt;",
        "&#60;b&#62;",
        "{{7*7}}",
        "${7*7}",
        "%s%d{0}{x}",
        "\x00\x01\x08\x0b\x1f\x7f",
        "\ud800",
        "\udfff\ud800",
        "\ufffe\uffff",
        "\u202egnp.exe",
        "a\u0000b<b>",
        "🙀" * 50,
        "＜script＞",
        "x" * 5000,
        "\r\n\t",
        "<cwdb-action action='call' endpoint='arn:aws:lambda:x'>{}</cwdb-action>",
    )
    dice = random.Random(20)
    alphabet = "<>\"'&/\\=;:{}()[]%$#!-` \x00\x0b\x1b\ud800\uffffaｱ漢🙀"
    while True:
        yield "".join(dice.choice(alphabet) for _ in range(dice.randint(1, 60)))


def test_200_hostile_texts_never_become_markup(view: str) -> None:
    shape = [name for name, _ in elements(ask(a_shop(word="mail_1"), view=view))]
    words = _hostile()
    for _ in range(200):
        html = ask(a_shop(word=next(words)), view=view)
        parsed(html)
        assert [name for name, _ in elements(html)] == shape
        html.encode()  # no lone surrogate is left
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f]", html)


def test_a_hostile_question_is_answered_in_words_and_without_markup() -> None:
    words = _hostile()
    for _ in range(200):
        word = next(words)
        for event in ({"view": word}, {"view": "rfm_matrix", "tenant": word}, {"view": word, "language": word}):
            html = ask(nothing(), **{"widgetContext": {"theme": word, "width": word}, **event})
            assert {name for name, _ in elements(html)} <= {"div", "style", "strong"}
            parsed(html)


def test_an_unknown_view_is_told_which_views_there_are() -> None:
    said = texts(ask(nothing(), view="sql"))
    assert "表示できません" in said
    assert all(name in said for name in VIEWS)


def test_a_dashboard_of_another_account_is_refused_before_anything_is_read() -> None:
    def unread(_tenant: TenantId) -> Sources:
        raise AssertionError("nothing may be read")

    for language, said in (("ja", "別のAWSアカウント"), ("en", "another AWS account")):
        event = {"view": "rfm_matrix", "language": language, "widgetContext": {"accountId": "999999999999"}}
        assert said in str(draw(event, ACCOUNT, unread))


def test_a_shop_id_that_could_be_another_key_is_refused_before_anything_is_read() -> None:
    def unread(_tenant: TenantId) -> Sources:
        raise AssertionError("nothing may be read")

    for tenant in ("a#b", "A", "", "x" * 33, "shop\n", "店", "../x"):
        assert "ショップID" in str(draw({"view": "rfm_matrix", "tenant": tenant}, ACCOUNT, unread))


def test_describe_documents_every_view_in_markdown(view: str) -> None:
    for language in ("ja", "en"):
        answer = draw({"describe": True, "view": view, "language": language}, ACCOUNT, lambda _: nothing())
        assert isinstance(answer, dict)
        assert answer["markdown"].startswith("## ")
        assert f"view: {view}" in answer["markdown"]
        assert VIEWS[view].ABOUT.of(language) in answer["markdown"]


def test_describe_without_a_view_documents_all() -> None:
    text = describe({})
    assert all(f"view: {name}" in text for name in VIEWS)


def test_answers_are_json_as_lambda_returns_them(view: str) -> None:
    json.dumps(ask(a_shop(word="\ud800"), view=view), ensure_ascii=False).encode()


@pytest.mark.parametrize(("given", "used"), [(None, 588), (10, 280), (1e9, 2400), ("588", 588), (float("nan"), 588)])
def test_an_odd_size_falls_back(given: object, used: int) -> None:
    assert frame_of({}, {"width": given}).width == used


# --- what is on them --------------------------------------------------------------------------------------------------


def test_the_rfm_matrix_shows_every_cell_and_the_totals() -> None:
    said = texts(ask(a_shop(), view="rfm_matrix"))
    assert "441人" in said  # 21 × 21 people
    for word in ("30日以内", "365日超", "1回", "4〜5回", "10回以上", "2026年11月20日 時点"):
        assert word in said
    for rank in ("優良", "有望", "新規", "浮気予備軍", "悩み", "浮気・不満", "離反"):
        assert rank in said


def test_the_rfm_matrix_names_the_limits_the_shop_set() -> None:
    shop = Shop(TENANT, "店", sections={"analytics": {"r_limits": [7, 14, 28, 56, 112], "f_limits": [2, 5, 6, 7, 20]}})
    said = texts(ask(replace(a_shop(), shop=shop), view="rfm_matrix"))
    for word in ("7日以内", "112日超", "2〜4回", "7〜19回", "20回以上"):
        assert word in said


def test_a_row_or_rank_of_the_matrix_says_who_is_in_it() -> None:
    """The row below 30日以内 holds nobody of the last thirty days."""
    said = texts(ask(a_shop(), view="rfm_matrix"))
    assert "60日以内" not in said
    for word in ("31〜60日", "181〜365日", "最近買い、2〜3回目", "2回以上だが180日を超えて来ていない"):
        assert word in said
    shop = Shop(TENANT, "店", sections={"analytics": {"r_limits": [7, 14, 28, 56, 112], "f_limits": [2, 5, 6, 7, 20]}})
    own = texts(ask(replace(a_shop(), shop=shop), view="rfm_matrix"))
    for word in (
        "8〜14日",
        "最近も買い、6回以上",
        "2回以上だが56日を超えて来ていない",
        "112日を超えて来ていない（1回客は56日）",
    ):
        assert word in own


def test_a_status_means_what_the_shop_set() -> None:
    said = texts(ask(a_shop(), view="status_breakdown"))
    for word in (
        "4回以上・購入金額の上位20%",
        "2回以下、または初回から90日以内",
        "間隔の1.5倍",
        "最終購入から240日以上",
    ):
        assert word in said
    limits = {"dormant_days": 180, "loyal_orders": 6, "new_orders": 1, "new_days": 60, "overdue_percent": 200}
    shop = Shop(TENANT, "店", sections={"analytics": {**limits, "top_percent": 10}})
    own = texts(ask(replace(a_shop(), shop=shop), view="status_breakdown"))
    for word in ("6回以上・購入金額の上位10%", "1回以下、または初回から60日以内", "間隔の2倍", "最終購入から180日以上"):
        assert word in own


def test_the_default_limits_are_those_of_the_definitions() -> None:
    assert Definitions().r_limits == (30, 60, 90, 180, 365)


def test_the_status_widget_shows_the_change_since_the_run_before() -> None:
    said = texts(ask(a_shop(), view="status_breakdown"))
    assert "増減は 2026年11月19日 との比較" in said
    assert "▲3" in said


def test_the_first_status_run_shows_no_change() -> None:
    sources = a_shop()
    reports = MemoryReportStore()
    found = sources.reports.get(TENANT, "status_counts", ON)
    assert found
    reports.put(TENANT, "status_counts", ON, found)
    assert "▲" not in texts(ask(replace(sources, reports=reports), view="status_breakdown"))


def test_the_funnel_says_that_it_balances() -> None:
    said = texts(ask(a_shop(), view="scenario_funnel"))
    assert "対象 11 = 送信 5 + 送らなかった 3 + 送れたか確認中 1 + 処理に失敗し除外 1 + 送信待ち 1" in said
    assert "✓ 1人単位で一致" in said


def test_the_funnel_says_when_somebody_is_missing() -> None:
    sources = a_shop()
    row = FunnelRow(TENANT, ScenarioId("cart_abandoned"), ON, "y", "cart_abandoned", "1", {"sent": 4}, 6)
    sources.funnels.put_funnel(row)  # type: ignore[attr-defined]
    assert "✗ 2人分の記録が合いません" in texts(ask(sources, view="scenario_funnel"))


def test_the_statuses_show_who_moved_where() -> None:
    said = texts(ask(a_shop(), view="status_breakdown"))
    assert "ステータスの移動今月昨夜リピート見込み → 離脱予備軍9人2人初回の判定 → " in said
    assert "優良 → " not in said


def test_a_status_says_what_to_do_next_and_what_came_of_it() -> None:
    said = texts(ask(a_shop(word="at_risk_care"), view="status_breakdown"))
    assert "次の一手：at_risk_care（配信後14日以内の購入 12.5%・参考値）" in said
    assert "次の一手：休眠復活（未計測）" in said


def test_the_nightly_widget_shows_what_failed() -> None:
    said = texts(ask(a_shop(word="checks: bins"), view="nightly_run"))
    assert "✗ 1件が失敗" in said
    assert "checks: bins" in said
    assert "データの整理12.5秒72.0 KBchecks: bins" in said
    assert "顧客データへの反映✗ checks: bins12.5秒72.0 KB" in said


def test_a_running_night_is_shown_as_running() -> None:
    sources = nothing()
    sources.reports.put(TENANT, RUN, ON, {"state": "running", "started_at": "2026-11-20T17:00:00+00:00"})
    assert "実行中" in texts(ask(sources, view="nightly_run"))


def test_the_audit_names_what_is_used_and_how_it_did() -> None:
    said = texts(ask(a_shop(word="pareto_nbd"), view="model_audit"))
    assert "✓ Pareto/NBD モデルを使用（単純な計算よりよい）" in said
    assert "2026年11月20日 までの 273 日で答え合わせ（23,570 人のうち購入 11,506 人）" in said
    assert "▶ Pareto/NBD モデル0.7550.97–単純な計算（これまでの頻度）0.940–0.41" in said


@pytest.mark.parametrize(
    ("verdict", "used", "words"),
    [
        ("not_better", "rate", "単純な計算（これまでの頻度）を使用（モデルの方がよいとは言えない）"),
        ("untested", "mbg_nbd", "MBG/NBD モデルを使用（まだ検証できる期間がない）"),
    ],
)
def test_a_model_that_is_not_better_or_not_tested_is_called_so(verdict: str, used: str, words: str) -> None:
    sources = nothing()
    sources.reports.put(TENANT, MODEL_AUDIT, ON, an_audit(used, verdict=verdict))
    assert words in texts(ask(sources, view="model_audit"))


@pytest.mark.parametrize(
    ("found", "newest", "words"),
    [
        (30, 20, "✓ 点数の高い順に電話"),
        (20, 30, "お届け回数の少ない順に電話（点数の方がよいとは言えない）"),
    ],
)
def test_the_calls_are_held_against_what_the_contracts_did(found: int, newest: int, words: str) -> None:
    sources, calls = nothing(), audited(28, 900, 90, 100, found, newest) | {"audited_on": ON.isoformat()}
    sources.reports.put(TENANT, MODEL_AUDIT, ON, an_audit("rate") | {"cancellation": calls})
    said = texts(ask(sources, view="model_audit"))
    assert f"解約見込み{words}" in said
    assert f"900 契約のうち 100 件に電話した場合の解約の割合は 点数順 {found}.0%、回数の少ない順 {newest}.0%" in said


def test_a_small_shop_is_told_that_its_figures_lean_on_others() -> None:
    sources = nothing()
    sources.reports.put(TENANT, MODEL_AUDIT, ON, an_audit("mbg_nbd") | {"fits": {"mbg_nbd": {"pooled": True}}})
    assert "購入者が少ないため" in texts(ask(sources, view="model_audit"))
