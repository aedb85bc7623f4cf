"""Rules of the house that can be read off the sources themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("shared", "functions")
DOMAINS = {"core", "ingest", "customers", "analytics", "delivery", "scenarios", "measurement", "admin"}
DUMPS = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}


def sources(*folders: str) -> Iterator[Path]:
    """Every Python file below these folders."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def named(file: Path) -> str:
    """A file as people call it."""
    return str(file.relative_to(ROOT))


def calls(tree: ast.AST) -> Iterator[str]:
    """Every call as text, `hmac.compare_digest`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_folders_are_the_domains() -> None:
    for top in PRODUCT:
        found = {folder.name for folder in (ROOT / top).iterdir() if folder.is_dir() and folder.name != "__pycache__"}
        assert found <= DOMAINS, top


def test_nothing_is_named_after_being_left_over() -> None:
    assert [named(file) for file in sources("shared", "functions", "infra", "tests") if file.stem in DUMPS] == []


def test_a_lambda_is_named_verb_noun() -> None:
    files = [file for file in sources("functions") if file.stem not in {"__init__"}]
    single = {"compact", "reconcile", "step", "sweep", "trigger", "unsubscribe"}
    assert [named(file) for file in files if "_" not in file.stem and file.stem not in single] == []


def test_the_product_does_not_know_where_it_runs() -> None:
    """There is no second, local mode: what runs in the local cloud is what runs on AWS."""
    local = re.compile(r"ministack|localstack|127\.0\.0\.1|localhost|is_local|AWS_ENDPOINT_URL", re.IGNORECASE)
    assert [named(file) for file in sources(*PRODUCT) if local.search(file.read_text(encoding="utf-8"))] == []


def test_the_product_needs_nothing_beside_it() -> None:
    beside = re.compile(r"\.\./shared|payloads/")
    assert [named(file) for file in sources(*PRODUCT, "infra") if beside.search(file.read_text(encoding="utf-8"))] == []


def test_every_package_module_and_public_thing_says_what_it_is() -> None:
    silent = []
    for file in sources("shared", "functions", "infra"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            silent.append(named(file))
        silent += [
            f"{named(file)}:{node.name}"
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
    assert silent == []


def test_only_store_files_know_a_table() -> None:
    knows = re.compile(
        r"put_item|update_item|delete_item|get_item|batch_write_item|transact_write_items|\.query\(\s*TableName"
    )
    stores = {"store.py", "rows.py", "reports.py"}
    found = [file for file in sources(*PRODUCT) if knows.search(file.read_text(encoding="utf-8"))]
    assert [named(file) for file in found if file.name not in stores] == []


def test_signatures_are_compared_in_constant_time() -> None:
    """Whoever computes an HMAC to check something uses `compare_digest`, never `==`."""
    for file in sources(*PRODUCT):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                text = ast.unparse(node)
                assert not re.search(r"hmac|signature|\bmac\b", text), f"{named(file)}: {text}"


PACED = {"shared/ingest/pull/live.py"}
"""Vendors allow a call or two a second: a poll waits between its calls, nothing else waits."""


def test_the_product_never_sleeps() -> None:
    sleeping = {named(file) for file in sources(*PRODUCT) if "time.sleep" in set(calls(ast.parse(file.read_text())))}
    assert sleeping == PACED


@pytest.mark.parametrize("file", [f for f in sources("functions") if f.stem != "__init__"], ids=named)
def test_a_lambda_only_wires(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    shapes = {node.name for node in classes if "Protocol" in map(ast.unparse, node.bases)}
    assert {node.name for node in classes} - shapes <= {"Settings"}, "what it does belongs into shared/"
    assert any(isinstance(node, ast.FunctionDef) and node.name == "handler" for node in tree.body)


def test_the_readme_names_every_command() -> None:
    from infra.cli import COMMANDS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [command for command in COMMANDS if not re.search(rf"\b(matakite|make) {command}\b", readme)] == []
    assert len(readme.splitlines()) < 150


def _commands() -> Mapping[tuple[str, ...], set[str]]:
    """Every command with its options, `("local", "logs")` → `--lines`, `-n`, …"""
    from infra.cli import COMMANDS, topic

    def below(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
        yield path, {"--help", *(option for each in command.params for option in (*each.opts, *each.secondary_opts))}
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, (*path, name))

    return {path: options for name in COMMANDS for path, options in below(topic(name), (name,))}


def test_whoever_names_a_command_names_one_there_is() -> None:
    """In the pages, in messages and in docstrings, with its options."""
    commands, wrong = _commands(), []
    topics = {path[0] for path in commands if len(path) > 1}
    naming = re.compile(r"(?<=[`\n ])matakite ((?:[a-z][a-z-]* ?)+)([^`\n\"#]*)")
    pages = [*ROOT.glob("*.md"), *(ROOT / "shared").rglob("*.md"), *sources("shared", "infra")]
    for file in pages:
        for said in naming.finditer(file.read_text(encoding="utf-8")):
            words = tuple(said[1].split())
            path = next((words[:n] for n in (3, 2, 1) if words[:n] in commands), ())
            unfinished = len(path) == 1 and len(words) > 1 and words[0] in topics
            options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", said[2]))
            if not path or unfinished or not options <= commands[path]:
                wrong.append(f"{named(file)}: {said[0]}")
    assert wrong == []


def test_decisions_are_dated() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Decisions")[1]
    rows = [line for line in table.splitlines() if line.startswith("| 2")]
    assert rows
    assert all(re.match(r"\| \d{4}-\d\d-\d\d \| .+ \| .+ \| (one|two)-way \|$", row) for row in rows)
