"""What is tested here is what a real account gets."""

from __future__ import annotations

from pathlib import Path

from infra.packaging.bundle import ROOT, Platform
from infra.synth import synthesise


def templates(assembly: Path) -> dict[str, str]:
    return {file.name: file.read_text("utf-8") for file in assembly.glob("*.template.json")}


def test_the_template_is_the_same_for_the_local_cloud_and_for_lambda(tmp_path: Path) -> None:
    here = templates(synthesise(ROOT / ".build" / "assembly"))
    assert here
    assert here == templates(synthesise(tmp_path / "assembly", Platform.LAMBDA))
