"""Read the deployed dashboard and draw each widget as the CloudWatch console would."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from botocore.exceptions import ClientError
from markdown_it import MarkdownIt

from infra.local.page.charts import Frame, Series, line_chart, single_values
from infra.local.page.sanitise import sanitised
from infra.local.session import ACCOUNT, LocalSession

ZONE = ZoneInfo("Asia/Tokyo")
_OFFSET_MINUTES = -540
_MOST_POINTS = 300

Widget = dict[str, Any]


@dataclass(frozen=True)
class TimeRange:
    """What the time range selector says."""

    start: datetime
    end: datetime

    @classmethod
    def last(cls, seconds: int, now: datetime) -> TimeRange:
        """The last so many seconds."""
        return cls(now - timedelta(seconds=seconds), now)

    @property
    def seconds(self) -> int:
        """Its length."""
        return int((self.end - self.start).total_seconds())


def markdown(text: str) -> str:
    """A text widget's Markdown as HTML, with the console's ``[button:主要:…](url)`` links."""
    html = str(MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").render(text))
    button = re.compile(r'<a href="([^"]*)">button:(primary:)?([^<]*)</a>')
    return button.sub(lambda m: f'<a class="btn{" btn-primary" if m[2] else ""}" href="{m[1]}">{m[3]}</a>', html)


def with_variables(body: dict[str, Any], chosen: Mapping[str, str]) -> dict[str, Any]:
    """Put the value of every dashboard variable where CloudWatch would: in place of a pattern, or of a property."""
    widgets: Any = body.get("widgets", [])
    for variable in body.get("variables") or ():
        value = chosen.get(str(variable.get("id")), variable.get("defaultValue"))
        if value in (None, "") or value == "__FIRST":
            continue
        if variable.get("type") == "pattern":
            widgets = _replaced(widgets, str(variable["pattern"]), str(value))
        else:
            widgets = _set(widgets, str(variable["property"]), str(value))
    return {**body, "widgets": widgets}


def _replaced(node: Any, pattern: str, value: str) -> Any:
    if isinstance(node, dict):
        return {key: _replaced(inner, pattern, value) for key, inner in node.items()}
    if isinstance(node, list):
        return [_replaced(inner, pattern, value) for inner in node]
    return node.replace(pattern, value) if isinstance(node, str) else node


def _set(node: Any, name: str, value: str) -> Any:
    """Set a property wherever it stands: as a member, or as a metric's dimension."""
    if isinstance(node, dict):
        return {key: value if key == name else _set(inner, name, value) for key, inner in node.items()}
    if isinstance(node, list):
        after = [None, *node[:-1]]
        return [
            value if before == name and isinstance(n, str) else _set(n, name, value)
            for before, n in zip(after, node, strict=True)
        ]
    return node


class DashboardPage:
    """Everything the dashboard screen asks for."""

    def __init__(self, session: LocalSession) -> None:
        self._cloudwatch = session.client("cloudwatch")
        self._lambda = session.client("lambda")

    def names(self) -> list[str]:
        """Names of the deployed dashboards."""
        return [entry["DashboardName"] for entry in self._cloudwatch.list_dashboards()["DashboardEntries"]]

    def body(self, name: str, chosen: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A dashboard's definition, with its variables set as chosen (else to their defaults)."""
        body: dict[str, Any] = json.loads(self._cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
        return with_variables(body, chosen or {})

    def draw(self, dashboard: str, number: int, widget: Widget, shown: TimeRange, size: tuple[int, int]) -> str:
        """One widget's inside."""
        properties = widget.get("properties", {})
        match widget.get("type"):
            case "text":
                return f'<div class="text">{markdown(str(properties.get("markdown", "")))}</div>'
            case "metric":
                return self._metric(properties, shown, size)
            case "custom":
                context = widget_context(dashboard, number, properties, shown, size)
                return self.call(str(properties["endpoint"]), dict(properties.get("params") or {}), context)
            case "alarm":
                return self._alarms(properties)
            case kind:
                return f'<p class="note">{escape(str(kind))} のウィジェットはローカル画面では表示できません。</p>'

    def call(self, endpoint: str, params: dict[str, Any], context: dict[str, Any]) -> str:
        """Invoke a custom widget's function and make its answer harmless."""
        event = {**params, "widgetContext": context}
        try:
            answer = self._lambda.invoke(FunctionName=endpoint, Payload=json.dumps(event).encode())
        except ClientError as error:
            return _problem(str(error))
        text = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            return _problem(text)
        value = json.loads(text) if text else ""
        if isinstance(value, str):
            return sanitised(value)
        if isinstance(value, dict) and set(value) == {"markdown"}:
            return f'<div class="text">{markdown(str(value["markdown"]))}</div>'
        return f'<pre class="json">{escape(json.dumps(value, ensure_ascii=False, indent=2))}</pre>'

    def describe(self, endpoint: str) -> str:
        """What a custom widget says about itself."""
        answer = self._lambda.invoke(FunctionName=endpoint, Payload=b'{"describe": true}')
        value = json.loads(answer["Payload"].read() or b'""')
        return markdown(str(value.get("markdown", value) if isinstance(value, dict) else value))

    def _metric(self, properties: dict[str, Any], shown: TimeRange, size: tuple[int, int]) -> str:
        queries = metric_queries(properties, shown)
        if not queries:
            return '<p class="note">メトリクスが指定されていません。</p>'
        try:
            found = self._cloudwatch.get_metric_data(
                MetricDataQueries=[query.request for query in queries if not query.hidden_helper],
                StartTime=shown.start,
                EndTime=shown.end,
                ScanBy="TimestampAscending",
            )
        except ClientError as error:
            return _problem(str(error))
        results = {result["Id"]: result for result in found["MetricDataResults"]}
        series = [
            Series(
                query.label or results[query.id].get("Label", query.id),
                sorted(zip(results[query.id]["Timestamps"], results[query.id]["Values"], strict=True)),
                query.colour,
            )
            for query in queries
            if query.visible and query.id in results
        ]
        view = properties.get("view", "timeSeries")
        if view in ("singleValue", "gauge"):
            return single_values(series)
        frame = Frame(shown.start, shown.end, max(240, size[0]), max(120, size[1] - 34), ZONE)
        return line_chart(series, frame, stacked=bool(properties.get("stacked")), bars=view == "bar")

    def _alarms(self, properties: dict[str, Any]) -> str:
        names = [str(arn).rpartition(":alarm:")[2] for arn in properties.get("alarms", ())]
        alarms = self._cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
        words = {"OK": "正常", "ALARM": "アラーム", "INSUFFICIENT_DATA": "データ不足"}
        rows = "".join(
            f'<li class="state-{alarm["StateValue"].lower()}"><b>{words.get(alarm["StateValue"], "")}</b>'
            f"{escape(alarm['AlarmName'])}</li>"
            for alarm in alarms
        )
        return f'<ul class="alarms">{rows}</ul>'


def _problem(text: str) -> str:
    return f'<div class="problem"><b>ウィジェットを表示できませんでした</b><pre>{escape(text[:2000])}</pre></div>'


def widget_context(
    dashboard: str, number: int, properties: dict[str, Any], shown: TimeRange, size: tuple[int, int],
    forms: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The ``widgetContext`` CloudWatch adds to every call of a custom widget."""
    start, end = int(shown.start.timestamp() * 1000), int(shown.end.timestamp() * 1000)
    return {
        "dashboardName": dashboard,
        "widgetId": f"widget-{number}",
        "domain": "https://ap-northeast-1.console.aws.amazon.com",
        "accountId": ACCOUNT,
        "locale": "ja",
        "timezone": {"label": "JST", "offsetISO": "+09:00", "offsetInMinutes": _OFFSET_MINUTES},
        "period": 300,
        "isAutoPeriod": True,
        "timeRange": {
            "mode": "relative",
            "start": start,
            "end": end,
            "relativeStart": shown.seconds * 1000,
            "zoom": {"start": start, "end": end},
        },
        "theme": "light",
        "linkCharts": True,
        "title": properties.get("title", ""),
        "params": properties.get("params") or {},
        "forms": {"all": forms or {}},
        "width": size[0],
        "height": size[1],
    }


@dataclass(frozen=True)
class MetricQuery:
    """One line of a metric widget as GetMetricData wants it."""

    id: str
    request: dict[str, Any]
    label: str
    colour: str
    visible: bool
    hidden_helper: bool = False


def metric_queries(properties: dict[str, Any], shown: TimeRange) -> list[MetricQuery]:
    """Turn a widget's metric rows (with their ``.`` shorthand) into queries."""
    queries: list[MetricQuery] = []
    above: list[str] = []
    for number, row in enumerate(properties.get("metrics") or ()):
        options = dict(row[-1]) if row and isinstance(row[-1], dict) else {}
        words = [str(word) for word in row if not isinstance(word, dict)]
        words = _filled(words, above)
        above = words or above
        query_id = str(options.get("id") or f"m{number}")
        if "expression" in options:
            request: dict[str, Any] = {"Id": query_id, "Expression": options["expression"]}
            label = str(options.get("label") or options["expression"])
        else:
            request = {"Id": query_id, "MetricStat": _metric_stat(words, options, properties, shown)}
            label = str(options.get("label") or words[-1] if len(words) > 2 else words[1])
        request["ReturnData"] = True
        label = "" if "${" in label else label
        queries.append(
            MetricQuery(
                query_id, request, label, str(options.get("color", "")), options.get("visible", True) is not False
            )
        )
    return queries


def _filled(words: Sequence[str], above: Sequence[str]) -> list[str]:
    filled: list[str] = []
    for word in words:
        if word == "...":
            filled += above[len(filled) : len(above) - (len(words) - words.index("...") - 1)]
        elif word == "." and len(filled) < len(above):
            filled.append(above[len(filled)])
        else:
            filled.append(word)
    return filled


def _metric_stat(
    words: Sequence[str], options: dict[str, Any], properties: dict[str, Any], shown: TimeRange
) -> dict[str, Any]:
    asked = int(options.get("period") or properties.get("period") or 300)
    fewest = max(60, -(-shown.seconds // _MOST_POINTS // 60) * 60)
    return {
        "Metric": {
            "Namespace": words[0],
            "MetricName": words[1],
            "Dimensions": [{"Name": n, "Value": v} for n, v in zip(words[2::2], words[3::2], strict=False)],
        },
        "Period": max(asked, fewest),
        "Stat": str(options.get("stat") or properties.get("stat") or "Average"),
    }


def now() -> datetime:
    """The page's clock: it shows what is, not what was decided."""
    return datetime.now(UTC)
