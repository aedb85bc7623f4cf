"""Treat a loopback request as sent over TLS.

Without it: the local cloud speaks plain HTTP, so every bucket and queue policy that denies
``aws:SecureTransport = false`` (which the templates must have) would refuse all of our own calls.
Mended by telling the policy evaluator that a request from this machine arrived securely; the templates stay unchanged.
"""

from __future__ import annotations

import contextvars

from ministack import app
from ministack.core import iam_evaluator

from infra.local.emulator.settings import EmulatorSettings

_LOOPBACK = ("127.0.0.1", "::1")


def install(settings: EmulatorSettings) -> None:
    """Patch both names the pin is reached by, and the default that the services' own threads see."""
    origin = contextvars.ContextVar[tuple[str, bool]]("matakite_request_origin", default=("127.0.0.1", True))

    def pin_as_secure(source_ip: str, secure_transport: bool) -> None:
        origin.set((source_ip, secure_transport or source_ip in _LOOPBACK))

    iam_evaluator._request_origin = origin
    iam_evaluator.pin_request_origin = pin_as_secure
    app.pin_request_origin = pin_as_secure
