"""Post to an address a shop typed in, without reaching into anybody's network (SSRF), signed as Standard Webhooks.

https only; the name is resolved once and every address it has must be public; the connection goes to the very address
that was checked, with the name's certificate; redirects are not followed; 5 seconds and 1 MB at most.

https://github.com/standard-webhooks/standard-webhooks: `webhook-signature: v1,base64(HMAC-SHA256(id.timestamp.body))`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import urllib3

from shared.core.errors import MisconfiguredError
from shared.delivery.channels.channel import AmbiguousError, NotSentError, RefusedError, StoppedError

SECONDS = 5.0
MAX_ANSWER = 1_000_000
SECRET_BEGINS = "whsec_"  # noqa: S105 - what every secret of the standard begins with

_IPV4_IN_IPV6 = tuple(
    ipaddress.ip_network(network)
    for network in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""IPv6 writings of IPv4 addresses (compatible, mapped, NAT64, 6to4, Teredo); nobody needs one to be reached."""


class ForbiddenAddressError(MisconfiguredError):
    """The address must not be posted to, whatever is there."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a shop wants something posted, and the secret it is signed with."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said: its status only counts."""

    status: int
    body: bytes = b""


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address a name has now."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """May we connect to it? Not to private, loopback, link-local, multicast or reserved ones, however written."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and any(found in network for network in _IPV4_IN_IPV6):
        return False
    return found.is_global and not found.is_multicast


@dataclass(frozen=True)
class Outbound:
    """The one way out to addresses that are not ours. The fields are for tests."""

    resolve: Callable[[str, int], Sequence[str]] = resolve
    allowed: Callable[[str], bool] = is_public
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = SECONDS
    monotonic: Callable[[], float] = time.monotonic

    def check(self, url: str) -> None:
        """What `post` would refuse, said to who types it in. A name that has no address yet may be given one."""
        host, port, _ = check_url(url)
        with suppress(NotSentError):
            self._address(host, port)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post once. Raises ForbiddenAddressError, NotSentError or AmbiguousError."""
        host, port, path = check_url(url)
        ends = self.monotonic() + self.seconds
        pool = urllib3.HTTPSConnectionPool(
            self._address(host, port),
            port,
            ssl_context=self.trust(),
            server_hostname=host,
            assert_hostname=host,
            timeout=urllib3.Timeout(total=self.seconds),
            retries=False,
            maxsize=1,
        )
        name = host if port == 443 else f"{host}:{port}"
        try:
            answer = pool.urlopen(
                "POST",
                path,
                body=body,
                headers={**headers, "host": name},
                redirect=False,
                retries=False,
                preload_content=False,
                assert_same_host=False,
            )
            return Answer(answer.status, self._read(answer, ends))
        except (
            urllib3.exceptions.ConnectTimeoutError,
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.SSLError,
        ) as error:
            raise NotSentError(f"the endpoint could not be reached ({type(error).__name__})") from error
        except urllib3.exceptions.HTTPError as error:
            raise AmbiguousError(f"the endpoint's answer was lost ({type(error).__name__})") from error
        finally:
            pool.close()

    def _address(self, host: str, port: int) -> str:
        try:
            found = self.resolve(host, port)
        except OSError as error:
            raise NotSentError(f"{host} has no address ({type(error).__name__})") from error
        if not found or not all(self.allowed(address) for address in found):
            raise ForbiddenAddressError(f"{host} does not lead to a public address: nothing is posted there")
        return found[0]

    def _read(self, answer: urllib3.response.BaseHTTPResponse, ends: float) -> bytes:
        """At most MAX_ANSWER bytes and `seconds`; the status is known, so what is cut off is not missed."""
        read = b""
        try:
            for chunk in answer.stream(16_384):
                read += chunk
                if len(read) > MAX_ANSWER or self.monotonic() > ends:
                    break
        except urllib3.exceptions.HTTPError:
            return read[:MAX_ANSWER]
        return read[:MAX_ANSWER]


def check_url(url: str) -> tuple[str, int, str]:
    """Host, port and path of an address that may be posted to. Raises ForbiddenAddressError saying why not."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise ForbiddenAddressError("not a URL") from None
    if parts.scheme != "https" or not parts.hostname:
        raise ForbiddenAddressError("only https:// addresses are posted to")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddressError("a URL with a password in it is not posted to: use the signature")
    try:
        host = parts.hostname.encode("idna").decode()
    except UnicodeError:
        raise ForbiddenAddressError("the host name is not one of the web") from None
    path = parts.path or "/"
    return host, port, f"{path}?{parts.query}" if parts.query else path


def taken(answer: Answer, who: str) -> None:
    """Returns when `who` took what was posted; else raises the ChannelError that says what is certain."""
    match answer.status:
        case status if 200 <= status < 300:
            return
        case 410:
            raise StoppedError(f"{who} is gone (410): it wants nothing any more")
        case 429:
            raise NotSentError(f"{who} asks to slow down")
        case 401 | 403 | 404 | 407:
            raise MisconfiguredError(f"{who} turns us away ({answer.status}): check its URL and secret")
        case status if 300 <= status < 500:
            raise RefusedError(f"{who} refused the message ({status}); redirects are not followed")
        case status:
            raise AmbiguousError(f"{who} failed while it had the message ({status})")


def signed_headers(message_id: str, body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """The three headers of Standard Webhooks; `message_id` is the same for every attempt."""
    stamp = str(int(at.timestamp()))
    return {
        "content-type": "application/json",
        "user-agent": "Matakite",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature(message_id, stamp, body, secret)}",
    }


def signature(message_id: str, stamp: str, body: bytes, secret: str) -> str:
    """base64(HMAC-SHA256) over `id.timestamp.body`."""
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    return base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()


def key_of(secret: str) -> bytes:
    """The bytes of a `whsec_…` secret. Raises MisconfiguredError when it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_BEGINS), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_BEGINS) or len(key) < 24:
        raise MisconfiguredError(f"a webhook's secret is {SECRET_BEGINS} and at least 24 bytes in base64")
    return key
