"""Templates and a world for the tests of delivery."""

from __future__ import annotations

import shutil

import pytest

from infra.packaging.mjml import compile_mjml
from shared.delivery.render import ROOT, TemplateStore
from tests.unit.delivery.world import World, plain_templates


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> TemplateStore:
    """A renderer with one small template."""
    return plain_templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def world(plain: TemplateStore) -> World:
    """A shop and one person who may be written to."""
    return World(plain)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> TemplateStore:
    """The product's own templates, compiled as the bundle has them."""
    root = tmp_path_factory.mktemp("compiled") / "templates"
    shutil.copytree(ROOT, root)
    for source in root.rglob("*.mjml"):
        source.with_suffix(".html").write_text(compile_mjml(source.read_text("utf-8")), "utf-8")
    return TemplateStore(root)
