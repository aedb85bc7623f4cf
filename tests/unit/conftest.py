"""Unit tests decide in milliseconds and alone: whoever opens a connection fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_connections() -> Iterator[None]:
    """No test here may reach a server, not even one on this machine."""

    def refuse(_: socket.socket, address: object) -> None:
        pytest.fail(f"a unit test opens no connection, this one wanted {address}: it belongs into another suite")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        yield
