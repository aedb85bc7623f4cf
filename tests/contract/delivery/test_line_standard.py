"""The stand-in of LINE is what LINE publishes: its own client works with it, its OpenAPI describes every answer."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import urllib3

from infra.local.stand_ins.line import BOT, TOKEN, LineStandIn
from shared.delivery.channels.fake import Fault
from shared.delivery.channels.line import MESSAGES, LineAccount, LineChannel, retry_key
from tests.contract.delivery.line_schema import answers, check
from tests.contract.delivery.providers import USER, LocalLine
from tests.sdk.packages import python_sdk
from tests.unit.delivery.messages import a_mail

SDK = Path(__file__).parents[2] / "sdk" / "line_sdk.py"
BLOCKED = "U000000000000000000000000000000a2"
KEY = "123e4567-e89b-42d3-a456-426614174000"
TEXT = [{"type": "text", "text": "見本"}]


def test_lines_own_client_pushes_multicasts_and_reads_the_quota() -> None:
    python = python_sdk()
    with LineStandIn(monthly_limit=200) as line:
        line.blocked.add(BLOCKED)
        done = subprocess.run(
            [python, "-I", str(SDK), line.url, TOKEN, USER, BLOCKED],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        said = json.loads(done.stdout)
        assert said["sent"] == 3
        assert said["again"] == 409
        assert said["accepted_request_id"] == line.pushed[0].request_id
        assert said["used"] == 2, "who blocked the account is not counted"
        assert said["quota"] == {"type": "limited", "value": 200}
        assert said["bot"] == BOT["userId"]
        assert said["link_token"].startswith("link-")
        assert said["refused"] == 400
        assert [pushed.to for pushed in line.pushed] == [USER, USER]


def test_every_push_of_the_channel_is_one_that_line_describes(local_line: LocalLine) -> None:
    message = local_line.message()
    local_line.channel.send(message)
    (pushed,) = local_line.line.pushed
    check("PushMessageRequest", {"to": pushed.to, "messages": list(pushed.messages)})
    assert pushed.retry_key == retry_key(message.key.send_id)


def test_the_description_is_really_asked() -> None:
    flex = {
        "type": "flex",
        "altText": "x",
        "contents": {"type": "bubble", "body": {"type": "box", "layout": "sideways"}},
    }
    for wrong in ([{"type": "text"}], [{"type": "poem", "text": "x"}], [{"type": "image"}], [flex]):
        with pytest.raises(jsonschema.ValidationError):
            check("PushMessageRequest", {"to": USER, "messages": wrong})


def _call(line: LineStandIn, method: str, path: str, body: object = None, **headers: str) -> tuple[str, Any]:
    given = {"authorization": f"Bearer {TOKEN}", **headers}
    answer = urllib3.request(method, line.url + path, json=body, headers=given, retries=False)
    return str(answer.status), answer.json()


@pytest.mark.parametrize("path", ["/v2/bot/message/push", "/v2/bot/message/multicast"])
def test_what_sending_is_answered_has_the_published_shape(path: str) -> None:
    described = answers("post", path)
    people: Any = [USER] if path.endswith("multicast") else USER
    with LineStandIn() as line:
        first = _call(line, "POST", path, {"to": people, "messages": TEXT}, **{"x-line-retry-key": KEY})
        again = _call(line, "POST", path, {"to": people, "messages": TEXT}, **{"x-line-retry-key": KEY})
        wrong = _call(line, "POST", path, {"to": people, "messages": [{"type": "text", "text": ""}]})
        line.plan(Fault.THROTTLE, Fault.PAUSE)
        slow = _call(line, "POST", path, {"to": people, "messages": TEXT})
        spent = _call(line, "POST", path, {"to": people, "messages": TEXT})
    assert [status for status, _ in (first, again, wrong, slow, spent)] == ["200", "409", "400", "429", "429"]
    for status, body in (first, again, wrong, slow, spent):
        check(described[status], body)


@pytest.mark.parametrize(
    ("method", "path", "at"),
    [
        ("get", "/v2/bot/info", "/v2/bot/info"),
        ("get", "/v2/bot/message/quota", "/v2/bot/message/quota"),
        ("get", "/v2/bot/message/quota/consumption", "/v2/bot/message/quota/consumption"),
        ("post", "/v2/bot/user/{userId}/linkToken", f"/v2/bot/user/{USER}/linkToken"),
    ],
)
def test_what_asking_is_answered_has_the_published_shape(method: str, path: str, at: str) -> None:
    described = answers(method, path)
    for limit in (None, 5000):
        with LineStandIn(monthly_limit=limit) as line:
            status, body = _call(line, method.upper(), at)
            check(described[status], body)


def test_the_months_limit_stops_everything() -> None:
    from shared.delivery.channels.channel import StoppedError

    with LineStandIn(monthly_limit=1) as line:
        channel = LineChannel(lambda tenant: LineAccount(TOKEN, line.url))
        one, two = (_message() for _ in range(2))
        channel.send(one)
        with pytest.raises(StoppedError, match="上限"):
            channel.send(two)
        assert channel.send(one).message_id == line.pushed[0].request_id, "a repeat costs nothing"
        assert len(line.pushed) == 1


def _message() -> Any:
    from dataclasses import replace

    return replace(a_mail(), to=USER, parts={MESSAGES: json.dumps(TEXT)})
