"""The local cloud answers as AWS does where it matters to us: each mended difference, on a small stack."""

from __future__ import annotations

import io
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from infra.local import lifecycle
from infra.local.lifecycle import LocalCloud
from infra.local.page.server import LocalPage, handler_for
from infra.local.process import LocalPaths, free_port, internal
from infra.node import use_bundled_node

STACK = "Tiny"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The tiny stack, deployed into an emulator of its own; waits take no time."""
    use_bundled_node()
    from tests.system.local.tiny_app import synthesise

    assembly = synthesise(tmp_path_factory.mktemp("tiny") / "cdk.out")
    paths = LocalPaths(tmp_path_factory.mktemp("state"))
    running = lifecycle.up(paths=paths, assembly=assembly, port=free_port(), wait_scale=0)
    _fill_lake(running)
    yield running
    lifecycle.down(paths)


def _fill_lake(cloud: LocalCloud) -> None:
    s3, bucket = cloud.session.client("s3"), cloud.output("LakeBucket")
    for tenant in ("t1", "t2"):
        for day in ("2026-03-01", "2026-03-02", "2025-12-31"):
            rows = {
                "order_id": [f"{tenant}-{day}-{n}" for n in range(500)],
                "amount": list(range(500)),
                "ordered_at": pa.array([datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)] * 500, pa.timestamp("us", tz="UTC")),
            }
            out = io.BytesIO()
            pq.write_table(pa.table(rows), out, compression="zstd")
            s3.put_object(Bucket=bucket, Key=f"orders/{tenant}/day_on={day}/part.parquet", Body=out.getvalue())
    s3.put_object(Bucket=bucket, Key="cohort.json", Body=json.dumps(["a", "b", "c", "d", "e"]))
    s3.put_object(Bucket=bucket, Key="bad.json", Body=json.dumps(["a", "fail"]))


def eventually(look: Callable[[], Any], seconds: float = 15) -> Any:
    """Look until there is something to see."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def post_item(cloud: LocalCloud, item: str) -> int:
    """Post to the deployed HTTP API, as any client would."""
    request = urllib.request.Request(f"{cloud.output('ApiUrl')}/items/{item}", data=b"{}", method="POST")  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        return error.code


def copied(cloud: LocalCloud, pk: str) -> dict[str, Any] | None:
    """The row a function wrote, if it did."""
    table = cloud.session.client("dynamodb")
    found: dict[str, Any] | None = table.get_item(TableName=cloud.output("CopiesTable"), Key={"pk": {"S": pk}}).get(
        "Item"
    )
    return found


class Without:
    """Takes one action away from one role while inside, and gives it back."""

    def __init__(self, cloud: LocalCloud, role_part: str, action: str) -> None:
        self._iam = cloud.session.client("iam")
        self._role = next(
            r["RoleName"]
            for page in self._iam.get_paginator("list_roles").paginate()
            for r in page["Roles"]
            if role_part in r["RoleName"]
        )
        self._action = action
        self._original: dict[str, Any] = {}

    def __enter__(self) -> None:
        for name in self._iam.list_role_policies(RoleName=self._role)["PolicyNames"]:
            document = self._iam.get_role_policy(RoleName=self._role, PolicyName=name)["PolicyDocument"]
            self._original[name] = document
            self._put(
                name, {**document, "Statement": [s for s in map(self._without, document["Statement"]) if s["Action"]]}
            )

    def _without(self, statement: dict[str, Any]) -> dict[str, Any]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        return {**statement, "Action": [action for action in actions if action != self._action]}

    def __exit__(self, *error: object) -> None:
        for name, document in self._original.items():
            self._put(name, document)

    def _put(self, name: str, document: dict[str, Any]) -> None:
        if not document["Statement"]:
            self._iam.delete_role_policy(RoleName=self._role, PolicyName=name)
        else:
            self._iam.put_role_policy(RoleName=self._role, PolicyName=name, PolicyDocument=json.dumps(document))


# --- functions, HTTP API, logs ----------------------------------------------------------------------------------------


def test_a_posted_item_reaches_the_second_table(cloud: LocalCloud) -> None:
    assert post_item(cloud, "plain") == 202
    assert eventually(lambda: copied(cloud, "plain"))


def test_the_function_log_can_be_read(cloud: LocalCloud) -> None:
    post_item(cloud, "logged")
    logs = cloud.session.client("logs")
    group = next(
        g["logGroupName"] for g in logs.describe_log_groups()["logGroups"] if "ReceiveLogs" in g["logGroupName"]
    )
    found = eventually(lambda: logs.filter_log_events(logGroupName=group, filterPattern='"logged"')["events"])
    assert "received" in found[0]["message"]


def test_metrics_in_the_log_become_metrics(cloud: LocalCloud) -> None:
    post_item(cloud, "counted")
    client, now = cloud.session.client("cloudwatch"), datetime.now(UTC)

    def total() -> float:
        points = client.get_metric_statistics(
            Namespace="Tiny",
            MetricName="Received",
            Dimensions=[{"Name": "shop", "Value": "t1"}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    assert eventually(total) >= 1


def test_the_api_cannot_call_a_function_that_does_not_let_it_in(cloud: LocalCloud) -> None:
    client = cloud.session.client("lambda")
    name = next(f["FunctionName"] for f in client.list_functions()["Functions"] if "Receive" in f["FunctionName"])
    statement = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"][0]
    client.remove_permission(FunctionName=name, StatementId=statement["Sid"])
    try:
        assert post_item(cloud, "nobody") == 500
    finally:
        client.add_permission(
            FunctionName=name,
            StatementId=statement["Sid"],
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
        )
    assert post_item(cloud, "again") == 202


def test_a_function_without_its_grant_fails(cloud: LocalCloud) -> None:
    with Without(cloud, "Tiny-Receive", "dynamodb:PutItem"):
        assert post_item(cloud, "refused") == 500


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["poison-1", "crash-1"])
def test_a_poison_record_ends_in_the_dead_letter_queue_and_the_stream_goes_on(cloud: LocalCloud, bad: str) -> None:
    queue = cloud.output("PoisonQueue")
    assert post_item(cloud, bad) == 202
    found = eventually(
        lambda: cloud.session.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages")
    )
    info = json.loads(found[0]["Body"])
    assert info["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert info["DDBStreamBatchInfo"]["batchSize"] == 1
    cloud.session.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])
    assert post_item(cloud, f"after-{bad}") == 202
    assert eventually(lambda: copied(cloud, f"after-{bad}"))


def test_only_the_queue_with_messages_raises_its_alarm(cloud: LocalCloud) -> None:
    sqs, cloudwatch = cloud.session.client("sqs"), cloud.session.client("cloudwatch")
    sqs.send_message(QueueUrl=cloud.output("PoisonQueue"), MessageBody="left over")

    def states() -> dict[str, str]:
        alarms = cloudwatch.describe_alarms(AlarmNamePrefix="tiny-")["MetricAlarms"]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}

    wanted = {"tiny-PoisonAlarm": "ALARM", "tiny-QuietAlarm": "OK"}
    assert eventually(lambda: states() == wanted)
    sqs.purge_queue(QueueUrl=cloud.output("PoisonQueue"))


def test_a_stream_function_needs_its_grant_to_read_the_stream(cloud: LocalCloud) -> None:
    with Without(cloud, "Tiny-Copy", "dynamodb:GetRecords"):
        post_item(cloud, "unread")
        time.sleep(0.5)
        assert copied(cloud, "unread") is None
    assert eventually(lambda: copied(cloud, "unread"))


# --- state machine, schedule ------------------------------------------------------------------------------------------


def run_machine(cloud: LocalCloud, key: str) -> dict[str, Any]:
    """Run to the end and describe."""
    sfn = cloud.session.client("stepfunctions")
    arn = sfn.start_execution(stateMachineArn=cloud.output("MachineArn"), input=json.dumps({"key": key}))[
        "executionArn"
    ]
    found: dict[str, Any] = eventually(
        lambda: (d := sfn.describe_execution(executionArn=arn)) and d["status"] != "RUNNING" and d
    )
    return found


def test_a_day_passes_at_once_and_the_map_works_in_batches(cloud: LocalCloud) -> None:
    found = run_machine(cloud, "cohort.json")
    assert found["status"] == "SUCCEEDED", found.get("cause")
    output = json.loads(found["output"])
    s3, details = cloud.session.client("s3"), output["map"]["ResultWriterDetails"]
    manifest = json.loads(s3.get_object(Bucket=details["Bucket"], Key=details["Key"])["Body"].read())
    files = manifest["ResultFiles"]["SUCCEEDED"]
    results = json.loads(s3.get_object(Bucket=details["Bucket"], Key=files[0]["Key"])["Body"].read())
    assert [json.loads(result["Output"])["done"] for result in results] == [2, 2, 1]
    assert all(copied(cloud, f"worked#{person}") for person in "abcde")


def test_a_failing_function_names_its_error_to_the_state_machine(cloud: LocalCloud) -> None:
    found = run_machine(cloud, "bad.json")
    assert (found["status"], found["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")


@pytest.mark.parametrize(
    "action", ["lambda:InvokeFunction", "athena:startQueryExecution", "s3:GetObject", "glue:GetTable"]
)
def test_a_state_machine_without_a_grant_fails(cloud: LocalCloud, action: str) -> None:
    with Without(cloud, "Tiny-MachineRole", action):
        found = run_machine(cloud, "cohort.json")
        if action in ("glue:GetTable",):  # the query is only started here; it fails by itself
            query = json.loads(found["output"])["query"]["QueryExecutionId"]
            assert "not authorized" in wait_for_query(cloud, query)["Status"]["StateChangeReason"]
            return
    assert found["status"] == "FAILED"


def test_a_schedule_starts_in_its_own_time_zone(cloud: LocalCloud) -> None:
    schedule = next(s for s in internal(cloud.emulator, "GET", "/_matakite/schedules") if s["name"] == "tiny-nightly")
    assert " 17:00:00" in schedule["next_at"]


def executions(cloud: LocalCloud) -> int:
    """How many executions the machine has had."""
    client = cloud.session.client("stepfunctions")
    return len(client.list_executions(stateMachineArn=cloud.output("MachineArn"))["executions"])


def test_a_fired_schedule_starts_its_machine_only_with_its_grant(cloud: LocalCloud) -> None:
    before = executions(cloud)
    with Without(cloud, "SchedulerRole", "states:StartExecution"):
        internal(cloud.emulator, "POST", "/_matakite/schedules/fire", {"name": "tiny-nightly"})
        time.sleep(0.3)
        assert executions(cloud) == before
    internal(cloud.emulator, "POST", "/_matakite/schedules/fire", {"name": "tiny-nightly"})
    assert eventually(lambda: executions(cloud) == before + 1)


# --- mail -------------------------------------------------------------------------------------------------------------


def send(cloud: LocalCloud, to: str, **given: str) -> dict[str, Any]:
    """Invoke the sending function."""
    answer = cloud.session.client("lambda", config=Config(retries={"total_max_attempts": 1})).invoke(
        FunctionName=cloud.output("SendFunction"), Payload=json.dumps({"to": to, **given})
    )
    return {"failed": "FunctionError" in answer, **json.loads(answer["Payload"].read())}


def noted(cloud: LocalCloud, kind: str, message_id: str) -> dict[str, Any]:
    """The event that came through rule, queue and function."""
    row = eventually(lambda: copied(cloud, f"mail#{kind}#{message_id}"))
    detail: dict[str, Any] = json.loads(row["detail"]["S"])
    return detail


def test_a_mail_is_kept_whole_and_reported_delivered(cloud: LocalCloud) -> None:
    sent = send(cloud, "hanako@example.com", send_id="s42")
    kept = internal(cloud.emulator, "GET", f"/_matakite/outbox/{sent['message_id']}")
    assert kept["headers"] == [{"name": "List-Unsubscribe-Post", "value": "List-Unsubscribe=One-Click"}]
    assert kept["reply_to"] == ["help@shop.example.com"]
    assert noted(cloud, "Send", sent["message_id"])["send"] == {}
    delivered = noted(cloud, "Delivery", sent["message_id"])
    assert delivered["delivery"]["recipients"] == ["hanako@example.com"]
    assert delivered["mail"]["tags"]["send_id"] == ["s42"]
    assert delivered["mail"]["tags"]["ses:configuration-set"] == ["tiny"]


def test_no_variable_of_the_emulator_reaches_a_function(cloud: LocalCloud) -> None:
    assert send(cloud, "hanako@example.com")["pythonpath"] == ""


def test_opens_and_clicks_go_back_in_as_events(cloud: LocalCloud) -> None:
    message_id = send(cloud, "jiro@example.com")["message_id"]
    internal(cloud.emulator, "POST", f"/_matakite/outbox/{message_id}/open", {})
    internal(cloud.emulator, "POST", f"/_matakite/outbox/{message_id}/click", {"link": "https://shop.example.com/cart"})
    assert noted(cloud, "Open", message_id)["open"]["ipAddress"]
    assert noted(cloud, "Click", message_id)["click"]["link"] == "https://shop.example.com/cart"


def test_the_mailbox_simulator_bounces_and_complains(cloud: LocalCloud) -> None:
    bounced = send(cloud, "bounce+a@simulator.amazonses.com")["message_id"]
    complained = send(cloud, "complaint@simulator.amazonses.com")["message_id"]
    assert noted(cloud, "Bounce", bounced)["bounce"]["bounceType"] == "Permanent"
    assert noted(cloud, "Complaint", complained)["complaint"]["complaintFeedbackType"] == "abuse"
    assert copied(cloud, f"mail#Delivery#{bounced}") is None


def test_the_account_suppression_list_stops_a_mail_that_ses_accepted(cloud: LocalCloud) -> None:
    ses = cloud.session.client("sesv2")
    ses.put_suppressed_destination(EmailAddress="gone@example.com", Reason="BOUNCE")
    message_id = send(cloud, "gone@example.com")["message_id"]
    assert noted(cloud, "Bounce", message_id)["bounce"]["bounceSubType"] == "OnAccountSuppressionList"
    ses.delete_suppressed_destination(EmailAddress="gone@example.com")
    assert ses.list_suppressed_destinations()["SuppressedDestinationSummaries"] == []


def test_sending_needs_the_grant_and_the_configuration_set(cloud: LocalCloud) -> None:
    assert "NotFoundException" in send(cloud, "a@example.com", set="tiny2")["errorMessage"] or "not authorized" in str(
        send(cloud, "a@example.com", set="tiny2")
    )
    with Without(cloud, "Tiny-Send", "ses:SendEmail"):
        refused = send(cloud, "a@example.com")
    assert refused["failed"]
    assert "not authorized" in refused["errorMessage"]


def test_an_event_the_queue_does_not_let_in_is_lost(cloud: LocalCloud) -> None:
    sqs = cloud.session.client("sqs")
    queue = next(url for url in sqs.list_queues()["QueueUrls"] if "Feedback" in url)
    policy = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    try:
        message_id = send(cloud, "lost@example.com")["message_id"]
        time.sleep(0.7)
        assert copied(cloud, f"mail#Delivery#{message_id}") is None
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})


# --- planned failures, counts, grants ---------------------------------------------------------------------------------


def plan(cloud: LocalCloud, **fault: Any) -> None:
    """Plan a failure."""
    internal(cloud.emulator, "POST", "/_matakite/faults", fault)


def outbox_count(cloud: LocalCloud) -> int:
    """How many mails SES accepted so far."""
    count: int = internal(cloud.emulator, "GET", "/_matakite/outbox?limit=1")["count"]
    return count


@pytest.mark.parametrize(
    ("kind", "accepted", "error_type"),
    [
        ("throttle", 0, "TooManyRequestsException"),
        ("error_500_before", 0, "ClientError"),
        ("error_500_after", 1, "ClientError"),
        ("lose_reply", 1, "ConnectionClosedError"),
        ("kill_before", 0, "Runtime.ExitError"),
        ("kill_after", 1, "Runtime.ExitError"),
    ],
)
def test_a_send_fails_as_planned(cloud: LocalCloud, kind: str, accepted: int, error_type: str) -> None:
    before = outbox_count(cloud)
    plan(cloud, service="ses", action="SendEmail", kind=kind, principal="Tiny-Send")
    failed = send(cloud, "fault@example.com")
    assert failed["failed"]
    assert failed["errorType"] == error_type
    assert outbox_count(cloud) == before + accepted
    assert not send(cloud, "fault@example.com")["failed"]


def test_a_lost_reply_leaves_the_write_done(cloud: LocalCloud) -> None:
    table = cloud.session.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
    plan(cloud, service="dynamodb", action="PutItem", kind="lose_reply", contains="unheard")
    with pytest.raises(ConnectionClosedError):
        table.put_item(TableName=cloud.output("CopiesTable"), Item={"pk": {"S": "unheard"}})
    assert copied(cloud, "unheard")


def test_calls_and_units_are_counted(cloud: LocalCloud) -> None:
    internal(cloud.emulator, "DELETE", "/_matakite/calls")
    big = {"pk": {"S": "big"}, "body": {"S": "x" * 2500}}
    cloud.session.client("dynamodb").put_item(TableName=cloud.output("ItemsTable"), Item=big)
    report = internal(cloud.emulator, "GET", "/_matakite/calls")
    assert {"principal": "root", "service": "dynamodb", "action": "PutItem", "count": 1} in report["calls"]
    units = {row["table"]: row["write_units"] for row in report["dynamodb"]}
    assert units[cloud.output("ItemsTable")] == 3


# --- Athena -----------------------------------------------------------------------------------------------------------


def wait_for_query(cloud: LocalCloud, query_id: str) -> dict[str, Any]:
    """The finished execution."""
    athena = cloud.session.client("athena")
    found: dict[str, Any] = eventually(
        lambda: (
            (q := athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"])
            and q["Status"]["State"] in ("SUCCEEDED", "FAILED")
            and q
        )
    )
    return found


def run_query(cloud: LocalCloud, sql: str, *parameters: str) -> tuple[dict[str, Any], list[list[str | None]]]:
    """Execution and rows (with the header)."""
    athena = cloud.session.client("athena")
    given: dict[str, Any] = {"ExecutionParameters": list(parameters)} if parameters else {}
    query_id = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": "tiny"},
        ResultConfiguration={"OutputLocation": f"s3://{cloud.output('LakeBucket')}/results/"},
        **given,
    )["QueryExecutionId"]
    execution = wait_for_query(cloud, query_id)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"].get("StateChangeReason")
    rows = athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"]
    return execution, [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]


def test_a_query_sees_the_projected_partitions_and_pays_for_what_it_reads(cloud: LocalCloud) -> None:
    everything, rows = run_query(
        cloud, "SELECT count(*), sum(amount), max(ordered_at) FROM orders WHERE tenant = ?", "'t1'"
    )
    assert rows == [["_col0", "_col1", "_col2"], ["1000", "249500", "2026-03-01 01:02:03.000"]]
    one_day, rows = run_query(
        cloud, "SELECT sum(amount) AS total FROM orders WHERE tenant = ? AND day_on = ?", "'t1'", "DATE '2026-03-01'"
    )
    assert rows[1] == ["124750"]
    less = one_day["Statistics"]["DataScannedInBytes"]
    assert 0 < less < everything["Statistics"]["DataScannedInBytes"]


def test_unload_writes_parquet_that_a_table_can_read(cloud: LocalCloud) -> None:
    unload = (
        "UNLOAD (SELECT order_id, sum(amount) AS amount, max(ordered_at) AS ordered_at, DATE '2026-06-01' AS day_on "
        "FROM orders WHERE tenant = 't2' GROUP BY order_id) TO 's3://{bucket}/orders/t9/' "
        "WITH (format = 'PARQUET', compression = 'ZSTD', partitioned_by = ARRAY['day_on'])"
    )
    run_query(cloud, unload.format(bucket=cloud.output("LakeBucket")))
    _, rows = run_query(cloud, "SELECT count(*) AS n, sum(amount) AS total FROM orders WHERE tenant = 't9'")
    assert rows[1] == ["1000", "249500"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(amount) / count(*) FROM orders WHERE tenant = 't1'",
        "SELECT at_timezone(ordered_at, 'Asia/Tokyo') FROM orders WHERE tenant = 't1'",
        "SELECT levenshtein_distance2(order_id, 'x') FROM orders WHERE tenant = 't1'",
        "DELETE FROM orders",
        "SELECT * FROM orders WHERE tenant = ?",
    ],
)
def test_what_would_differ_from_athena_is_refused(cloud: LocalCloud, sql: str) -> None:
    with pytest.raises(ClientError, match="InvalidRequestException"):
        run_query(cloud, sql)


def test_a_table_with_an_injected_column_must_be_asked_for_it(cloud: LocalCloud) -> None:
    with pytest.raises(AssertionError, match="CONSTRAINT_VIOLATION"):
        run_query(cloud, "SELECT count(*) FROM orders")
    # In whatever brackets it stands.
    assert run_query(cloud, "SELECT count(*) FROM orders WHERE (tenant = 'nobody' AND (1 = 1)) AND 1 = 1")


# --- the local page ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(cloud: LocalCloud) -> Iterator[str]:
    """The page, served in this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(LocalPage(cloud.emulator)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """JSON in, JSON out."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url, data=data, timeout=20) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read())


def test_the_page_draws_the_deployed_dashboard(cloud: LocalCloud, page: str) -> None:
    post_item(cloud, "drawn")
    widgets = ask(f"{page}/api/dashboards/tiny")["widgets"]
    drawn = [ask(f"{page}/api/dashboards/tiny/widgets/{n}", {"seconds": 3600})["html"] for n in range(len(widgets))]
    assert "見本商店" in drawn[0]
    assert "<script" not in drawn[1]
    assert "<h3>t1</h3>" in drawn[1]
    assert "<svg" in drawn[2]


def test_a_widgets_button_calls_its_function_with_its_form(page: str) -> None:
    endpoint = ask(f"{page}/api/dashboards/tiny")["widgets"][1]["properties"]["endpoint"]
    call = f"{page}/api/dashboards/tiny/widgets/1/call"
    pressed = {"endpoint": endpoint, "params": {"pressed": True}, "forms": {"count": "7"}}
    assert ask(call, pressed)["html"] == "<p>押されました: 7</p>"
    assert "会員数" in ask(call, {"endpoint": endpoint, "describe": True})["html"]
    with pytest.raises(urllib.error.HTTPError):
        ask(call, {**pressed, "endpoint": "arn:aws:lambda:ap-northeast-1:000000000000:function:other"})


def test_reading_a_mail_on_the_page_opens_and_clicks_it(cloud: LocalCloud, page: str) -> None:
    message_id = send(cloud, "reader@example.com")["message_id"]
    assert message_id in [m["message_id"] for m in ask(f"{page}/api/outbox?q=reader")["messages"]]
    with urllib.request.urlopen(f"{page}/mail/{message_id}/open.gif", timeout=20) as pixel:  # noqa: S310 - loopback
        assert pixel.headers["content-type"] == "image/gif"
    with urllib.request.urlopen(f"{page}/mail/{message_id}", timeout=20) as mail:  # noqa: S310 - loopback
        assert "sandbox" in mail.headers["content-security-policy"]
        assert f"/mail/{message_id}/click?link=" in mail.read().decode()
    assert noted(cloud, "Open", message_id)


# --- last: what was used ----------------------------------------------------------------------------------------------


def test_every_grant_used_above_is_known_to_be_needed(cloud: LocalCloud) -> None:
    report = internal(cloud.emulator, "GET", "/_matakite/grants")
    needed = {(grant["role"].split("ServiceRole")[0], grant["action"]) for grant in report["grants"] if grant["needed"]}
    assert ("Tiny-Copy", "dynamodb:GetRecords") in needed
    assert ("Tiny-Send", "ses:SendEmail") in needed
    idle = {grant["action"] for grant in report["grants"] if grant["calls"] == 0}
    assert "sqs:GetQueueUrl" in idle  # granted by the CDK, asked for by nobody
    assert all(permission["calls"] for permission in report["permissions"])
