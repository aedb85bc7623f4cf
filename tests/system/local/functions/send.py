"""Send one mail; the event may ask for things that must fail."""

import os
from typing import Any

import boto3
from botocore.config import Config


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send without SDK retries and answer the message id."""
    client = boto3.client("sesv2", config=Config(retries={"total_max_attempts": 1}))
    answer = client.send_email(
        FromEmailAddress=f"見本商店 <{os.environ['SENDER']}>",
        Destination={"ToAddresses": [event["to"]]},
        ReplyToAddresses=["help@shop.example.com"],
        Content={
            "Simple": {
                "Subject": {"Data": "お買い忘れはありませんか"},
                "Body": {
                    "Text": {"Data": "カートに商品が残っています。"},
                    "Html": {"Data": HTML},
                },
                "Headers": [{"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"}],
            }
        },
        ConfigurationSetName=event.get("set", "tiny"),
        EmailTags=[{"Name": "send_id", "Value": event.get("send_id", "s1")}],
    )
    return {"message_id": answer["MessageId"], "pythonpath": os.environ.get("PYTHONPATH", "")}


HTML = (
    "<!doctype html><html lang='ja'><body style='font-family:sans-serif'><h1>カートに商品が残っています</h1>"
    "<p>見本のコーヒー豆 200g</p><p><a href='https://shop.example.com/cart'>カートに戻る</a></p>"
    "<script>document.title='bad'</script></body></html>"
)
