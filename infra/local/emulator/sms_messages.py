"""Stand in for AWS End User Messaging SMS, which MiniStack does not know.

Without it: a call of `SendTextMessage` is answered "Unsupported service".
Mended: texts are kept as they were sent, and receipts are published to the topic of their configuration set, as
`matakite sms connect` arranges it: queued, then delivered; a number that ends in 99 is unreachable. Nothing leaves this
machine.

``GET /_matakite/sms`` lists them, newest first; ``POST`` ``{"refuse_next": "ValidationException"}`` refuses the next,
``{"reply": {"from": "+81…", "to": "+81…", "text": "STOP"}}`` is a text to a number of ours with two-way SMS (of which
the stand-in takes any: a number's id is the number).
Other failing calls: ``lost_replies.py`` (service ``sms-voice``).
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from ministack import app
from ministack.core import router
from ministack.services import sns

from infra.local.emulator.gateway import InternalRequest, route
from infra.local.emulator.interception import Response
from infra.local.emulator.settings import EmulatorSettings

SERVICE = "sms-voice"
TARGET = "PinpointSMSVoiceV2"
MAX_BYTES = 1600
_NUMBER = re.compile(r"\+[1-9][0-9]{7,14}")

_UNREACHABLE = "99"
_CONFLICT = "ConflictException"

_topics: dict[str, str] = {}
"""Configuration set → topic its receipts go to; empty until there is one."""
_numbers: dict[str, str] = {}
"""Number → topic that what it receives goes to."""
_lock = threading.Lock()
_texts: list[dict[str, Any]] = []
_refusals: list[str] = []


async def _handle(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
) -> Response:
    del method, path, query
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    asked = json.loads(body)
    match operation:
        case "SendTextMessage":
            return _send(asked)
        case "CreateConfigurationSet":
            return _create(asked["ConfigurationSetName"], "")
        case "CreateEventDestination":
            return _create(asked["ConfigurationSetName"], asked["SnsDestination"]["TopicArn"])
        case "UpdatePhoneNumber":
            return _two_way(asked)
        case _:
            return _failure("ValidationException", f"the stand-in does not know {operation}")


def _create(name: str, topic: str) -> Response:
    """A configuration set, or where its receipts go; each once."""
    with _lock:
        if _topics.get(name) or (not topic and name in _topics):
            return _failure(_CONFLICT, f"{name} has that already")
        _topics[name] = topic
    return _answer(200, {"ConfigurationSetName": name})


def _two_way(asked: Mapping[str, Any]) -> Response:
    if not (asked.get("TwoWayEnabled") and asked.get("SelfManagedOptOutsEnabled")):
        return _failure("ValidationException", "the stand-in knows two-way SMS with self-managed opt-outs only")
    with _lock:
        _numbers[asked["PhoneNumberId"]] = asked["TwoWayChannelArn"]
    return _answer(200, {"PhoneNumber": asked["PhoneNumberId"]})


def reply(told: Mapping[str, str]) -> dict[str, str]:
    """What AWS tells of a text to one of its numbers (End User Messaging SMS user guide, two-way SMS payload)."""
    return {
        "originationNumber": told["from"],
        "destinationNumber": told["to"],
        "messageKeyword": told["text"].split()[0].upper(),
        "messageBody": told["text"],
        "inboundMessageId": str(uuid4()),
        "previousPublishedMessageId": str(uuid4()),
    }


def _send(asked: Mapping[str, Any]) -> Response:
    if _refusals:
        return _failure(_refusals.pop(0), "planned refusal")
    if problem := _problem(asked):
        return _failure("ValidationException", problem)
    message_id = str(uuid4())
    with _lock:
        _texts.append({"message_id": message_id, "accepted_at": datetime.now(UTC).isoformat(), **asked})
        topic = _topics.get(str(asked.get("ConfigurationSetName", "")), "")
    if topic:
        for receipt in receipts(message_id, asked, datetime.now(UTC)):
            sns.publish_internal(topic, receipt)
    return _answer(200, {"MessageId": message_id})


def receipts(message_id: str, asked: Mapping[str, Any], at: datetime) -> list[dict[str, Any]]:
    """What AWS tells of a text (End User Messaging SMS user guide, event types): on its way, and how it ended."""
    number = str(asked["DestinationPhoneNumber"])
    ended = "TEXT_UNREACHABLE" if number.endswith(_UNREACHABLE) else "TEXT_DELIVERED"
    common = {
        "eventVersion": "1.0",
        "destinationPhoneNumber": number,
        "isoCountryCode": "JP",
        "messageId": message_id,
        "context": dict(asked.get("Context", {})),
        "totalMessageParts": 1,
        "totalMessagePrice": 0.07,
        "totalCarrierFee": 0.0,
    }
    return [
        {
            **common,
            "eventType": kind,
            "messageStatus": kind.removeprefix("TEXT_"),
            "isFinal": kind == ended,
            "eventTimestamp": int(at.timestamp() * 1000) + later,
        }
        for later, kind in enumerate(("TEXT_QUEUED", ended))
    ]


def _problem(asked: Mapping[str, Any]) -> str | None:
    if not _NUMBER.fullmatch(str(asked.get("DestinationPhoneNumber", ""))):
        return "DestinationPhoneNumber is not in E.164 format"
    text = str(asked.get("MessageBody", ""))
    if not text or len(text.encode()) > MAX_BYTES:
        return f"MessageBody must have 1 to {MAX_BYTES} bytes"
    return None


def _failure(code: str, message: str) -> Response:
    return _answer(400, {"__type": code, "Message": message})


def _answer(status: int, document: Mapping[str, str]) -> Response:
    # MiniStack adds to the headers it is given: a dictionary of its own for each answer.
    return status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(document).encode()


def _list(request: InternalRequest) -> dict[str, Any]:
    limit = int(request.query.get("limit", "100"))
    with _lock:
        return {"count": len(_texts), "messages": list(itertools.islice(reversed(_texts), limit))}


def _told(request: InternalRequest) -> dict[str, Any]:
    asked = request.json()
    if "reply" in asked:
        sns.publish_internal(_numbers[asked["reply"]["to"]], reply(asked["reply"]))
    else:
        _refusals.append(str(asked["refuse_next"]))
    return {"refusals": _refusals}


def install(settings: EmulatorSettings) -> None:
    """Add the service to MiniStack's router."""
    del settings
    router.SERVICE_PATTERNS[SERVICE] = {"target_prefixes": [TARGET]}
    app.SERVICE_HANDLERS[SERVICE] = _handle
    route("GET", "sms", _list)
    route("POST", "sms", _told)
