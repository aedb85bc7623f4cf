"""Templates and a world for the tests of delivery."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.delivery.render import TemplateStore
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
def templates_root() -> Path:
    """The sources of the product's own templates."""
    return Path(__file__).parents[3] / "shared" / "delivery" / "templates"
