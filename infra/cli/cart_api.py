"""What `matakite connection` does about a cart's API: its key, a poll now, and how fresh its data is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from infra.cli.session import Deployment
from shared.core.errors import RejectedError
from shared.ingest.adapter import Connection
from shared.ingest.oversize import S3Oversize
from shared.ingest.pull.http import StandardHttp
from shared.ingest.pull.live import MachineTime
from shared.ingest.pull.model import Health
from shared.ingest.pull.plan import is_polled
from shared.ingest.pull.poll import PollDeps, Tally, poll
from shared.ingest.pull.registry import vendor, vendors
from shared.ingest.pull.store import DynamoPullStore
from shared.ingest.store import DynamoEventStore

MINUTES = range(5, 24 * 60 + 1)
BUDGET = timedelta(minutes=10)


@dataclass(frozen=True)
class Key:
    """What is needed to read a cart's API; None leaves what is stored."""

    token: str | None = None
    refresh_token: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    redirect_url: str | None = None
    api_url: str | None = None
    locations: str | None = None
    every: int | None = None


def with_key(connection: Connection, key: Key) -> Connection:
    """The connection with the key stored in it. Raises RejectedError for what could not work."""
    if connection.source not in vendors():
        raise RejectedError(f"{connection.source} has no API that is polled; these have: {', '.join(vendors())}")
    if key.every is not None and key.every not in MINUTES:
        raise RejectedError("--every is 5 minutes to a day")
    changed = replace(
        connection,
        token=key.token or connection.token,
        refresh_token=key.refresh_token or connection.refresh_token,
        client_id=key.client_id or connection.client_id,
        client_secret=key.client_secret or connection.client_secret,
        redirect_url=key.redirect_url or connection.redirect_url,
        api_url=_address(key.api_url) or connection.api_url,
        locations=key.locations or connection.locations,
        poll_minutes=key.every or connection.poll_minutes,
    )
    _check(changed)
    return changed


def _address(written: str | None) -> str | None:
    if written is None:
        return None
    parts = urlsplit(written.strip())
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise RejectedError(f"--api-url begins with https://, got {written!r}")
    return written.strip().rstrip("/")


def _check(connection: Connection) -> None:
    if vendor(connection.source).refresh is not None and not connection.token:
        given = {
            "--refresh-token": connection.refresh_token,
            "--client-id": connection.client_id,
            "--client-secret": connection.client_secret,
        }
        missing = [name for name, value in given.items() if not value]
        if missing and len(missing) < len(given):
            raise RejectedError(f"{connection.source} renews its tokens: {' and '.join(missing)} is needed too")


def poll_now(deployment: Deployment, connection: Connection, now: datetime) -> Tally:
    """Read what changed at one connection, here and now. Raises RejectedError when it has no key."""
    if not is_polled(connection):
        raise RejectedError("the connection has no API key: `matakite connection authorize` stores one")
    outputs, dynamodb = deployment.outputs, deployment.client("dynamodb")
    oversize = S3Oversize(deployment.client("s3"), outputs["WorkBucket"])
    deps = PollDeps(
        store=DynamoPullStore(dynamodb, outputs["PullsTable"]),
        events=DynamoEventStore(dynamodb, outputs["EventsTable"], oversize),
        http=StandardHttp(),
        time=MachineTime(),
        owner=secrets.token_hex(8),
    )
    return poll(connection, deps, now, BUDGET)


def said_of(tally: Tally) -> str:
    """What a poll did, in a line."""
    if tally.skipped:
        return "another poll of this connection is under way"
    lost = f", {tally.repaired} of them never told by a webhook" if tally.repaired else ""
    unread = f", {tally.unreadable} could not be read" if tally.unreadable else ""
    problem = f"; stopped: {tally.problem}" if tally.problem else ""
    return f"{tally.changes} changes on {tally.pages} pages{lost}{unread}{problem}"


def health_of(deployment: Deployment, connection: Connection) -> Health:
    """How the polls of a connection are doing."""
    table = deployment.outputs.get("PullsTable")
    if table is None:
        return Health()
    return DynamoPullStore(deployment.client("dynamodb"), table).health(connection)


def freshness(connection: Connection, health: Health, now: datetime) -> str:
    """When its API was last read to the end (鮮度), in words."""
    if connection.source not in vendors():
        return "–"
    if not is_polled(connection):
        return "no API key"
    if health.polled_at is None:
        return "never"
    return f"{_ago(now - health.polled_at)} ago"


def _ago(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{max(0, minutes)} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


def problems(health: Health) -> str:
    """What somebody should look at."""
    return " / ".join(filter(None, (health.webhook_problem, health.problem)))
