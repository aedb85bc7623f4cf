"""A worker that rested (a frozen Lambda) loses no mail to connections that were closed while it could not notice."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.core import aws
from shared.core.clock import FixedClock
from shared.delivery.channels.channel import AmbiguousError
from shared.delivery.channels.ses import SesChannel
from tests.unit.delivery.messages import a_mail
from tests.unit.delivery.world import NOON

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"MessageId": "m-1"}'


class ForgetfulSes:
    """Takes one mail on each connection and has forgotten the connection by the next."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.mails = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        self._request(connection)
        self.mails += 1
        connection.sendall(ANSWER)
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    @staticmethod
    def _request(connection: socket.socket) -> None:
        read = b""
        while b"\r\n\r\n" not in read:
            read += connection.recv(65_536)
        head, _, body = read.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        while len(body) < length:
            body += connection.recv(65_536)

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgetfulSes]:
    found = ForgetfulSes()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", found.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    aws.client.cache_clear()
    yield found
    aws.client.cache_clear()
    found.close()


def test_the_first_mail_after_a_rest_leaves_on_a_new_connection(
    ses: ForgetfulSes, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FixedClock(NOON)
    monkeypatch.setattr(aws, "SystemClock", lambda: clock)
    channel: Any = SesChannel("matakite", aws.client("sesv2", aws.SINGLE_ATTEMPT))
    assert channel.send(a_mail()).message_id == "m-1"
    with pytest.raises(AmbiguousError):
        channel.send(a_mail())  # at once: nobody could have known
    assert channel.send(a_mail()).message_id == "m-1"
    clock.at += aws.RESTED * 2
    assert channel.send(a_mail()).message_id == "m-1"
    assert ses.mails == 3
