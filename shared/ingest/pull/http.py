"""One HTTP request with limits: time to connect, time between bytes, time in all, and size. Standard library only."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.ingest.pull.model import Answer, Call

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 15.0
"""Between two pieces of an answer."""
TOTAL_SECONDS = 30.0
MAX_ANSWER_BYTES = 20_000_000
_PIECE = 65_536
_AFTER_WARNINGS = re.compile(r">\s*[\[{]")
_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~%"


class Http(Protocol):
    """Whatever can send a call to a base URL."""

    def send(self, base_url: str, call: Call, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever its status. Raises UnavailableError when there is none, or only part of one."""
        ...


@dataclass(frozen=True, slots=True)
class StandardHttp:
    """HTTP by the standard library: one connection for each call, redirects not followed, no proxies."""

    connect_seconds: float = CONNECT_SECONDS
    silent_seconds: float = SILENT_SECONDS
    total_seconds: float = TOTAL_SECONDS

    def send(self, base_url: str, call: Call, headers: Mapping[str, str]) -> Answer:
        """The answer, whatever its status. Raises UnavailableError when there is none, or only part of one."""
        connection, prefix = self._connect(base_url)
        ends_at = time.monotonic() + self.total_seconds
        try:
            connection.connect()
            connection.sock.settimeout(self.silent_seconds)
            _ask(connection, prefix, call, headers)
            response = connection.getresponse()
            raw = _read(response, ends_at)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"no answer from {connection.host}: {type(error).__name__}") from None
        finally:
            connection.close()
        said = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, said, _document(response.status, raw))

    def _connect(self, base_url: str) -> tuple[http.client.HTTPConnection, str]:
        parts = urlsplit(base_url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise MisconfiguredError("the API address of a connection begins with https://")
        prefix, port, seconds = parts.path.rstrip("/"), parts.port, self.connect_seconds
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, port, timeout=seconds), prefix
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, port, timeout=seconds, context=context), prefix


def _ask(connection: http.client.HTTPConnection, prefix: str, call: Call, headers: Mapping[str, str]) -> None:
    query = f"?{urlencode(call.query)}" if call.query else ""
    target = quote(prefix + call.path, safe=_PATH_CHARACTERS) + query
    sent = {"accept": "application/json", "user-agent": "matakite", **headers}
    if call.body is not None:
        sent["content-type"] = call.content_type
    connection.request("GET" if call.body is None else "POST", target, body=call.body, headers=sent)


def _read(response: http.client.HTTPResponse, ends_at: float) -> bytes:
    """The whole body. A sender that drips a byte at a time is cut off by the total time."""
    pieces, size = [], 0
    while piece := response.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise UnavailableError(f"an answer of over {MAX_ANSWER_BYTES // 1_000_000} MB")
        if time.monotonic() > ends_at:
            raise UnavailableError("an answer that does not end")
    expected = response.headers.get("content-length")
    if expected is not None and expected.isdigit() and size < int(expected):
        raise UnavailableError("an answer that was cut off")
    return b"".join(pieces)


def _document(status: int, raw: bytes) -> Mapping[str, Any]:
    """The JSON of an answer; a list is `{"items": …}`. Errors may say what they like; an answer must be whole."""
    try:
        said = _parsed(raw.decode("utf-8-sig")) if raw.strip() else {}
    except (ValueError, RecursionError):
        if 200 <= status < 300:
            # `from None`: the decoder's message holds the body.
            raise UnavailableError("an answer that is no JSON, or only part of it") from None
        return {}
    if isinstance(said, list):
        return {"items": said}
    return said if isinstance(said, dict) else {}


def _parsed(text: str) -> Any:
    """The JSON, also behind the warnings in HTML that some plugins of WordPress print before it."""
    begins = _AFTER_WARNINGS.search(text) if text.lstrip().startswith("<") else None
    return json.loads(text[begins.end() - 1 :] if begins else text)
