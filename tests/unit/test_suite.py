"""The suite keeps its own promise."""

from __future__ import annotations

import socket

import pytest


def test_a_unit_test_cannot_open_a_connection() -> None:
    with socket.socket() as client, pytest.raises(pytest.fail.Exception, match="opens no connection"):
        client.connect(("127.0.0.1", 9))
