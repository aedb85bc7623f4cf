"""The local page: harmless widgets, true charts, mails whose links come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra.local.page.charts import Frame, Series, line_chart, nice_ceiling, short, single_values
from infra.local.page.dashboard import TimeRange, markdown, metric_queries, with_variables
from infra.local.page.mails import readable
from infra.local.page.sanitise import sanitised

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = TimeRange(NOW - timedelta(hours=1), NOW)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<p>a<script>alert(1)</script>b</p>", "<p>ab</p>"),
        ('<img src="x.png" onerror="alert(1)">', '<img src="x.png">'),
        ('<a href="java\nscript:alert(1)">x</a>', "<a>x</a>"),
        ('<svg viewBox="0 0 1 1"><rect/></svg>', '<svg viewBox="0 0 1 1"><rect/></svg>'),
        ("<iframe src='https://example.com'>x</iframe>ok", "ok"),
        (
            '<a class="btn">x</a><cwdb-action action="call" endpoint="arn">{"a": 1}</cwdb-action>',
            '<a class="btn">x</a><cwdb-action action="call" endpoint="arn">{"a": 1}</cwdb-action>',
        ),
        ("a &amp; b &lt; c", "a &amp; b &lt; c"),
    ],
)
def test_a_widget_cannot_run_anything(given: str, kept: str) -> None:
    assert sanitised(given) == kept


def test_markdown_has_tables_and_buttons_but_no_html() -> None:
    html = markdown("# 題\n\n[button:primary:開く](https://example.com)\n\n| a |\n|---|\n| 1 |\n\n<b>x</b>")
    assert '<a class="btn btn-primary" href="https://example.com">開く</a>' in html
    assert "<table>" in html
    assert "<b>" not in html


def test_metric_rows_may_repeat_the_row_above() -> None:
    widget = {"metrics": [["NS", "A", "Shop", "t1"], [".", "B", ".", ".", {"stat": "Max"}], [{"expression": "m0+m1"}]]}
    first, second, sum_ = metric_queries(widget, HOUR)
    assert second.request["MetricStat"]["Metric"] == {
        "Namespace": "NS",
        "MetricName": "B",
        "Dimensions": [{"Name": "Shop", "Value": "t1"}],
    }
    assert second.request["MetricStat"]["Stat"] == "Max"
    assert first.request["MetricStat"]["Period"] == 300
    assert sum_.request["Expression"] == "m0+m1"


def test_dashboard_variables_take_the_chosen_value_or_their_default() -> None:
    body = {
        "variables": [
            {"type": "pattern", "pattern": "SHOP", "id": "shop", "defaultValue": "t1"},
            {"type": "property", "property": "Tenant", "id": "tenant", "defaultValue": "a"},
        ],
        "widgets": [{"properties": {"params": {"shop": "SHOP"}, "metrics": [["NS", "Sent", "Tenant", "x"]]}}],
    }
    assert with_variables(body, {})["widgets"][0]["properties"]["params"] == {"shop": "t1"}
    chosen = with_variables(body, {"shop": "t2", "tenant": "b"})["widgets"][0]["properties"]
    assert chosen == {"params": {"shop": "t2"}, "metrics": [["NS", "Sent", "Tenant", "b"]]}


def test_a_chart_shows_its_points_or_says_there_are_none() -> None:
    frame = Frame(HOUR.start, HOUR.end, 400, 200, UTC)
    svg = line_chart([Series("mails <sent>", [(NOW - timedelta(minutes=30), 12.0)])], frame)
    assert "mails &lt;sent&gt;: 12" in svg
    assert "データはありません" in line_chart([Series("x", [])], frame)
    assert "–" in single_values([Series("x", [])])


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (12.5, "12.5"), (12345, "12.3K"), (2_500_000, "2.5M")])
def test_numbers_are_short(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(("value", "ceiling"), [(0, 1), (7, 10), (21, 25), (100, 100), (0.3, 0.5)])
def test_an_axis_ends_at_a_round_number(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)


def test_links_in_a_mail_come_back_as_clicks() -> None:
    html = (
        "<html><body><a class='b' href='https://x.example.com/?a=1&amp;b=2'>go</a>"
        '<a href="mailto:a@example.com">m</a></body></html>'
    )
    page = readable({"message_id": "m1", "html": html})
    assert 'href="/mail/m1/click?link=https%3A%2F%2Fx.example.com%2F%3Fa%3D1%26b%3D2"' in page
    assert 'href="mailto:a@example.com"' in page
    assert page.endswith('/open.gif" alt="" width="1" height="1"></body></html>')


def test_a_text_mail_is_shown_as_text() -> None:
    page = readable({"message_id": "m1", "html": "", "text": "見て <b> https://x.example.com/a"})
    assert "&lt;b&gt;" in page
    assert "click?link=https%3A%2F%2Fx.example.com%2Fa" in page
