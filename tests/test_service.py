"""What the template promises of each service, in tests that no service has to carry: `tests/service`.

They are written as the rest of a service is, rendered for each variant, and run in a copy of it, by its own fixtures.
"""

import re
import shutil
from pathlib import Path

import pytest
from cookiecutter.environment import StrictEnvironment
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from jinja2 import FileSystemLoader

from tests.conftest import DEAD_PROXY, Project, python_of
from tests.test_variants import SUITE, server_of
from tests.variants import CONTEXT, ROOT, VARIANTS, Variant

FOLDER = ROOT / "tests" / "service"
TWO = {"sqlite-async-alembic", "postgresql-sync-create_all"}
"""The variants of `make test`; `make test-all` has all."""


def add_tests(project: Path, variant: Variant) -> None:
    """Render the tests into a project. What is left empty is for other variants."""
    context = generate_context(str(ROOT / "cookiecutter.json"), extra_context=variant.answers)
    context = {"cookiecutter": prompt_for_config(context, no_input=True)}
    loader = FileSystemLoader([FOLDER, ROOT / "templates"])
    options = {**CONTEXT["_jinja2_env_vars"], "keep_trailing_newline": True}
    environment = StrictEnvironment(context=context, loader=loader, **options)
    (project / "tests" / "service").mkdir()
    for path in FOLDER.glob("*.jinja"):
        if text := environment.get_template(path.name).render(context):
            (project / "tests" / "service" / path.stem).write_text(text, encoding="utf-8")


def chosen() -> pytest.MarkDecorator:
    """Mark all variants as slow, but for two."""
    marked = [pytest.param(v, id=str(v), marks=() if str(v) in TWO else pytest.mark.slow) for v in VARIANTS]
    return pytest.mark.parametrize("variant", marked, indirect=True)


@pytest.fixture
def tested(project: Project, variant: Variant, tmp_path: Path) -> Project:
    """Return a copy of a project, with these tests."""
    path = Path(shutil.copytree(project.path, tmp_path / project.path.name))
    add_tests(path, variant)
    return Project(path, variant)


@chosen()
def test_service_tests(tested: Project, variant: Variant) -> None:
    """They pass, on a real server; and their style is the service's."""
    tested.run("ruff", "check", "--no-cache", "tests/service")
    tested.run("ruff", "format", "--check", "--no-cache", "tests/service")
    output = tested.run(*SUITE, "tests/service", python=python_of(variant), **server_of(variant), **DEAD_PROXY)
    assert re.search(r"\d{3} passed", output), output


@pytest.mark.slow
@pytest.mark.xdist_group("types")
def test_service_test_types(tested: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """They are strictly typed."""
    tested.run("mypy", "--cache-dir", str(tmp_path_factory.getbasetemp() / "mypy"))
