"""DynamoDB and SES as one worker meets them: every call is made by the real SDK up to the socket, and answered after
the time a service takes. Rows are kept; conditions are not judged (everything here is written for the first time).
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections import Counter, defaultdict
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

SES_SECONDS, DYNAMODB_SECONDS = 0.050, 0.005
"""What a call takes: SES as measured from its own region (some tens of ms), DynamoDB a few ms. The same for all."""

_SET = re.compile(r"(#?\w+) = (?:if_not_exists\(#?\w+, (:\w+)\)|(:\w+))")


class Services:
    """Both services of one account."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.sorts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        """Sort keys of a partition: asking for one must not cost the more the more people there are."""
        self.calls: Counter[str] = Counter()
        self.mails = 0
        self.patient = False
        """Set-up need not wait."""
        self._lock = threading.Lock()

    def client(self, service: str, **how: Any) -> Any:
        """A boto3 client whose calls end here."""
        config = Config(user_agent="matakite", parameter_validation=service != "dynamodb", **how)
        made = boto3.session.Session("AKIAEXAMPLE", "secret", region_name="ap-northeast-1").client(
            service,
            config=config,  # type: ignore[call-overload]
        )
        made.meta.events.register("before-send", self._answer)
        return made

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        target = request.headers.get("X-Amz-Target", b"")
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        body = json.loads(request.body or b"{}")
        if self.patient:
            time.sleep(DYNAMODB_SECONDS if operation else SES_SECONDS)
        with self._lock:
            said = getattr(self, f"_{operation}")(body) if operation else self._ses(request.url, body)
            self.calls[operation or request.url.rpartition("/")[2]] += 1
        text = json.dumps(said).encode()
        return AWSResponse(request.url, 200, HTTPHeaders.from_dict({"content-type": "application/json"}), _Raw(text))

    def _ses(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        if url.endswith("/account"):
            return {"SendingEnabled": True, "SendQuota": {"MaxSendRate": 1e4, "Max24HourSend": -1}}
        entries = body.get("BulkEmailEntries", [None])
        self.mails += len(entries)
        ids = [f"0106-{self.mails}-{n}" for n in range(len(entries))]
        bulk = {"BulkEmailEntryResults": [{"Status": "SUCCESS", "MessageId": one} for one in ids]}
        return bulk if "BulkEmailEntries" in body else {"MessageId": ids[0]}

    def _key(self, table: str, key: dict[str, Any]) -> tuple[str, str, str]:
        return table, key["pk"]["S"], key["sk"]["S"]

    def _GetItem(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.rows.get(self._key(body["TableName"], body["Key"]))
        return {"Item": found} if found else {}

    def _BatchGetItem(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        asked = body["RequestItems"].items()
        found = {table: [self.rows.get(self._key(table, key)) for key in what["Keys"]] for table, what in asked}
        rows = {table: [row for row in known if row] for table, known in found.items()}
        return {"Responses": rows, "UnprocessedKeys": {}}

    def _Query(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        values = [value["S"] for value in body["ExpressionAttributeValues"].values()]
        place = (body["TableName"], values[0])
        mine = [self.rows[(*place, sort)] for sort in self.sorts[place]]
        return {"Items": mine, "Count": len(mine), "ScannedCount": len(mine)}

    def _PutItem(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._row(self._key(body["TableName"], body["Item"]))
        self.rows[self._key(body["TableName"], body["Item"])] = body["Item"]
        return {}

    def _row(self, key: tuple[str, str, str]) -> dict[str, Any]:
        """The row as it is, made if there is none."""
        if key not in self.rows:
            self.sorts[key[:2]].append(key[2])
            self.rows[key] = {"pk": {"S": key[1]}, "sk": {"S": key[2]}}
        return self.rows[key]

    def _TransactWriteItems(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for item in body["TransactItems"]:
            if "Put" in item:
                self._PutItem(item["Put"])
        return {}

    def _UpdateItem(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        row = self._row(self._key(body["TableName"], body["Key"]))
        before = dict(row)
        names, values = body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {})
        if ":length" in values:  # the queue of slots: the one row whose next value depends on its last
            start = max(int(values[":now"]["N"]), int(row.get("next_at", values[":now"])["N"]))
            row["next_at"] = {"N": str(start + int(values[":length"]["N"]))}
            return {"Attributes": before}
        sets, _, removes = body["UpdateExpression"].partition(" REMOVE ")
        for name, first, given in _SET.findall(sets):
            known = names.get(name, name)
            if not first or known not in row:
                row[known] = values[first or given]
        for name in filter(None, removes.split(", ")):
            row.pop(names.get(name, name), None)
        answer = {"ALL_OLD": before, "ALL_NEW": row}.get(body.get("ReturnValues", "NONE"))
        return {"Attributes": answer} if answer is not None else {}


class _Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.getvalue()
