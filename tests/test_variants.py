"""Each variant, as it is rendered: its files, its style and types, its own suite, and the service itself."""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from binaryornot.check import is_binary

from tests.conftest import DEAD_PROXY, INSTALLED, SERVERS, Project, need_server, python_of, serve, server_url
from tests.contract import check_contract
from tests.variants import ROOT, VARIANTS, Variant

COMMON = """
    .dockerignore .env .env.example .gitattributes .gitignore .gitlab-ci.yml .pre-commit-config.yaml AGENTS.md
    Dockerfile Makefile README.md compose.yaml pyproject.toml requirements.txt .githooks/pre-commit
    .github/dependabot.yml .github/workflows/ci.yaml app/__init__.py app/api/__init__.py app/api/routes/__init__.py
    app/api/routes/health.py app/api/routes/products.py app/api/routes/users.py app/database/__init__.py
    app/database/__main__.py app/database/creation.py app/database/diagnosis.py app/database/dialect.py
    app/database/engine.py app/database/errors.py app/database/limiter.py app/database/not_ready.py
    app/database/pool.py app/database/schema.py app/database/session.py app/database/slow_queries.py
    app/database/startup.py app/database/transaction.py app/database/url.py app/dependencies/__init__.py
    app/dependencies/database.py app/extensions/__init__.py app/limits.py app/logs.py app/main.py
    app/models/__init__.py app/models/base.py app/models/product.py app/models/rules.py app/models/tracking.py
    app/models/user.py app/schemas/__init__.py app/schemas/base.py app/schemas/product.py app/schemas/types.py
    app/schemas/user.py app/settings.py app/web/__init__.py app/web/lifespan.py app/web/middleware.py
    app/web/problems.py app/web/queries.py app/web/request_fields.py app/web/service.py docs/development.md
    docs/production.md docs/recipes.md docs/schema.md docs/sessions.md docs/settings.md docs/telemetry.md
    docs/when-something-is-wrong.md tests/__init__.py tests/client.py tests/conftest.py tests/guarantees/__init__.py
    tests/guarantees/conftest.py tests/guarantees/own.py tests/guarantees/test_concurrency.py
    tests/guarantees/test_health.py tests/guarantees/test_models.py tests/guarantees/test_problems.py
    tests/guarantees/test_queries.py tests/guarantees/test_routes.py tests/guarantees/test_session.py
    tests/guarantees/test_startup.py tests/guarantees/test_types.py tests/guarantees/test_watch.py tests/resource.py
    tests/server.py tests/test_products.py tests/test_settings.py tests/test_users.py
""".split()
CONVENTIONS = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_conventions"]
OF_A_FORK = [
    *(["CODEOWNERS"] if CONVENTIONS["owners"] else []),
    *(["LICENSE"] if (ROOT / "{{cookiecutter.project_slug}}" / "LICENSE").exists() else []),
]
WITH = {
    "sqlite": ["tests/guarantees/test_sqlite.py"],
    "postgresql": [
        "app/database/hosts.py",
        "app/database/lock.py",
        "app/dependencies/variables.py",
        "docs/replicas.md",
        "tests/guarantees/test_hosts.py",
    ],
    "mysql": [
        "app/database/hosts.py",
        "app/database/lock.py",
        "docs/replicas.md",
        "tests/guarantees/test_hosts.py",
        "tests/sqlite.py",
    ],
    "alembic": [
        "migrations/env.py",
        "migrations/script.py.mako",
        "migrations/versions/2026_11_20_0001_products_and_users.py",
        "tests/guarantees/test_migrations.py",
    ],
    "create_all": [],
    "async": [],
    "sync": ["app/web/cut_short.py", "tests/guarantees/test_threads.py"],
}


def test_files(project: Project, variant: Variant) -> None:
    """There are the files that the variant needs, and no others."""
    found = {path.relative_to(project.path).as_posix() for path in project.files()}
    expected = {*COMMON, *OF_A_FORK, *(name for answer in vars(variant).values() for name in WITH[answer])}
    assert not found - expected, "list these in COMMON or WITH of tests/test_variants.py"
    assert not expected - found, "these are listed in COMMON or WITH of tests/test_variants.py, and are not there"


def test_text(project: Project) -> None:
    """No trace of the template is left: no tags, no stray blank lines, one newline at each end."""
    for path in project.files():
        name = path.relative_to(project.path).as_posix()
        if name == "LICENSE" or is_binary(str(path)):  # somebody else's text, a picture
            continue
        text = path.read_bytes().decode("utf-8").replace(CONVENTIONS["template"], "")
        if name.startswith(".github/workflows/"):  # GitHub has tags of its own
            text = re.sub(r"\$\{\{ \w+\.\w+ \}\}", "x", text)
        assert not re.search(r"\{[%#{]|[%#]\}|cookiecutter", text), name
        assert not re.search(r"[ \t]$|\r", text, re.MULTILINE), name
        assert not text.startswith("\n"), name
        assert text.endswith("\n"), name
        assert not text.endswith("\n\n"), name
        # Of Python, the formatter knows.
        text = re.sub(r"^```python\n.*?^```", "code", text, flags=re.MULTILINE | re.DOTALL)
        assert path.suffix in {".py", ".mako"} or "\n\n\n" not in text, name


def test_copies() -> None:
    """What has no tags is copied: to render it would cost time. A file with a condition in its name cannot be.

    No pattern is that of a folder: Cookiecutter would delete it with all that a team has added, and copy it anew.
    """
    patterns = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_copy_without_render"]
    folder, used = ROOT / "{{cookiecutter.project_slug}}", set()
    for path in (path for path in folder.rglob("*") if "__pycache__" not in path.parts):
        name = path.relative_to(folder).as_posix()
        copied = any(fnmatch(name, pattern) for pattern in patterns)
        if path.is_dir():
            assert not copied, f"{name} is a folder: list its files in _copy_without_render of cookiecutter.json"
            continue
        if is_binary(str(path)):  # Cookiecutter copies it, as it is
            continue
        text = path.read_text(encoding="utf-8")
        has_tags = re.search(r"\{[{%#]", text + name) is not None
        assert copied or has_tags, f"{name} has no tags: list it in _copy_without_render of cookiecutter.json"
        assert not (copied and has_tags), f"{name} has tags: take it out of _copy_without_render of cookiecutter.json"
        assert not (copied and "cookiecutter." in text), (
            f"{name} is copied, so `cookiecutter.` would stay in it: write a tag"
        )
        used |= {pattern for pattern in patterns if fnmatch(name, pattern)}
    stale = set(patterns) - used - {"LICENSE"}  # which a fork may add
    assert not stale, f"_copy_without_render of cookiecutter.json lists what is not there: {stale}"


def test_engine(project: Project, variant: Variant) -> None:
    """A sync project has no trace of the other engine, but where ASGI itself is asynchronous."""
    words = re.compile(r"\bawait\b|\basync\b|\bAsync[A-Z]\w+|sqlalchemy\.ext\.asyncio")
    folder = project.path / "app"
    files = ["web/queries.py", "api/routes/products.py", "api/routes/users.py", "database/engine.py"]
    for path in [
        *(folder / name for name in files),
        folder / "database" / "session.py",
        folder / "database" / "startup.py",
    ]:
        assert bool(words.search(path.read_text())) == (variant.engine == "async"), path


def test_lint(project: Project) -> None:
    """It is free of findings as it is rendered: nothing is fixed first."""
    project.run("ruff", "check", "--no-cache")
    project.run("ruff", "format", "--check", "--no-cache")
    project.run("lint-imports", "--no-logo", "--no-cache")
    project.run("hadolint", "Dockerfile")


@pytest.mark.parametrize("length", [88, 100, 120])
def test_line_length(project: Project, length: int) -> None:
    """No line is wrapped, or joined, by another length, nor written otherwise for a newer Python: a fork may choose."""
    options = (
        "--no-cache",
        "--config",
        f"line-length={length}",
        "--target-version",
        "py314",
    )
    project.run("ruff", "check", *options)
    project.run("ruff", "format", "--check", *options)


@pytest.mark.xdist_group("types")
def test_types(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is strictly typed; one process checks all variants, since what it knows of the libraries is kept."""
    project.run("mypy", "--cache-dir", str(tmp_path_factory.getbasetemp() / "mypy"))


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("compose-spec", "compose.yaml"),
        ("dependabot", ".github/dependabot.yml"),
        ("github-workflows", ".github/workflows/ci.yaml"),
        ("gitlab-ci", ".gitlab-ci.yml"),
    ],
)
def test_schemas(bake: Callable[[Variant], Project], schema: str, name: str) -> None:
    """The files for containers and for CI are what their readers expect, in all variants."""
    projects = [bake(variant) for variant in VARIANTS]
    files = [str(project.path / name) for project in projects]
    projects[0].run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)


SUITE = ("pytest", "-q", "-p", "no:cacheprovider")


def server_of(variant: Variant) -> dict[str, str]:
    """Return the variable that names a real server for the tests of a variant, where they need one."""
    return {} if variant.database == "sqlite" else {"TEST_DATABASE_URL": need_server(variant.database)}


def test_own_suite(project: Project, variant: Variant) -> None:
    """Its own tests pass, on a real server; the variants take turns on the versions of Python that are installed."""
    output = project.run(*SUITE, python=python_of(variant), **server_of(variant), **DEAD_PROXY)
    assert re.search(r"\d{2,} passed", output), output
    assert "NOTE" not in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("python", "variant"),
    [(python, variant) for variant in VARIANTS for python in INSTALLED if python != python_of(variant)],
    ids=str,
    indirect=["variant"],
)
def test_own_suite_on_python(project: Project, python: str) -> None:
    """They pass on the other versions of Python."""
    project.run(*SUITE, python=python)


def run_alone() -> pytest.MarkDecorator:
    """Mark all variants as slow, but for two with each database, and for those that have no server here."""
    chosen = []
    for v in VARIANTS:
        without = v.database in SERVERS and server_url(v.database) is None
        first = (v.engine == "async") == (v.migrations == "alembic")
        chosen.append(pytest.param(v, id=str(v), marks=() if first or without else pytest.mark.slow))
    return pytest.mark.parametrize("variant", chosen, indirect=True)


@run_alone()
def test_own_suite_alone(project: Project, variant: Variant) -> None:
    """They pass with nothing but what they bring, in two processes."""
    output = project.run(*SUITE, "-n", "2")
    assert re.search(r"\d{2,} passed", output), output
    on_sqlite = "NOTE: these tests ran on SQLite" in output
    places = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    has_server = any(shutil.which(name, path=places) for name in ("mariadbd", "mysqld"))
    assert on_sqlite == (variant.database == "mysql" and not has_server)


@pytest.mark.slow
@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.database == "mysql"], ids=str, indirect=True)
def test_own_suite_on_sqlite(project: Project, variant: Variant) -> None:
    """Where there is no MySQL, SQLite stands in; it is said, and so is each test that is left out."""
    output = project.run(*SUITE, TEST_DATABASE_URL="sqlite://")
    assert "NOTE: these tests ran on SQLite" in output
    assert int(re.search(r"(\d+) passed", output)[1]) > 3 * int(re.search(r"(\d+) skipped", output)[1])
    assert output.count("needs MySQL") == output.count("SKIPPED [")


@pytest.mark.slow
def test_coverage(project: Project, variant: Variant, tmp_path: Path) -> None:
    """They reach enough of it, on a real server."""
    variables = {"COVERAGE_FILE": str(tmp_path / "coverage"), **server_of(variant)}
    assert "Required test coverage of 90.0% reached" in project.run(*SUITE, "--cov", **variables)


def test_service(project: Project, database_url: str, variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an empty server to a service: check, prepare, start without leave to prepare, keep the contract, stop."""
    command = ("python", "-m", "app.database")
    output = project.run(*command, "check", status=1, DATABASE_URL=database_url)
    assert "run `python -m app.database prepare`" in output
    assert "Traceback" not in output
    assert "ready in" in project.run(*command, "prepare", DATABASE_URL=database_url)
    for name, value in DEAD_PROXY.items():
        monkeypatch.setenv(name, value)
    settings = {"DATABASE_URL": database_url, "DATABASE_PREPARE_ON_STARTUP": "false", "LOG_FORMAT": "json"}
    with serve(project, **settings) as (client, log):
        check_contract(client)
        text = log.read_text()
    assert all("message" in json.loads(line) for line in text.splitlines())
    for word in ("Traceback", "ERROR", "secret"):
        assert word not in text
    if variant.migrations == "alembic":
        assert "No new upgrade operations" in project.run("alembic", "check", DATABASE_URL=database_url)


def test_dependencies(project: Project) -> None:
    """What is imported is declared."""
    pyproject = tomllib.loads((project.path / "pyproject.toml").read_text())
    declared = {re.split(r"[\[>]", line)[0] for line in pyproject["project"]["dependencies"]}
    assert {"fastapi", "pydantic-settings", "uvicorn"} <= declared
    assert ("alembic" in declared) == (project.variant.migrations == "alembic")


def test_same_bytes(project: Project, variant: Variant, cookies_session: object) -> None:
    """The same answers give the same bytes."""
    again = cookies_session.bake(extra_context=variant.answers).project_path
    for path in (path for path in sorted(Path(again).rglob("*")) if path.is_file()):
        assert path.read_bytes() == (project.path / path.relative_to(again)).read_bytes(), path
