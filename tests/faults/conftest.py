"""A project with routes to stress it."""

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.faults.stress import add_stress
from tests.variants import Variant

OF_SCHEMAS = {"test_diagnosis", "test_start"}
"""Modules about what `alembic` and `create_all` do; to the others, such variants are the same."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With FEW=1, leave out the variants with create_all where they differ in nothing that is tested."""
    if not os.environ.get("FEW"):
        return
    twins = {
        item
        for item in items
        if "faults" in item.keywords and item.path.stem not in OF_SCHEMAS and "create_all" in item.name
    }
    config.hook.pytest_deselected(items=list(twins))
    items[:] = [item for item in items if item not in twins]


@pytest.fixture
def stressed(project: Project, variant: Variant, tmp_path: Path) -> Project:
    """Return a copy of the project, with routes to stress it."""
    copy = tmp_path / "project"
    shutil.copytree(project.path, copy)
    add_stress(copy, variant.database, variant.engine)
    return Project(copy, variant)
