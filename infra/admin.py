"""The admin's screen: one CloudWatch dashboard in Japanese, its widgets, and the alarms that call someone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.house import House, states_arn
from infra.names import DASHBOARD, NIGHTLY_MACHINE
from infra.scenarios import Scenarios
from shared.admin.sources import render_titles, titles_of
from shared.admin.views import VIEWS, View
from shared.core.telemetry import NAMESPACE

TENANT = "default"
"""The shop the dashboard opens with; the variable at its top switches to another."""

FIVE_MINUTES = Duration.minutes(5)

GUIDE = (
    "# また来て Matakite\n\n"
    "**まず見るところ**　① アラームが赤くないか　② 「シナリオの配信状況」が **✓ 1人単位で一致** しているか　"
    "③ 「夜間集計」が **✓ 正常に終了** しているか\n\n"
    "お店の切り替えは、上の「ショップ」にショップIDを入れてください。お客さま一人ひとりの履歴は "
    "`matakite customer show` と `matakite explain` で確認できます（この画面に個人情報は表示されません）。"
)

ADVICE = {
    "dead-letters": "処理できないデータがあります。1件とログを読み、直してから再投入してください（14日間保存）。",
    "iterator-age": "ストリームの処理が1時間以上遅れています（24時間で失われます）。関数のエラーを確認してください。",
    "sends-in-doubt": "送れたか分からない配信があります。自動では再送しません。SESの通知を確認してください。",
    "sending-stopped": "バウンスか苦情が多く、配信を止めました。名簿を確認し、matakite delivery resume で再開。",
    "sends-overdue": "送るはずの配信が時間を過ぎても送られていません。シナリオの実行と関数のエラーを確認してください。",
    "nightly-failed": "夜間集計が失敗しました。実行履歴を見て直し、matakite nightly run で再実行してください。",
    "webhook-slow": "Webhookの応答が2秒を超えています。遅いとカートが送信をやめます。関数のログを確認してください。",
    "carts-in-trouble": "カートを読めないか、Webhookが停止中です。matakite connection list を見て再認証か再登録を。",
    "api-errors": "公開APIが5xxを返しました。ログを確認してください。カートは送り直すので、直れば失われません。",
}
"""Runbook anchor → what to do, in the alarm's own text: whoever is woken reads nothing else first."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The resources of the stack whose health is shown, found by what they are: a new one is watched by itself."""

    functions: Sequence[lambda_.Function]
    dead_letters: Mapping[str, sqs.Queue]
    stream_readers: Mapping[str, lambda_.Function]
    machines: Mapping[str, str]
    """State machine name → ARN."""


class Admin(Construct):
    """Dashboard, widget function and alarms. Made last, because it watches what the other domains made."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House, scenarios: Scenarios) -> None:
        super().__init__(scope, construct_id)
        self._house = house
        self._watched = _watch(Stack.of(self))
        self.widgets = self._widget_function(scenarios)
        self.alerts = self._topic()
        self.alarms = self._alarms()
        self.dashboard = self._dashboard()

    def _widget_function(self, scenarios: Scenarios) -> lambda_.Function:
        tables = self._house.tables
        function = self._house.function(
            self, "admin/draw_widget", own={"scenarios": render_titles(titles_of(scenarios.scenarios))}
        )
        self._house.grant_shops(function)
        # Named on the table alone: `grant` would open its indexes too.
        tables_read = [tables.reports.table_arn, tables.scenarios.table_arn]
        function.add_to_role_policy(iam.PolicyStatement(actions=["dynamodb:Query"], resources=tables_read))
        return function

    def _topic(self) -> sns.Topic:
        # An explicit grant: with a topic policy that says nothing of CloudWatch, or under the AWS managed SNS key,
        # alarms reach nobody and nothing says so. A key of its own would cost a small shop an eighth of its mail, every
        # month, for texts that stand in this file: SNS encrypts its disks either way.
        cloudwatch_service = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        topic = sns.Topic(self, "Alerts", display_name="Matakite", enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudwatch_service],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        output = CfnOutput(self, "AlertsTopic", value=topic.topic_arn, description="subscribe a mail address to it")
        output.override_logical_id("AlertsTopic")
        return topic

    # --- alarms -------------------------------------------------------------------------------------------------------

    def _alarms(self) -> list[cloudwatch.Alarm]:
        """What must wake someone. One metric each: the account's first ten are free, then $0.10 a month."""
        api = {"ApiId": self._house.api.api_id}
        nightly = {"StateMachineArn": states_arn(self, "stateMachine", NIGHTLY_MACHINE)}
        # Told every quarter of an hour while it lasts: by five minutes the alarm would end and begin again each time.
        in_doubt = _custom("SendsInDoubt", "delivery", statistic="Maximum", hours=1)
        overdue = _custom("SendsOverdue", "delivery", statistic="Maximum", hours=1)
        slow = self._receiver().metric_duration(statistic="p99", period=FIVE_MINUTES)
        # Carts post to the function's own address, which the API's figures know nothing of.
        refused = self._receiver().metric("Url5xxCount", statistic="Sum", period=FIVE_MINUTES)
        return [
            *(self._alarm(f"DeadLetters{name}", "dead-letters", _depth(queue))
              for name, queue in self._watched.dead_letters.items()),
            *(self._alarm(f"IteratorAge{name}", "iterator-age", _age(reader), threshold=3_600_000)
              for name, reader in self._watched.stream_readers.items()),
            self._alarm("SendsInDoubt", "sends-in-doubt", in_doubt),
            self._alarm("ShopsStopped", "sending-stopped", _custom("ShopsStopped", "delivery")),
            self._alarm("SendsOverdue", "sends-overdue", overdue),
            self._alarm("NightlyFailed", "nightly-failed", _aws("AWS/States", "ExecutionsFailed", nightly)),
            self._alarm("WebhookSlow", "webhook-slow", slow, threshold=2_000, periods=3),
            self._alarm("CartsInTrouble", "carts-in-trouble", _custom("CartsInTrouble", "ingest", hours=3)),
            self._alarm("ApiErrors", "api-errors", _aws("AWS/ApiGateway", "5xx", api)),
            self._alarm("HooksErrors", "api-errors", refused),
        ]  # fmt: skip

    def _alarm(
        self, name: str, anchor: str, metric: cloudwatch.IMetric, *, threshold: float = 0, periods: int = 1
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"matakite {name}",
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"runbook#{anchor}: {ADVICE[anchor]}",
        )
        alarm.add_alarm_action(actions.SnsAction(self.alerts))
        return alarm

    def _receiver(self) -> lambda_.Function:
        """The intake: it answers at its own address, too, which the API's figures know nothing of."""
        return next(each for each in self._watched.functions if each.node.id == "ReceiveWebhook")

    # --- dashboard ----------------------------------------------------------------------------------------------------

    def _dashboard(self) -> cloudwatch.Dashboard:
        tenant = cloudwatch.DashboardVariable(
            id="tenant",
            label="ショップ",
            type=cloudwatch.VariableType.PROPERTY,
            input_type=cloudwatch.VariableInputType.INPUT,
            value="tenant",
            default_value=cloudwatch.DefaultValue.value(TENANT),
        )
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=DASHBOARD, default_interval=Duration.days(1), variables=[tenant]
        )
        alarms = cloudwatch.AlarmStatusWidget(title="アラーム", alarms=self.alarms, width=24, height=4)
        dashboard.add_widgets(cloudwatch.TextWidget(markdown=GUIDE, width=24, height=3))
        dashboard.add_widgets(alarms)
        for row in _rows([self._custom_widget(name, view) for name, view in VIEWS.items()]):
            dashboard.add_widgets(*row)
        for row in _rows(self._graphs()):
            dashboard.add_widgets(*row)
        return dashboard

    def _custom_widget(self, name: str, view: View) -> cloudwatch.IWidget:
        return cloudwatch.CustomWidget(
            function_arn=self.widgets.function_arn,
            title=view.TITLE.ja,
            width=view.SIZE.width,
            height=view.SIZE.height,
            params={"view": name, "tenant": TENANT, "language": "ja"},
            update_on_refresh=True,
            update_on_resize=True,
            update_on_time_range_change=False,
        )

    def _graphs(self) -> list[cloudwatch.IWidget]:
        watched = self._watched
        return [
            _graph("Webhook 受信", [
                self._receiver().metric_invocations(label="届いた", period=FIVE_MINUTES),
                _custom("WebhooksDuplicate", "ingest", "重複（無視した）"),
                _custom("WebhooksRefused", "ingest", "拒否した"),
                _custom("WebhooksFailed", "ingest", "失敗した"),
            ]),
            _graph("カートの読み取り", [
                _custom("PollsDone", "ingest", "読み終えた"),
                _custom("PollsFailed", "ingest", "読めなかった"),
                _custom("WebhooksLost", "ingest", "Webhookの抜けを取り戻した"),
                _custom("WebhooksOff", "ingest", "Webhookが止まっていた"),
            ]),
            _graph("メール配信", [
                _custom("SendsSent", "delivery", "送信した"),
                _custom("SendsHeldBack", "delivery", "送らなかった"),
                _custom("SendsInDoubt", "delivery", "送れたか確認中", "Maximum"),
            ]),
            _graph("処理できなかったデータ（DLQ）", [
                _depth(queue, name) for name, queue in watched.dead_letters.items()
            ]),
            _graph("ステートマシンの失敗", [
                _aws("AWS/States", "ExecutionsFailed", {"StateMachineArn": arn}, label=name)
                for name, arn in watched.machines.items()
            ]),
            _graph("ストリームの遅れ（ミリ秒）", [
                _age(reader, name) for name, reader in watched.stream_readers.items()
            ]),
            _graph("関数のエラー", [
                function.metric_errors(label=function.node.id, period=FIVE_MINUTES) for function in watched.functions
            ]),
        ]  # fmt: skip


def _watch(stack: Stack) -> Watched:
    nodes = stack.node.find_all()
    queues = [node for node in nodes if isinstance(node, sqs.Queue) and node.node.id.endswith("DeadLetters")]
    functions = [node for node in nodes if isinstance(node, lambda_.Function)]
    readers = [f for f in functions if f.node.try_find_child("StreamDeadLetters")]
    machines = [node for node in nodes if isinstance(node, sfn.CfnStateMachine)]
    return Watched(
        functions=functions,
        dead_letters={_queue_name(queue): queue for queue in queues},
        stream_readers={reader.node.id: reader for reader in readers},
        machines={machine.state_machine_name or machine.node.id: machine.attr_arn for machine in machines},
    )


def _queue_name(queue: sqs.Queue) -> str:
    """`UpdateStateStream` for the dead letters of a stream reader, else the queue's own name: unique in the stack."""
    own = queue.node.id.removesuffix("DeadLetters")
    parent = queue.node.scope
    return f"{parent.node.id}{own}" if isinstance(parent, lambda_.Function) else own


# Alarms pass no label: with one, CDK writes an alarm on metric math, which costs more and the local cloud refuses.
def _depth(queue: sqs.Queue, label: str | None = None) -> cloudwatch.IMetric:
    return queue.metric_approximate_number_of_messages_visible(label=label, period=FIVE_MINUTES, statistic="Maximum")


def _age(reader: lambda_.Function, label: str | None = None) -> cloudwatch.IMetric:
    return reader.metric("IteratorAge", label=label, period=FIVE_MINUTES, statistic="Maximum")


def _custom(
    name: str, service: str, label: str | None = None, statistic: str = "Sum", hours: int = 0
) -> cloudwatch.Metric:
    """One of the product's own metrics (shared/core/telemetry.py); over hours where it is told of only so often."""
    metric = _aws(NAMESPACE, name, {"service": service}, label=label, statistic=statistic)
    return metric.with_(period=Duration.hours(hours)) if hours else metric


def _aws(
    namespace: str, name: str, dimensions: Mapping[str, str], *, label: str | None = None, statistic: str = "Sum"
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map=dict(dimensions),
        label=label,
        statistic=statistic,
        period=FIVE_MINUTES,
    )


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.IWidget:
    axis = cloudwatch.YAxisProps(min=0, show_units=False)
    return cloudwatch.GraphWidget(title=title, left=metrics, left_y_axis=axis, width=8, height=5)


def _rows(widgets: Sequence[cloudwatch.IWidget]) -> list[list[cloudwatch.IWidget]]:
    """Widgets in reading order, as many to a row as fit into 24 columns."""
    rows: list[list[cloudwatch.IWidget]] = []
    for widget in widgets:
        if rows and sum(each.width for each in rows[-1]) + widget.width <= 24:
            rows[-1].append(widget)
        else:
            rows.append([widget])
    return rows
