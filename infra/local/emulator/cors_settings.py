"""Let an HTTP API answer a browser's preflight as its template says.

Without it: MiniStack keeps ``CorsConfiguration`` of a CloudFormation template with its own spelling (``AllowOrigins``)
and reads the API's (``allowOrigins``), so every preflight is denied.
Mended by reading either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway

from infra.local.emulator.settings import EmulatorSettings


def _spelled(settings: Mapping[str, Any]) -> dict[str, Any]:
    read = {name[:1].lower() + name[1:]: value for name, value in settings.items()}
    if str(read.get("maxAge", "")).isdigit():
        read["maxAge"] = int(read["maxAge"])
    return read


def install(settings: EmulatorSettings) -> None:
    """Both answers, to the preflight and after it, read the settings through `_spelled`."""
    headers, preflight = apigateway._cors_response_headers, apigateway._cors_preflight_response
    apigateway._cors_response_headers = lambda cors, origin: headers(_spelled(cors), origin)
    apigateway._cors_preflight_response = lambda cors, origin: preflight(_spelled(cors), origin)
