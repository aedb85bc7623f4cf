"""A survey of a shop, a customer who is asked, and the pages with everything they keep."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from shared.core.ids import CustomerId, TenantId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.ingest.adapter import Connection
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import Event
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import events_of
from shared.ingest.store import MemoryEventStore
from shared.ingest.surveys.answer import AnswerDeps, answer_http, show_http
from shared.ingest.surveys.book import MemorySurveys
from shared.ingest.surveys.model import Survey, parse_survey
from shared.ingest.surveys.tokens import SurveyToken, sign
from tests.unit.ingest.tracking.world import KEY, SITE

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TENANT = TenantId("mihon")
KEYS = derive_key_ring("a master key of this test")
SHOP = Shop(TENANT, "見本商店 <本店>")
TOKEN = SurveyToken(TENANT, "first", CustomerId("person-1"))
FILE: dict[str, Any] = {
    "id": "first",
    "title": "はじめてのお買い物について",
    "intro": "1分ほどで終わります。\nご協力をお願いいたします。",
    "thanks": "貴重なご意見をありがとうございました。",
    "questions": [
        {"id": "how", "title": "当店をどこで知りましたか？", "kind": "single",
         "choices": {"search": "検索", "friend": "ご友人", "ad": "広告"}},
        {"id": "why", "title": "お買い上げの決め手は？", "kind": "multi", "required": False,
         "choices": {"taste": "味・品質", "price": "価格", "gift": "贈り物に <b>よさそう</b>"}},
        {"id": "nps", "title": "ご友人にすすめたいですか？", "kind": "rating", "from": 0, "to": 10,
         "low": "すすめない", "high": "ぜひすすめたい"},
        {"id": "voice", "title": "ご意見・ご感想をお聞かせください", "kind": "text"},
    ],
}  # fmt: skip
SURVEY = parse_survey(FILE)


@dataclass
class Desk:
    """The survey pages with everything they keep."""

    survey: Survey = SURVEY
    site: Connection = SITE
    store: MemoryEventStore = field(default_factory=lambda: MemoryEventStore(MemoryOversize()))

    def deps(self) -> AnswerDeps:
        """What the pages work with."""
        return AnswerDeps(
            keys=lambda: KEYS,
            read_shop=lambda _tenant: SHOP,
            surveys=MemorySurveys(TENANT, self.survey),
            events=self.store,
            connections=MemoryConnections(self.site),
        )

    def get(self, token: str | None = None, method: str = "GET") -> dict[str, Any]:
        """The form."""
        return show_http(request(method, token=token or sign(TOKEN, KEYS)), self.deps(), NOW)

    def post(self, values: Any, *, token: str | None = None, now: datetime = NOW) -> dict[str, Any]:
        """The form sent; `values` as fields or as raw bytes."""
        raw = values if isinstance(values, bytes) else urlencode(values, doseq=True).encode()
        event = request("POST", raw, token=token or sign(TOKEN, KEYS))
        return answer_http(event, self.deps(), now)

    def send(self, body: Any, *, key: str | None = KEY, survey: str = "first", now: datetime = NOW) -> dict[str, Any]:
        """Answers from elsewhere."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        event = request("POST", raw, survey=survey)
        if key is not None:
            event["headers"]["authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
        return answer_http(event, self.deps(), now)

    def events(self) -> list[Event]:
        """Everything kept, read."""
        return [event for envelope in self.store.envelopes() for event in events_of(envelope)]


def request(method: str, raw: bytes = b"", **path: str) -> dict[str, Any]:
    """A request as API Gateway hands it over."""
    return {
        "requestContext": {"http": {"method": method, "sourceIp": "192.0.2.1"}},
        "pathParameters": path,
        "headers": {"content-type": "application/x-www-form-urlencoded"},
        "body": base64.b64encode(raw).decode(),
        "isBase64Encoded": True,
    }
