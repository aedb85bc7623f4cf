"""Synthesise the stacks into a folder of templates and assets, and do it again only when something changed."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.node import use_bundled_node
from infra.packaging.bundle import ROOT, Platform, bundle_all

# What templates and assets are made from. The command and the local cloud only use the result.
INPUTS = ("infra", "functions", "shared", "requirements", "cdk.json")
NOT_INPUTS = ("infra/cli", "infra/local")
STAMP = ".made-from"


class SynthesisError(RuntimeError):
    """The stacks cannot be synthesised; the message says what to do."""


def synthesise(out_dir: Path, platform: Platform = Platform.HOST) -> Path:
    """Run the CDK app into `out_dir` and return it; at once when it already holds the result of the same files.

    `out_dir` is replaced whole, and only when the app succeeds. The templates are the same for every platform: only
    the code in the assets differs.
    """
    out_dir = out_dir.resolve()
    made_from = fingerprint(platform)
    if _stamp(out_dir) == made_from:
        return out_dir
    _refuse_foreign(out_dir)
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir.parent, prefix=".assembly-") as temporary:
        assembly = Path(temporary) / out_dir.name
        _run_app(assembly, platform)
        (assembly / STAMP).write_text(made_from, "utf-8")
        if out_dir.exists():
            out_dir.rename(Path(temporary) / "previous")
        assembly.rename(out_dir)
    return out_dir


def cdk_context(root: Path = ROOT) -> dict[str, object]:
    """The feature flags of `cdk.json`, so that synthesis without the CDK command line gives the same templates."""
    settings: dict[str, dict[str, object]] = json.loads((root / "cdk.json").read_text("utf-8"))
    return settings["context"]


def fingerprint(platform: Platform, root: Path = ROOT) -> str:
    """A hash of every file the assembly is made from, the platform and the Python that runs the app."""
    digest = hashlib.sha256(f"{platform} {sys.version}\n".encode())
    for file in _inputs(root):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _inputs(root: Path) -> Iterator[Path]:
    skipped = tuple(root / name for name in NOT_INPUTS)
    for name in INPUTS:
        path = root / name
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            clutter = "__pycache__" in file.parts or file.suffix == ".pyc"
            if file.is_file() and not clutter and not any(file.is_relative_to(each) for each in skipped):
                yield file


def _run_app(assembly: Path, platform: Platform) -> None:
    use_bundled_node()
    from infra.app import build_app  # starts Node, which takes a second: only when there is work

    build_app(assembly, bundle_all(platform)).synth()


def _stamp(out_dir: Path) -> str | None:
    stamp = out_dir / STAMP
    return stamp.read_text("utf-8") if stamp.is_file() else None


def _refuse_foreign(out_dir: Path) -> None:
    """Never replace a folder that is not an earlier assembly."""
    if out_dir.exists() and any(out_dir.iterdir()) and not (out_dir / "manifest.json").is_file():
        raise SynthesisError(f"{out_dir} is not empty and is not a CDK assembly: name another folder.")


if __name__ == "__main__":
    print(synthesise(Path(sys.argv[1] if len(sys.argv) > 1 else ".build/assembly")))
