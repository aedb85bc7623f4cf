"""What LINE's own client (line-bot-sdk) makes of the stand-in: run with .venv-sdk, prints JSON."""

from __future__ import annotations

import importlib
import json
import sys
import uuid
from typing import Any

# Not installed where the types are checked.
line: Any = importlib.import_module("linebot.v3.messaging")
HOST, TOKEN, USER, BLOCKED = sys.argv[1:5]
BUBBLE = {
    "type": "bubble",
    "body": {"type": "box", "layout": "vertical", "contents": [{"type": "text", "text": "見本"}]},
}


def main() -> None:
    said: dict[str, object] = {}
    with line.ApiClient(line.Configuration(host=HOST, access_token=TOKEN)) as client:
        api = line.MessagingApi(client)
        messages = [
            line.TextMessage(text="お品物が入荷しました😀"),
            line.ImageMessage(
                original_content_url="https://x.example/a.png", preview_image_url="https://x.example/a.png"
            ),
            line.FlexMessage(alt_text="見本", contents=line.FlexContainer.from_dict(BUBBLE)),
        ]
        key = str(uuid.uuid4())
        pushed = api.push_message(line.PushMessageRequest(to=USER, messages=messages), x_line_retry_key=key)
        said["sent"] = len(pushed.sent_messages)
        try:
            api.push_message(line.PushMessageRequest(to=USER, messages=messages), x_line_retry_key=key)
        except line.ApiException as error:
            said["again"] = error.status
            said["accepted_request_id"] = error.headers.get("x-line-accepted-request-id")
        many = line.MulticastRequest(to=[USER, BLOCKED], messages=[line.TextMessage(text="見本")])
        api.multicast(many, x_line_retry_key=str(uuid.uuid4()))
        api.validate_push(line.ValidateMessageRequest(messages=messages))
        said["quota"] = api.get_message_quota().to_dict()
        said["used"] = api.get_message_quota_consumption().total_usage
        said["link_token"] = api.issue_link_token(USER).link_token
        said["bot"] = api.get_bot_info().user_id
        try:
            api.push_message(line.PushMessageRequest(to="nobody", messages=[line.TextMessage(text="見本")]))
        except line.ApiException as error:
            said["refused"] = error.status
    print(json.dumps(said))


main()
