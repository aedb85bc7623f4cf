"""Posting to an address somebody typed in reaches nobody's own network, and is signed as Standard Webhooks says."""

from __future__ import annotations

import socket

import pytest

from shared.core.errors import MisconfiguredError
from shared.delivery.endpoints import new_secret, parse_endpoint
from shared.delivery.outbound import ForbiddenAddressError, Outbound, check_url, is_public, key_of, signature

INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - an address that is refused
    "255.255.255.255",
    "224.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", INSIDE)
def test_no_inner_address_is_connected_to_however_it_is_written(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700:4700::1111"])
def test_public_ones_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("answers", [["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:10.0.0.1"], []])
def test_a_name_that_leads_inside_is_never_called(answers: list[str]) -> None:
    def no_connection() -> object:
        raise AssertionError("a connection was prepared")

    outbound = Outbound(resolve=lambda host, port: answers, trust=no_connection)  # type: ignore[arg-type]
    with pytest.raises(ForbiddenAddressError, match=r"hooks\.example\.com"):
        outbound.post("https://hooks.example.com/x", b"{}", {})


@pytest.mark.parametrize("host", ["0x7f000001", "2130706433", "0177.0.0.1", "127.1", "localhost", "[::1]"])
def test_other_ways_to_write_this_machine_are_refused_as_the_resolver_reads_them(host: str) -> None:
    try:
        socket.getaddrinfo(host.strip("[]"), 443)
    except OSError:
        pytest.skip("this resolver does not know the spelling")
    with pytest.raises(ForbiddenAddressError):
        Outbound().post(f"https://{host}/", b"{}", {})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example.com/", "https"),
        ("file:///etc/passwd", "https"),
        ("https://", "https"),
        ("https://user:secret@hooks.example.com/", "password"),
        ("https://hooks.example.com:99999/", "not a URL"),
        (f"https://{'a' * 70}.example.com/", "host name"),
    ],
)
def test_only_plain_https_addresses_are_taken(url: str, why: str) -> None:
    with pytest.raises(ForbiddenAddressError, match=why):
        check_url(url)


def test_the_signature_is_the_standards_own_example() -> None:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, as Svix publishes it.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}', secret)
    assert signed == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "plain", "whsec_!!!"])
def test_a_weak_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(MisconfiguredError) as refused:
        key_of(secret)
    assert not secret or secret == "whsec_" or secret not in str(refused.value)


def test_a_stored_endpoint_is_checked_when_it_is_read() -> None:
    assert len(key_of(new_secret())) == 32
    with pytest.raises(ForbiddenAddressError):
        parse_endpoint('{"url": "http://hooks.example.com/", "secret": "' + new_secret() + '"}')
    with pytest.raises(MisconfiguredError):
        parse_endpoint('{"url": "https://hooks.example.com/"}')
