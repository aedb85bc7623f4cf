"""Receipts of SMS as AWS sends them: configuration set, event destination, topic, queue, and what our source reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from shared.ingest.model import EventType
from shared.ingest.registry import events_of
from shared.ingest.sources.sms import envelope_of

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
SET = "receipts"


@pytest.fixture(scope="module")
def queue(cloud: boto3.Session) -> str:
    """Where the receipts of the configuration set arrive."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="contract-receipts")["TopicArn"]
    url = sqs.create_queue(QueueName="contract-receipts")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    sms: Any = cloud.client("pinpoint-sms-voice-v2")
    destination = {
        "ConfigurationSetName": SET, "EventDestinationName": "receipts",
        "MatchingEventTypes": ["TEXT_ALL"], "SnsDestination": {"TopicArn": topic},
    }  # fmt: skip
    sms.create_configuration_set(ConfigurationSetName=SET)
    sms.create_event_destination(**destination)
    for call, given in (
        (sms.create_configuration_set, {"ConfigurationSetName": SET}),
        (sms.create_event_destination, destination),
    ):
        with pytest.raises(sms.exceptions.ConflictException):
            call(**given)
    return str(url)


@pytest.mark.parametrize(
    ("number", "ended"),
    [("+818000000001", EventType.MESSAGE_DELIVERED), ("+818000000099", EventType.MESSAGE_BOUNCED)],
)
def test_a_texts_receipts_come_back_as_events_of_its_send(
    cloud: boto3.Session, queue: str, number: str, ended: EventType
) -> None:
    client: Any = cloud.client("pinpoint-sms-voice-v2")
    context = {"tenant": "mihon", "customer": "hanako", "send_id": f"send{number[-2:]}"}
    client.send_text_message(
        DestinationPhoneNumber=number, MessageBody="お知らせ", ConfigurationSetName=SET, Context=context
    )
    bodies: list[str] = []
    while len(bodies) < 2:
        answer = cloud.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        assert answer.get("Messages"), f"only {bodies} arrived"
        bodies += [message["Body"] for message in answer["Messages"]]
        for message in answer["Messages"]:
            cloud.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    events = [event for body in bodies for event in events_of(envelope_of(body.encode(), NOW))]
    assert {event.event_type for event in events} == {EventType.MESSAGE_SENT, ended}
    assert {event.facts.send_id for event in events} == {context["send_id"]}  # type: ignore[union-attr]
