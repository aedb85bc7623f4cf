"""Bundling: what goes in, what changes the hash, what is refused. Packages themselves: tests/infra/test_bundles.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.packaging import bundle as packaging
from infra.packaging.bundle import BundleError, Group, Platform, asset_hash, bundle

HELLO = """
<mjml><mj-body><mj-section><mj-column><mj-text>{{ name }} 様</mj-text></mj-column></mj-section></mj-body></mjml>
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one function, one template and nothing to install."""
    for name, text in {
        "requirements/light.txt": "# nothing\n",
        "requirements/lake.txt": "# nothing either\n",
        "functions/ingest/receive.py": "",
        "shared/core/clock.py": "",
        "shared/delivery/templates/ja/hello.mjml": HELLO,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def contents(path: Path) -> set[str]:
    return {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}


def test_a_bundle_holds_the_sources_and_the_compiled_mail_beside_its_template(root: Path) -> None:
    built = bundle(Group.LIGHT, Platform.HOST, root)
    assert contents(built.path) == {
        "functions/ingest/receive.py",
        "shared/core/clock.py",
        "shared/delivery/templates/ja/hello.html",
        "shared/delivery/templates/ja/hello.mjml",
    }
    assert "{{ name }} 様" in (built.path / "shared/delivery/templates/ja/hello.html").read_text("utf-8")


def test_caches_and_hidden_files_stay_out(root: Path) -> None:
    before = asset_hash(Group.LIGHT, root)
    (root / "shared/core/__pycache__").mkdir()
    (root / "shared/core/__pycache__/clock.cpython-313.pyc").write_bytes(b"x")
    (root / "shared/.DS_Store").write_bytes(b"x")
    assert asset_hash(Group.LIGHT, root) == before


@pytest.mark.parametrize("changed", ["shared/core/clock.py", "functions/ingest/receive.py", "requirements/light.txt"])
def test_a_changed_file_changes_the_hash(root: Path, changed: str) -> None:
    before = asset_hash(Group.LIGHT, root)
    (root / changed).write_text("# changed\n", "utf-8")
    assert asset_hash(Group.LIGHT, root) != before


def test_a_renamed_file_changes_the_hash(root: Path) -> None:
    before = asset_hash(Group.LIGHT, root)
    (root / "shared/core/clock.py").rename(root / "shared/core/time.py")
    assert asset_hash(Group.LIGHT, root) != before


def test_the_hash_is_the_same_for_both_platforms_so_that_the_template_is(root: Path) -> None:
    hashes = {bundle(Group.LIGHT, platform, root).asset_hash for platform in Platform}
    assert hashes == {asset_hash(Group.LIGHT, root)}


def test_a_code_change_makes_a_new_bundle_and_leaves_the_old_one_whole(root: Path) -> None:
    first = bundle(Group.LIGHT, Platform.HOST, root)
    (root / "shared/core/clock.py").write_text("NOW = 1\n", "utf-8")
    second = bundle(Group.LIGHT, Platform.HOST, root)
    assert (first.path / "shared/core/clock.py").read_text("utf-8") == ""
    assert (second.path / "shared/core/clock.py").read_text("utf-8") == "NOW = 1\n"


def test_only_the_newest_bundles_are_kept(root: Path) -> None:
    for edit in range(packaging.KEPT_PER_GROUP + 2):
        (root / "shared/core/clock.py").write_text(f"EDIT = {edit}\n", "utf-8")
        bundle(Group.LIGHT, Platform.HOST, root)
    newest = bundle(Group.LIGHT, Platform.HOST, root)
    left = [path for path in newest.path.parent.iterdir() if path.is_dir()]
    assert len(left) == packaging.KEPT_PER_GROUP
    assert newest.path in left


def test_a_bundle_that_lambda_would_refuse_names_its_biggest_packages(root: Path) -> None:
    heavy = root / "shared" / "heavy.bin"
    with heavy.open("wb") as file:
        file.truncate(packaging.LIMIT_BYTES + 1)  # sparse: takes no room on the disk until it is copied
    with pytest.raises(BundleError, match=r"Lambda takes 250\.0 MB\. Biggest: shared 250\.0 MB"):
        bundle(Group.LIGHT, Platform.HOST, root)


def test_a_broken_mail_template_is_named(root: Path) -> None:
    (root / "shared/delivery/templates/ja/broken.mjml").write_text("<mjml><mj-body></mjml>", "utf-8")
    with pytest.raises(BundleError, match=r"shared/delivery/templates/ja/broken\.mjml: not valid MJML"):
        bundle(Group.LIGHT, Platform.HOST, root)


def test_a_failed_bundle_leaves_nothing_that_looks_finished(root: Path) -> None:
    broken = root / "shared/delivery/templates/ja/broken.mjml"
    broken.write_text("<mjml><mj-body></mjml>", "utf-8")
    with pytest.raises(BundleError):
        bundle(Group.LIGHT, Platform.HOST, root)
    assert list((root / ".build/bundles/host/light").glob("*")) == [root / ".build/bundles/host/light/.lock"]


def test_a_package_without_a_hash_is_refused(root: Path) -> None:
    (root / "requirements/light.txt").write_text("six==1.17.0\n", "utf-8")
    with pytest.raises(BundleError, match=r"could not install light\.txt for host:\n(.|\n)*hash"):
        bundle(Group.LIGHT, Platform.HOST, root)
