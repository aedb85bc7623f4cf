"""`matakite endpoint` and `call`: what is stored is checked first, files with addresses are their owner's alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.cli.endpoint import save_endpoint
from infra.cli.session import Deployment
from infra.cli.tray import Desk, check_encoding, write
from shared.core.errors import MisconfiguredError, RejectedError
from shared.delivery.endpoints import parse_endpoint
from shared.delivery.outbound import ForbiddenAddressError, Outbound
from shared.delivery.tray import MemoryTray
from tests.unit.delivery.world import TENANT, a_shop


class Parameters:
    """SSM, as far as it is asked here."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}

    def client(self, service: str) -> Parameters:
        assert service == "ssm"
        return self

    def put_parameter(self, **given: Any) -> None:
        self.stored[given["Name"]] = given


def _resolve(host: str, port: int) -> list[str]:
    """As the world's name servers would; a number is its own address."""
    known = {"hooks.example.com": "93.184.215.14", "metadata.example.com": "169.254.169.254"}
    if host == "new.example.com":
        raise OSError("no such name yet")
    return [known.get(host, host)]


OUT = Outbound(resolve=_resolve)


def test_an_address_whose_name_is_not_known_yet_may_be_set() -> None:
    ssm: Any = Parameters()
    save_endpoint(Deployment(ssm), TENANT, "webhook", "https://new.example.com/", None, OUT)
    assert ssm.stored


def test_an_endpoint_is_stored_encrypted_with_a_secret_of_its_own() -> None:
    ssm: Any = Parameters()
    first = save_endpoint(Deployment(ssm), TENANT, "webhook", "https://hooks.example.com/in", None, OUT)
    second = save_endpoint(Deployment(ssm), TENANT, "call", "https://hooks.example.com/in", None, OUT)
    assert first.secret != second.secret
    assert first.secret not in repr(first)
    stored = ssm.stored[f"/matakite/endpoints/{TENANT}/webhook"]
    assert stored["Type"] == "SecureString"
    assert parse_endpoint(stored["Value"]) == first


@pytest.mark.parametrize(
    ("name", "url", "secret", "error"),
    [
        ("email", "https://hooks.example.com/", None, RejectedError),
        ("webhook", "http://hooks.example.com/", None, ForbiddenAddressError),
        ("webhook", "https://127.0.0.1/", None, ForbiddenAddressError),
        ("call", "https://[::1]:8443/in", None, ForbiddenAddressError),
        ("notify", "https://metadata.example.com/", None, ForbiddenAddressError),
        ("webhook", "https://hooks.example.com/", "short", MisconfiguredError),
    ],
)
def test_what_could_not_be_posted_to_is_not_stored(
    name: str, url: str, secret: str | None, error: type[Exception]
) -> None:
    ssm: Any = Parameters()
    with pytest.raises(error):
        save_endpoint(Deployment(ssm), TENANT, name, url, secret, OUT)
    assert not ssm.stored


def test_files_of_the_tray_are_their_owners_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "new", "calls.csv", b"x")
    assert path.stat().st_mode & 0o077 == 0
    assert check_encoding("cp932") == "cp932"
    with pytest.raises(RejectedError):
        check_encoding("latin-1")
    desk = Desk(a_shop(), MemoryTray())
    assert desk.documents("call", None) == []
