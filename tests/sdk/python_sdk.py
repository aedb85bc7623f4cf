"""Usage: python python_sdk.py <API host> <write key>."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def main(host: str, write_key: str) -> None:
    """Send one call of each kind with `segment-analytics-python`."""
    sdk: Any = importlib.import_module("segment.analytics")
    failures: list[str] = []
    client = sdk.Client(
        write_key,
        host=host,
        max_retries=0,
        on_error=lambda error, _batch: failures.append(str(error)),
    )
    client.identify("python-1", {"email": "python@example.com", "plan": "gold"})
    client.track("python-1", "Signed In")
    client.track("python-1", "Order Completed", {"order_id": "1", "total": 3980})
    client.page("python-1", "tea", "products", {"url": "https://www.example.jp/products/tea?x=1"})
    client.screen("python-1", "cart", "home")
    client.alias("python-visitor", "python-1")
    client.group("python-1", "g")
    client.flush()
    client.join()
    sys.exit("\n".join(failures) or 0)


if __name__ == "__main__":
    main(*sys.argv[1:3])
