"""Conventions: what a fork changes in one table of `cookiecutter.json` arrives in each of its services."""

import json
import re
import runpy
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

from tests.conftest import NO_GIT_CONFIGURATION, SERVERS, Project, clean_environment, execute
from tests.mutations import CUTS
from tests.test_variants import WITH
from tests.variants import ROOT, VARIANTS, Variant

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
    return {
        path.relative_to(project).as_posix()
        for path in paths
        if words in path.read_text(encoding="utf-8", errors="replace")
    }


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """Return a copy of the template."""
    fork = tmp_path / "fork"
    names = ("cookiecutter.json", "hooks", "templates", "{{cookiecutter.project_slug}}")
    fork.mkdir()
    for path in (ROOT / name for name in names):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, fork / path.name)
    return fork


def bake(fork: Path, variant: Variant, conventions: dict[str, object], **others: str) -> Project:
    """Generate a project of a fork that has changed some conventions."""
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    context["_conventions"] |= conventions
    (fork / "cookiecutter.json").write_text(json.dumps(context), encoding="utf-8")
    answers = variant.answers | {"project_name": "Service"} | others
    path = cookiecutter(str(fork), no_input=True, output_dir=fork.parent, extra_context=answers)
    return Project(Path(path), variant)


@pytest.fixture
def forked(variant: Variant, fork: Path) -> Project:
    """Return a project of a fork that has changed each convention."""
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    assert context["_conventions"].keys() == CHANGED.keys()
    return bake(fork, variant, CHANGED)


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
    assert files_with(f"`{CHANGED['template']}` ", path) == {"docs/development.md"}
    assert files_with(CHANGED["base_image"], path) == {"Dockerfile"}
    assert 'image: "registry.example.com/python:$PYTHON_VERSION"' in (path / ".gitlab-ci.yml").read_text()
    installers = {"Dockerfile", "Makefile", "pyproject.toml", "requirements.txt"}
    assert files_with(CHANGED["package_index"], path) == installers
    for default in ("cookiecutter-fastapi-sqlalchemy", "3.11", "3.14", "python:3.13-slim"):
        assert not files_with(default, path), default
    forked.run("ruff", "check", "--no-cache")
    forked.run("ruff", "format", "--check", "--no-cache")


@pytest.mark.slow
@pytest.mark.parametrize("variant", [Variant("postgresql", "async", "alembic")], ids=str)
def test_forked_suite(forked: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A project of a fork is as good as any."""
    forked.run("mypy", "--cache-dir", str(tmp_path_factory.getbasetemp() / "mypy"))
    forked.run("pytest", "-q", "-p", "no:cacheprovider")


@pytest.mark.parametrize(
    ("base", "image"),
    [
        ("python:3.13-alpine", '"python:$PYTHON_VERSION"'),
        (
            "registry.example.com:5000/mirror/python@sha256:0",
            '"registry.example.com:5000/mirror/python:$PYTHON_VERSION"',
        ),
        ("registry.example.com:5000/base", "python:$PYTHON_VERSION"),
    ],
)
def test_base_image(fork: Path, base: str, image: str) -> None:
    """GitLab's jobs take the image of each Python from where the Dockerfile's is, if it is one of those."""
    text = (bake(fork, VARIANTS[0], {"base_image": base}).path / ".gitlab-ci.yml").read_text()
    assert f"  image: {image}\n" in text
    assert (f"# Not {base}, " in text) == ("python" not in base)


REFUSED_NAMES = {
    "postgresql": ["pg_catalogue", "public", "none", "template1"],
    "mysql": ["mysql", "information_schema", "root"],
}


@pytest.mark.parametrize(
    ("database", "slug"), [(database, slug) for database, slugs in REFUSED_NAMES.items() for slug in slugs]
)
def test_names_on_the_server(fork: Path, database: str, slug: str) -> None:
    """A slug that means something to the server is no name of a database or of a user there."""
    path = bake(fork, Variant(database, "sync", "create_all"), {}, project_slug=slug).path
    name = f"app_{slug}"
    assert f"://{name}:{name}@localhost" in (path / ".env").read_text()
    compose = (path / "compose.yaml").read_text()
    assert len(re.findall(rf'_(?:USER|DATABASE|DB): "{name}"', compose)) == 2


@pytest.mark.parametrize("slug", ["a___b", "a-_b", "A__b"])
def test_names_of_images(fork: Path, slug: str) -> None:
    """What is a name of a folder makes a name of an image, in which no more than two _ may follow each other."""
    compose = (bake(fork, VARIANTS[0], {}, project_slug=slug).path / "compose.yaml").read_text()
    [image] = re.findall(r'^  image: "(.*)"$', compose, re.MULTILINE)
    assert re.fullmatch(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", image)


def test_empty_conventions(variant: Variant, fork: Path) -> None:
    """What has no value leaves no trace."""
    path = bake(fork, variant, {"owners": [], "license": "", "package_index": ""}).path
    assert not (path / "CODEOWNERS").exists()
    for words in ("license =", "--index-url", 'export PIP_INDEX_URL="$${', "[[tool.uv"):
        assert not files_with(words, path), words


WRONG = [
    ({"owners": "@example/platform"}, "_conventions.owners: '@example/platform' is not a list such as"),
    ({"owners": ["a b"]}, "_conventions.owners: ['a b'] is not"),
    ({"owners": {"team": ["ada"]}}, "_conventions.owners: {'team': ['ada']} is not"),
    ({"pythons": []}, "_conventions.pythons: [] is not a list such as"),
    ({"pythons": "3.12"}, "_conventions.pythons: '3.12' is not"),
    ({"pythons": ["3.9", "3.12"]}, "from 3.11 on"),
    ({"pythons": ["3.13", "3.12"]}, "the oldest first"),
    ({"pythons": ["3.x"]}, "from 3.11 on"),
    ({"line_length": 300}, "_conventions.line_length: 300 is not a number from 88 to 120"),
    ({"license": "Apache 2.0"}, "_conventions.license: 'Apache 2.0' is not an SPDX expression"),
    ({"license": "MIT OR"}, "_conventions.license: 'MIT OR' is not an SPDX expression"),
    ({"base_image": ""}, "_conventions.base_image: '' is not the name of an image"),
    ({"package_index": "pypi"}, "_conventions.package_index: 'pypi' is not a URL"),
    ({"licence": "MIT"}, "_conventions.licence: there is no such convention"),
]


@pytest.mark.parametrize(("conventions", "words"), WRONG)
def test_wrong_convention(
    fork: Path, capfd: pytest.CaptureFixture[str], conventions: dict[str, object], words: str
) -> None:
    """A convention that cannot work is one line, and nothing is generated."""
    with pytest.raises(FailedHookException):
        bake(fork, VARIANTS[0], conventions)
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("ERROR: cookiecutter.json: ")
    assert words in line
    assert [path.name for path in fork.parent.iterdir()] == ["fork"]


STRAYS = [".DS_Store", ".idea/workspace.xml", "app/.main.py.swp", ".env", "app/__pycache__/x.pyc", "tests/client.py~"]


@pytest.mark.parametrize("in_git", [False, True], ids=["downloaded", "in git"])
def test_strays(fork: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], in_git: bool) -> None:
    """What an editor, a system, or somebody with a password leaves in the template's folder reaches no project."""
    project = fork / "{{cookiecutter.project_slug}}"
    strays = [*STRAYS, "notes.py"] if in_git else STRAYS
    if in_git:
        for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
            execute(command, fork, clean_environment() | NO_GIT_CONFIGURATION)
    bake(fork, VARIANTS[0], {})
    shutil.rmtree(tmp_path / "service")
    capfd.readouterr()
    for name in strays:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("DATABASE_URL=secret", encoding="utf-8")
    with pytest.raises(FailedHookException):
        bake(fork, VARIANTS[0], {})
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("ERROR: the template's folder has files that are not its own: ")
    for name in strays:
        assert name in line or f"{name.rpartition('/')[0]}" in line
    assert [path.name for path in tmp_path.iterdir()] == ["fork"]
    command = [sys.executable, str(shutil.copy(ROOT / "new_project.py", fork)), f"output_dir={tmp_path}/new"]
    assert execute(command, fork, clean_environment(), status=1).splitlines() == [line]
    assert [path.name for path in tmp_path.iterdir()] == ["fork"]


def test_choice_without_its_parts(fork: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A fourth database is not generated before it has all that the other ones have: what is missing is said."""
    context = json.loads((fork / "cookiecutter.json").read_text(encoding="utf-8"))
    context["database"].append("cockroachdb")
    context["_databases"]["cockroachdb"] = context["_databases"]["postgresql"] | {"title": "CockroachDB"}
    del context["_databases"]["cockroachdb"]["address"]
    context["__database_url"] = ""
    (fork / "cookiecutter.json").write_text(json.dumps(context), encoding="utf-8")
    with pytest.raises(FailedHookException):
        cookiecutter(str(fork), no_input=True, output_dir=tmp_path / "new", extra_context={"database": "cockroachdb"})
    lines = capfd.readouterr().err.splitlines()
    for words in ("no 'address'", "no app/database/dialect.py", "no tests/server.py", "compose.yaml says"):
        assert any(line.startswith("ERROR: database cockroachdb: ") and words in line for line in lines), words
    assert not list((tmp_path / "new").iterdir())


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_parts(variant: Variant) -> None:
    """Each choice of `cookiecutter.json` has its parts, in what is generated and in the tests of it."""
    hook = runpy.run_path(str(ROOT / "hooks" / "pre_gen_project.py"))
    assert list(hook["missing_parts"](ROOT, variant.answers)) == []
    for choice in vars(variant).values():
        assert choice in WITH, f"{choice}: say in WITH of tests/test_variants.py which files are for it alone"
    if "port" in table_of(variant.database):
        assert variant.database in SERVERS, f"{variant.database}: say in tests/conftest.py where its server is"


def table_of(database: str) -> dict[str, object]:
    """Return what `cookiecutter.json` says of a database."""
    return json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_databases"][database]


@pytest.mark.slow
def test_checks_of_a_fork(tmp_path: Path) -> None:
    """A fork named after Cookiecutter adds a license and a picture: only what has to be listed is asked for."""
    ignored = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "examples")
    fork = Path(shutil.copytree(ROOT, tmp_path / "fork", ignore=ignored))
    file = fork / "cookiecutter.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(json.dumps(CHANGED_NAME[0]), json.dumps(CHANGED_NAME[1])), encoding="utf-8")
    project = fork / "{{cookiecutter.project_slug}}"
    (project / "LICENSE").write_text("\n\n\n    Our License \n\n", encoding="utf-8")
    checks = ["text", "copies", "files", "parts"]
    expression = f"({' or '.join(checks)}) and (sqlite-async-alembic or copies)"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", expression]
    command += ["tests/test_variants.py", "tests/test_conventions.py"]
    execute(command, fork, clean_environment())
    (project / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff")
    (project / "app" / "ours.py").write_text('"""Ours."""\n', encoding="utf-8")
    output = execute(command, fork, clean_environment(), status=1)
    assert "app/ours.py has no tags: list it in _copy_without_render of cookiecutter.json" in output
    assert "list these in COMMON or WITH of tests/test_variants.py" in output
    assert "2 failed" in output


CHANGED_NAME = ("cookiecutter-fastapi-sqlalchemy", "acme-cookiecutter")


def test_cuts(project: Project, variant: Variant) -> None:
    """What `make test-mutations` takes out of a variant is there."""
    for cut in (cut for cut in CUTS if cut.variant == str(variant)):
        assert cut.old in (project.path / cut.file).read_text(encoding="utf-8"), cut
