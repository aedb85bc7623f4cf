"""An administrator's way into the local cloud: a boto3 session, and the URL of an HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from infra.local.process import Emulator

ACCOUNT = "000000000000"
REGION = "ap-northeast-1"
#: The account's root key: allowed everything, as the person who deploys is.
_ROOT_KEY = ("test", "test")


class LocalSession(boto3.Session):
    """A boto3 session whose every client talks to the local cloud as the account's administrator."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(aws_access_key_id=_ROOT_KEY[0], aws_secret_access_key=_ROOT_KEY[1], region_name=REGION)
        self.emulator = emulator

    def client(self, *args: Any, **kwargs: Any) -> Any:
        """A client of one service, aimed at the local cloud."""
        return super().client(*args, **self._aimed(kwargs))

    def resource(self, *args: Any, **kwargs: Any) -> Any:
        """A resource of one service, aimed at the local cloud."""
        return super().resource(*args, **self._aimed(kwargs))

    def _aimed(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        local = Config(
            retries={"mode": "standard", "max_attempts": 3},
            s3={"addressing_style": "path"},
            max_pool_connections=50,
            inject_host_prefix=False,
        )
        given = kwargs.get("config")
        return {"endpoint_url": self.emulator.endpoint, **kwargs, "config": local.merge(given) if given else local}


def local_url(emulator: Emulator, url: str) -> str:
    """The local form of an ``https://<id>.execute-api.<region>.amazonaws.com[/<stage>]`` output; others unchanged."""
    host, _, rest = url.removeprefix("https://").partition("/")
    labels = host.split(".")
    if not url.startswith("https://") or len(labels) < 2 or labels[1] != "execute-api":
        return url
    return f"{emulator.endpoint}/_aws/execute-api/{labels[0]}" + (f"/{rest}" if rest else "")
