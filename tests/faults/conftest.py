"""A project with routes to stress it."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.faults.stress import add_stress
from tests.variants import Variant


@pytest.fixture
def stressed(project: Project, variant: Variant, tmp_path: Path) -> Project:
    """Return a copy of the project, with routes to stress it."""
    copy = tmp_path / "project"
    shutil.copytree(project.path, copy)
    add_stress(copy, variant.database, variant.engine)
    return Project(copy, variant)
