"""Conventions: what a fork changes in one table of `cookiecutter.json` arrives in each of its services."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from tests.conftest import Project
from tests.variants import ROOT, Variant

CHANGED = {
    "template": "https://git.example.com/platform/service-template",
    "pythons": ["3.12", "3.13"],
    "line_length": 120,
    "license": "Apache-2.0",
    "owners": ["@example/platform", "ada@example.com"],
    "package_index": "https://packages.example.com/simple",
    "base_image": "registry.example.com/python:3.12",
}


def files_with(words: str, project: Path) -> set[str]:
    """Return the files in which words are found."""
    paths = (path for path in project.rglob("*") if path.is_file())
    return {path.relative_to(project).as_posix() for path in paths if words in path.read_text(encoding="utf-8")}


@pytest.fixture
def forked(variant: Variant, tmp_path: Path) -> Project:
    """Return a project of a fork that has changed each convention."""
    fork = tmp_path / "fork"
    names = ("cookiecutter.json", "hooks", "templates", "{{cookiecutter.project_slug}}")
    fork.mkdir()
    for path in (ROOT / name for name in names):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, fork / path.name)
    context = json.loads((fork / "cookiecutter.json").read_text(encoding="utf-8"))
    assert context["_conventions"].keys() == CHANGED.keys()
    context["_conventions"] = CHANGED
    (fork / "cookiecutter.json").write_text(json.dumps(context), encoding="utf-8")
    answers = variant.answers | {"project_name": "Service"}
    return Project(Path(cookiecutter(str(fork), no_input=True, output_dir=tmp_path, extra_context=answers)), variant)


def test_conventions(forked: Project) -> None:
    """Each convention arrives in each file that it concerns; no default is left in one; the style still holds."""
    path = forked.path
    pyproject = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["project"]["requires-python"] == ">=3.12"
    assert pyproject["project"]["license"] == CHANGED["license"]
    assert pyproject["tool"]["ruff"]["line-length"] == CHANGED["line_length"]
    assert pyproject["tool"]["template"]["name"] == CHANGED["template"]
    assert pyproject["tool"]["uv"]["index"] == [{"url": CHANGED["package_index"], "default": True}]
    assert (path / "CODEOWNERS").read_text() == "* @example/platform ada@example.com\n"
    assert "sys.version_info < (3, 12)" in (path / "Makefile").read_text()
    assert files_with("Python 3.12 or later", path) == {"Makefile", "README.md"}
    assert files_with(f"`{CHANGED['template']}` ", path) == {"README.md"}
    assert files_with(CHANGED["base_image"], path) == {"Dockerfile"}
    installers = {"Dockerfile", "Makefile", "pyproject.toml", "requirements.txt"}
    assert files_with(CHANGED["package_index"], path) == installers
    for default in ("cookiecutter-fastapi-sqlalchemy", "3.11", "3.14", "python:3.13-slim"):
        assert not files_with(default, path), default
    forked.run("ruff", "check", "--no-cache")
    forked.run("ruff", "format", "--check", "--no-cache")


@pytest.mark.parametrize("variant", [Variant("postgresql", "async", "alembic")], ids=str)
def test_forked_suite(forked: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A project of a fork is as good as any."""
    forked.run("mypy", "--cache-dir", str(tmp_path_factory.getbasetemp() / "mypy"))
    forked.run("pytest", "-q", "-p", "no:cacheprovider")


def test_empty_conventions(project: Project) -> None:
    """What has no value by default leaves no trace."""
    assert not (project.path / "CODEOWNERS").exists()
    for words in ("license", "index-url", "INDEX_URL", "[[tool.uv", "target-version"):
        assert not files_with(words, project.path), words
