"""Serve the local page: ``python -m infra.local.page --port … --state-dir …``."""

from __future__ import annotations

import argparse
from pathlib import Path

from infra.local import lifecycle
from infra.local.page.server import serve
from infra.local.process import LocalPaths


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.page", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    given = parser.parse_args()
    serve(lifecycle.current(LocalPaths(given.state_dir)).emulator, given.port)


if __name__ == "__main__":
    main()
