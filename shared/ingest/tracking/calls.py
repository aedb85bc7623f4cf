"""One request of a tracking SDK as deliveries to keep: one envelope per request, however many calls it holds.

A batch is one row of the events table (a tenth of the write units of a row per call); its events are told apart by
`messageId`, so a call that a retry brings in another batch is still the same event. The envelope keeps, beside the
calls as they came, what only the request knew: the browser, whether it was a prefetch, which key was used, and the
kind of each page by the shop's rules of that day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest import body as read
from shared.ingest.adapter import Connection
from shared.ingest.model import Envelope
from shared.ingest.tracking.machines import is_machine_agent, is_prefetch
from shared.ingest.tracking.pages import clean_url, page_type, path_of
from shared.ingest.tracking.proof import is_proven

NAME = "track"
Call = Mapping[str, Any]

CALLS = {
    "track": "track", "t": "track", "identify": "identify", "i": "identify", "page": "page", "p": "page",
    "screen": "screen", "s": "screen", "group": "group", "g": "group", "alias": "alias", "a": "alias",
}  # fmt: skip
"""Last part of the URL → type of the call; the browser SDK uses the letters."""
BATCH = frozenset({"batch", "b", "import"})

MAX_CALL_BYTES = 32_768
MAX_BATCH_BYTES = 512_000
_EPOCH_SECONDS = 10**9
"""A number of at least this is a time since 1970, in seconds or, a thousand times larger, in milliseconds."""
CALLS_PER_ENVELOPE = 100
MAX_DEPTH = 40
_IN_PAGES = "analytics.js"
"""How the libraries in web pages begin to name themselves."""

SKEW = timedelta(seconds=60)
"""A clock that is less wrong than this is believed, so that a repeated call keeps its time to the microsecond."""
OLDEST_CLAIM = timedelta(days=30)
"""A browser may have been offline for so long; only the shop's own server may tell of earlier days."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One authenticated request."""

    calls: tuple[Call, ...]
    sent_at: str | None
    trusted: bool
    """It came with the secret key: the shop's own server speaks."""
    headers: Mapping[str, str]


def parse_calls(kind: str, raw: bytes) -> tuple[Mapping[str, Any], tuple[Call, ...]]:
    """The document of a request and the calls in it. Raises RejectedError as Segment answers 400."""
    if kind not in CALLS and kind not in BATCH:
        raise RejectedError(f"no call {kind[:20]!r}")
    limit = MAX_BATCH_BYTES if kind in BATCH else MAX_CALL_BYTES
    if len(raw) > limit:
        raise RejectedError(f"the body is over {limit // 1024} KB")
    document = _document(raw)
    if kind in CALLS:
        return document, ({**document, "type": CALLS[kind]},)
    batch = document.get("batch")
    if not isinstance(batch, list) or not all(isinstance(call, dict) for call in batch):
        raise RejectedError("'batch' must be a list of calls")
    for call in batch:
        if len(json.dumps(call)) > MAX_CALL_BYTES < len(_packed(call)):
            raise RejectedError("one call of the batch is over 32 KB")
    shared = document.get("context")
    return document, tuple(_with_context(_typed(call), shared) for call in batch)


def _document(raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant)
        # Numbers out of all range would read back as infinity.
        json.dumps(document, allow_nan=False)
    except (ValueError, RecursionError):
        raise RejectedError("the body is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise RejectedError("the body must be a JSON object")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and not _is_shallow(document):
        raise RejectedError(f"the body is nested deeper than {MAX_DEPTH} levels")
    return document


def _is_shallow(document: object) -> bool:
    """Can every reader walk it? Level by level, so that this walk itself has no depth."""
    level: list[object] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return True
    return False


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _packed(call: object) -> bytes:
    return json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _typed(call: Call) -> Call:
    """The call under the type as it is written today: the first libraries said `action`, some say `Identify`."""
    kind = call.get("type", call.get("action"))
    return {**call, "type": kind.lower()} if isinstance(kind, str) else call


def _with_context(call: Call, shared: object) -> Call:
    """A batch may say its context once for all calls."""
    if not isinstance(shared, Mapping) or not shared:
        return call
    own = call.get("context")
    return {**call, "context": {**shared, **(own if isinstance(own, Mapping) else {})}}


def envelopes_of(
    sent: Sent, connection: Connection, rules: Sequence[tuple[str, str]], now: datetime
) -> tuple[Envelope, ...]:
    """The deliveries to keep: a hundred calls in each."""
    now = from_iso(to_iso(now))
    calls = sent.calls
    chunks = [calls[start : start + CALLS_PER_ENVELOPE] for start in range(0, len(calls), CALLS_PER_ENVELOPE)]
    return tuple(_envelope(chunk, sent, connection, rules, now) for chunk in chunks)


def _envelope(
    calls: Sequence[Call], sent: Sent, connection: Connection, rules: Sequence[tuple[str, str]], now: datetime
) -> Envelope:
    ids = [message_id(call, connection, now) for call in calls]
    times = [call_time(call, sent.sent_at, now, trusted=sent.trusted) for call in calls]
    event_id = ids[0] if len(ids) == 1 else EventId(digest(NAME, *ids))
    kept = {
        "ids": ids,
        "at": [to_iso(at) for at in times],
        "pages": [_kind_of_page(call, connection, rules) for call in calls],
        "agent": sent.headers.get("user-agent", "")[:500],
        "prefetch": is_prefetch(sent.headers),
        "trusted": sent.trusted,
        "users_of": connection.users_of,
        "named": [not connection.proven_users or sent.trusted or is_proven(call, connection, now) for call in calls],
        "calls": [{name: value for name, value in call.items() if name != "writeKey"} for call in calls],
    }
    return Envelope(
        tenant=connection.tenant,
        subject=f"{NAME}/{connection.store}/{_visitor(calls, event_id)}",
        event_id=event_id,
        source=NAME,
        connection=connection.connection_id,
        store=connection.store,
        topic=_topic(calls),
        occurred_at=max(times),
        received_at=now,
        raw=json.dumps(kept, separators=(",", ":")).encode(),
    )


def message_id(call: Call, connection: Connection, now: datetime) -> EventId:
    """Which call it is, however often it is sent: by `messageId`; without one, by what it says and when."""
    said = call.get("messageId")
    if isinstance(said, str) and said:
        return EventId(digest(NAME, connection.connection_id, json.dumps(said)))
    when = "" if isinstance(call.get("timestamp"), str) else to_iso(now)
    return EventId(digest(NAME, connection.connection_id, json.dumps(call, sort_keys=True), when))


def call_time(call: Call, batch_sent_at: str | None, now: datetime, *, trusted: bool) -> datetime:
    """When it happened on our clock: received - (sentAt - timestamp), as Segment corrects a wrong clock.

    Never after it was received; from a browser at most OLDEST_CLAIM before.
    """
    said = _instant(call.get("originalTimestamp")) or _instant(call.get("timestamp"))
    sent = _instant(call.get("sentAt")) or _instant(batch_sent_at)
    if said is None:
        return now
    wrong = now - sent if sent and abs(now - sent) > SKEW else timedelta(0)
    try:
        at = min(said + wrong, now)
    except OverflowError:
        return now
    oldest = now - OLDEST_CLAIM
    return at if trusted else max(at, oldest)


def _instant(written: object) -> datetime | None:
    if isinstance(written, int) and _EPOCH_SECONDS <= written < _EPOCH_SECONDS * 10_000:
        return datetime.fromtimestamp(written / (1 if written < _EPOCH_SECONDS * 10 else 1000), UTC)
    if not isinstance(written, str) or len(written) > 40:
        return None
    at = read.instant(written)
    return at or read.instant(f"{written}Z")


def _visitor(calls: Sequence[Call], event_id: EventId) -> str:
    """One visitor's calls lie together and in order; a server's batch about many lies by itself."""
    visitors = {said for call in calls if isinstance(said := call.get("anonymousId"), str) and said}
    return f"visitor/{digest(json.dumps(visitors.pop()))}" if len(visitors) == 1 else f"calls/{event_id}"


def _topic(calls: Sequence[Call]) -> str:
    if len(calls) != 1:
        return "batch"
    kind = calls[0].get("type")
    return kind if isinstance(kind, str) and kind in CALLS.values() else "unknown"


def _kind_of_page(call: Call, connection: Connection, rules: Sequence[tuple[str, str]]) -> str | None:
    url = page_url(call, connection.store)
    return page_type(path_of(url), rules) if url else None


def page_url(call: Call, store: str) -> str | None:
    """The page a call was made on, cleaned."""
    for place in (inner(call, "properties"), inner(inner(call, "context"), "page")):
        for name in ("url", "path"):
            written = place.get(name)
            if isinstance(written, str) and (url := clean_url(written[:4000], store)):
                return url
    return None


def inner(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside a call; empty when it is none."""
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def is_machine(call: Call, request_agent: str, *, prefetch: bool) -> bool:
    """Was this no person: a bot by either name, or a page loaded before anybody asked?

    What an app or a server sends with (okhttp, axios) is nobody's browser: their visitor's is in the context, if any.
    """
    context = inner(call, "context")
    said, library = context.get("userAgent"), inner(context, "library").get("name")
    from_a_page = not isinstance(library, str) or library.startswith(_IN_PAGES)
    agents = (said if isinstance(said, str) else "", request_agent if from_a_page else "")
    return prefetch or any(is_machine_agent(agent[:500]) for agent in agents)
