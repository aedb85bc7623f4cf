"""The lock files: exact, hashed, free of addresses, and in step with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.packaging.bundle import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
OURS = ("runtime", "light", "lake", "dev")  # resolved together; the local cloud is an environment of its own


def pins(lock: Path) -> dict[str, set[str]]:
    """Package → its pinned lines, one for each Python that needs its own."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_address(lock: Path) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", lock.read_text("utf-8"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_is_exact_and_hashed(lock: Path) -> None:
    entries = re.split(r"\n(?=[a-z])", re.sub(r"^\s*#.*\n?", "", lock.read_text("utf-8"), flags=re.MULTILINE))
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_every_group_has_its_lock() -> None:
    assert {lock.stem for lock in LOCKS} == {each.stem for each in (ROOT / "requirements").glob("*.in")}


def test_tests_run_the_versions_that_are_deployed() -> None:
    locked = {name: pins(ROOT / "requirements" / f"{name}.txt") for name in OURS}
    for group in ("runtime", "light", "lake"):
        differing = {
            name: (v, locked["dev"].get(name)) for name, v in locked[group].items() if locked["dev"].get(name) != v
        }
        assert not differing, group


@pytest.mark.parametrize("group", ["light", "lake"])
def test_no_bundle_carries_what_the_runtime_brings(group: str) -> None:
    runtime = pins(ROOT / "requirements" / "runtime.txt")
    assert not runtime.keys() & pins(ROOT / "requirements" / f"{group}.txt").keys()
