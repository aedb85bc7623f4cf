"""Connections (接続): which shop a webhook URL belongs to, and the secrets its requests are signed with.

One SSM SecureString `{prefix}/connections/{connection_id}` each (JSON, a few hundred bytes).
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.clock import from_iso, to_iso
from shared.core.errors import MisconfiguredError, NotFoundError, RejectedError, UnavailableError
from shared.core.ids import ConnectionId, TenantId
from shared.core.newest import Newest
from shared.ingest.adapter import Connection

MAX_AGE = timedelta(seconds=300)
REFRESH_INTERVAL = timedelta(seconds=10)
"""At most one forced refresh of a connection in this time, however many bad signatures arrive."""
STALE_LIMIT = timedelta(hours=6)
"""How long a known connection keeps working while SSM does not answer."""
CACHE_SIZE = 1024
"""Connections and misses remembered per worker: a guesser must not fill its memory."""
ROTATION = timedelta(hours=24)
"""How long both secrets are live after a rotation (Shopify takes up to an hour to use the new one)."""

_ID = re.compile(r"[a-z2-7]{26}", re.ASCII)
_TENANT = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_STORE = re.compile(r"[a-z0-9][a-z0-9._-]{1,250}", re.ASCII)
"""A domain, or an id of the cart's (`acct_…`)."""


class Connections(Protocol):
    """Where the intake finds its connections."""

    def find(self, connection_id: str, now: datetime) -> Connection | None:
        """The connection, or None when there is none of that id."""
        ...

    def refresh(self, connection_id: str, now: datetime) -> Connection | None:
        """Read again, for a secret that may have been rotated; None when it was read a moment ago."""
        ...


@dataclass(slots=True)
class _Cached:
    connection: Connection | None
    read_at: datetime
    refreshed_at: datetime | None = None
    """The last forced read."""


class SsmConnections:
    """Connections in SSM, each cached for five minutes; unknown ids too, so that guessing reaches SSM rarely."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._cache: Newest[str, _Cached] = Newest(CACHE_SIZE)

    def find(self, connection_id: str, now: datetime) -> Connection | None:
        """The connection, or None when there is none of that id."""
        if not _ID.fullmatch(connection_id):
            return None
        cached = self._cache.get(connection_id)
        if cached and now - cached.read_at < MAX_AGE:
            return cached.connection
        return self._read(connection_id, now, cached)

    def refresh(self, connection_id: str, now: datetime) -> Connection | None:
        """Read again, for a secret that may have been rotated; None when it was read a moment ago."""
        cached = self._cache.get(connection_id)
        if cached is None or now - cached.read_at <= timedelta(0):
            return None
        if cached.refreshed_at and now - cached.refreshed_at < REFRESH_INTERVAL:
            return None
        cached.refreshed_at = now
        return self._read(connection_id, now, cached)

    def _read(self, connection_id: str, now: datetime, cached: _Cached | None) -> Connection | None:
        try:
            found = _fetch(self._client, self._prefix, connection_id)
        except UnavailableError:
            if cached and cached.connection and now - cached.read_at < STALE_LIMIT:
                return cached.connection
            raise
        self._cache[connection_id] = _Cached(found, now, cached.refreshed_at if cached else None)
        return found


class MemoryConnections:
    """Connections in a dict, for tests and replay."""

    def __init__(self, *connections: Connection) -> None:
        self.known = {connection.connection_id: connection for connection in connections}

    def find(self, connection_id: str, now: datetime) -> Connection | None:
        """The connection, or None when there is none of that id."""
        return self.known.get(ConnectionId(connection_id))

    def refresh(self, connection_id: str, now: datetime) -> Connection | None:
        """Read again: a dict is always fresh."""
        return self.find(connection_id, now)


def _fetch(client: Any, prefix: str, connection_id: str) -> Connection | None:
    with domain_errors("read a connection"):
        try:
            answer = client.get_parameter(Name=parameter_name(prefix, connection_id), WithDecryption=True)
        except client.exceptions.ParameterNotFound:
            return None
    return parse_connection(connection_id, answer["Parameter"]["Value"])


# --- what is stored ---------------------------------------------------------------------------------------------------


def parameter_name(prefix: str, connection_id: str) -> str:
    """The SSM parameter of a connection."""
    return f"{prefix}/connections/{connection_id}"


def parse_connection(connection_id: str, text: str) -> Connection:
    """A connection from its JSON. Raises MisconfiguredError; the message never shows a secret."""
    try:
        document = json.loads(text)
        until = document.pop("previous_until", None)
        return Connection(
            connection_id=ConnectionId(connection_id), previous_until=from_iso(until) if until else None, **document
        )
    except (ValueError, TypeError, AttributeError):
        raise MisconfiguredError(f"connection {connection_id[:4]}… is not stored as `matakite` stores it") from None


def render_connection(connection: Connection) -> str:
    """The JSON `parse_connection` reads."""
    document = {name: value for name, value in asdict(connection).items() if value is not None}
    del document["connection_id"]
    if connection.previous_until:
        document["previous_until"] = to_iso(connection.previous_until)
    return json.dumps(document, ensure_ascii=False)


# --- verbs of the command line ----------------------------------------------------------------------------------------


def new_connection(tenant: str, source: str, store: str, secret: str | None = None) -> Connection:
    """A connection with an unguessable id, and a secret of our own unless the cart gave one.

    Raises RejectedError for a shop or store that could not be a key.
    """
    if not _TENANT.fullmatch(tenant):
        raise RejectedError(f"a shop id is 1 to 32 of a-z, 0-9 and '-', got {tenant!r}")
    domain = store.strip().lower().removeprefix("https://").rstrip("/")
    if not _STORE.fullmatch(domain):
        raise RejectedError(
            f"a store is a domain such as a.myshopify.com, or the cart's own id of the shop, got {store!r}"
        )
    return Connection(ConnectionId(_random_id()), TenantId(tenant), source, domain, secret or new_secret())


def new_secret() -> str:
    """256 random bits as hexadecimal text, which every cart's settings form accepts."""
    return secrets.token_hex(32)


def _random_id() -> str:
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def rotated(connection: Connection, now: datetime, secret: str | None = None) -> Connection:
    """The connection with a new secret; the old one stays live for ROTATION."""
    return replace(
        connection,
        secret=secret or new_secret(),
        previous_secret=connection.secret,
        previous_until=now + ROTATION,
    )


class ConnectionBook:
    """The connections of a deployment, for whoever administers it."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def save(self, connection: Connection) -> None:
        """Write a connection; workers notice within MAX_AGE, or at the first bad signature."""
        with domain_errors("write a connection"):
            self._client.put_parameter(
                Name=parameter_name(self._prefix, connection.connection_id),
                Value=render_connection(connection),
                Type="SecureString",
                Overwrite=True,
            )

    def remove(self, connection_id: str) -> None:
        """Forget a connection: from then on its address answers 404. Workers notice within MAX_AGE.

        Raises NotFoundError. What it told stays.
        """
        self.load(connection_id)
        with domain_errors("remove a connection"):
            self._client.delete_parameter(Name=parameter_name(self._prefix, connection_id))

    def load(self, connection_id: str) -> Connection:
        """One connection. Raises NotFoundError."""
        found = _fetch(self._client, self._prefix, connection_id) if _ID.fullmatch(connection_id) else None
        if found is None:
            raise NotFoundError(f"no connection {connection_id!r}: see `matakite connection list`")
        return found

    def all(self, skip: Callable[[MisconfiguredError], None] | None = None) -> Iterator[Connection]:
        """Every connection of every shop. `skip` is told of one that cannot be read, which otherwise ends the list."""
        path = parameter_name(self._prefix, "").rstrip("/")
        token: dict[str, str] = {}
        while True:
            with domain_errors("list connections"):
                page = self._client.get_parameters_by_path(Path=path, WithDecryption=True, **token)
            for parameter in page["Parameters"]:
                try:
                    found = parse_connection(parameter["Name"].rpartition("/")[2], parameter["Value"])
                except MisconfiguredError as error:
                    if skip is None:
                        raise
                    skip(error)
                else:
                    yield found
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}
