"""When the stacks are synthesised again, and what is never overwritten. The result itself: tests/infra."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.packaging.bundle import Platform
from infra.synth import STAMP, SynthesisError, cdk_context, fingerprint, synthesise


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one file of each kind."""
    for name in ("infra/app.py", "infra/cli/show.py", "infra/local/page.py", "functions/a.py", "shared/b.sql"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before", "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["infra/app.py", "functions/a.py", "shared/b.sql", "shared/new.yaml"])
def test_a_changed_source_asks_for_synthesis(root: Path, name: str) -> None:
    before = fingerprint(Platform.HOST, root)
    (root / name).write_text("after", "utf-8")
    assert fingerprint(Platform.HOST, root) != before


@pytest.mark.parametrize("name", ["infra/cli/show.py", "infra/local/page.py", "shared/__pycache__/b.pyc"])
def test_what_only_uses_the_templates_does_not(root: Path, name: str) -> None:
    before = fingerprint(Platform.HOST, root)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("after", "utf-8")
    assert fingerprint(Platform.HOST, root) == before


def test_each_platform_has_its_own_assembly(root: Path) -> None:
    assert fingerprint(Platform.HOST, root) != fingerprint(Platform.LAMBDA, root)


def test_an_assembly_of_the_same_files_is_returned_as_it_is(tmp_path: Path) -> None:
    (tmp_path / STAMP).write_text(fingerprint(Platform.HOST), "utf-8")
    assert synthesise(tmp_path) == tmp_path.resolve()
    assert [path.name for path in tmp_path.iterdir()] == [STAMP]


def test_a_folder_that_is_no_assembly_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(SynthesisError, match="is not a CDK assembly"):
        synthesise(tmp_path)
    assert (tmp_path / "holiday.jpg").exists()


def test_the_feature_flags_are_those_of_cdk_json() -> None:
    assert cdk_context()["@aws-cdk/core:defaultCrossStackReferences"] == "strong"
