"""Updates: what cruft makes of each variant, and of a service that its team has edited since."""

import json
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from pytest_cookies.plugin import Cookies

from tests import team
from tests.conftest import NO_GIT_CONFIGURATION, Project, clean_environment, execute
from tests.variants import CONTEXT, ROOT, VARIANTS, Variant

pytestmark = pytest.mark.slow

NOT_ITS_FILES = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "examples")
PROJECT = "{{cookiecutter.project_slug}}"
IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")


def run(folder: Path, *command: str, status: int = 0) -> str:
    """Run a command in a folder, and return its output."""
    return execute(command, folder, clean_environment() | NO_GIT_CONFIGURATION, status)


def cruft(folder: Path, *arguments: str, status: int = 0) -> str:
    """Run cruft in a folder."""
    return run(folder, sys.executable, "-m", "cruft", *arguments, status=status)


def commit(folder: Path) -> None:
    """Commit all that is in a folder."""
    run(folder, "git", "add", "--all")
    run(folder, "git", *IDENTITY, "commit", "--quiet", "--message", "Change")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Return a repository with a copy of the template."""
    copy = tmp_path / "template"
    shutil.copytree(ROOT, copy, ignore=NOT_ITS_FILES)
    run(copy, "git", "init", "--quiet")
    commit(copy)
    return copy


def create(template: Path, answers: dict[str, str]) -> Path:
    """Return a new service, as cruft creates it, in a repository of its own."""
    folder = template.parent / "services"
    folder.mkdir()
    cruft(folder, "create", str(template), "--no-input", "--extra-context", json.dumps(answers))
    [service] = folder.iterdir()
    run(service, "git", "init", "--quiet")
    commit(service)
    return service


def update(service: Path, **answers: str) -> str:
    """Update a service, with other answers or with the same ones."""
    other = ("--variables-to-update", json.dumps(answers)) if answers else ()
    return cruft(service, "update", "--skip-apply-ask", *other)


def assert_merged(service: Path, output: str) -> None:
    """Check that nothing is left to be done by hand."""
    status = run(service, "git", "status", "--porcelain")
    assert not re.search(r"^(U.|.U|\?\?|AA|DD) ", status, re.MULTILINE), output + status
    text = run(service, "git", "diff", "--check", "HEAD")
    assert not text, text


def assert_same(service: Path, expected: Path) -> None:
    """Check that a service is what a bake makes; `.env` is its owner's."""
    ignored = {".cruft.json", ".env"}
    found = {path.relative_to(service).as_posix(): path for path in service.rglob("*") if path.is_file()}
    found = {name: path for name, path in found.items() if not name.startswith(".git/") and name not in ignored}
    names = {path.relative_to(expected).as_posix() for path in expected.rglob("*") if path.is_file()}
    assert found.keys() == names - ignored
    for name, path in found.items():
        assert path.read_bytes() == (expected / name).read_bytes(), name


OPPOSITES = [
    dict(zip(choices, [*choices[1:], choices[0]], strict=True)) for choices in map(CONTEXT.get, vars(VARIANTS[0]))
]
"""For each choice the next one."""


def test_cruft(template: Path, variant: Variant, cookies_session: Cookies) -> None:
    """Cruft creates what Cookiecutter does, finds nothing to update, and turns it into another variant, wholly."""
    service = create(template, variant.answers)
    assert_same(service, cookies_session.bake(extra_context=variant.answers).project_path)
    assert "Next" not in cruft(service, "check") + cruft(service, "diff", "--exit-code")
    other = {name: opposite[answer] for (name, answer), opposite in zip(vars(variant).items(), OPPOSITES, strict=True)}
    update(service, **other)
    assert_same(service, cookies_session.bake(extra_context=variant.answers | other).project_path)


def test_link(template: Path, cookies_session: Cookies) -> None:
    """A project that was made without cruft records enough for cruft to take over."""
    made = cookies_session.bake(extra_context=Variant("postgresql", "sync", "create_all").answers).project_path
    service = shutil.copytree(made, template.parent / "service")
    record = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["template"]
    # As docs/development.md says, in a template that has no tags.
    page = (service / "docs" / "development.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^  (cruft link (?:.+\n)+)  ```", page, re.MULTILINE)
    python = f"{sys.executable} -m cruft"
    command = (
        command.replace(".venv/bin/python", sys.executable)
        .replace("cruft", python, 1)
        .replace("ADDRESS-OF-THE-TEMPLATE", shlex.quote(str(template)))
    )
    run(service, "sh", "-c", command.replace("\n  ", "\n"))
    cruft(service, "check")
    cruft(service, "diff", "--exit-code")
    assert json.loads((service / ".cruft.json").read_text(encoding="utf-8"))["context"]["cookiecutter"].items() >= (
        record["answers"].items()
    )


def test_awkward_answers(template: Path) -> None:
    """Answers with quotes come through an update as they were."""
    text = "Bob's \"best\" \\ 'API' \\\" $HOME %s # \U0001f680"
    service = create(template, {"project_name": text, "description": text, "author": text, "project_slug": "a"})
    before = (service / "pyproject.toml").read_text(encoding="utf-8")
    team.replace(template / PROJECT / "README.md", ("## Where to read on\n", "## Further pages\n"))
    commit(template)
    cruft(service, "check", status=1)
    assert_merged(service, update(service))
    assert (service / "pyproject.toml").read_text(encoding="utf-8") == before
    assert "## Further pages\n" in (service / "README.md").read_text(encoding="utf-8")


def change(template: Path, number: int) -> list[tuple[str, str]]:
    """Change the template near what the team has edited; return which words are now in which file."""
    project = template / PROJECT
    setting, before, after = f"database_extra_{number}", "!" * (number - 1), "!" * number
    field = f'    {setting}: int = Field(default=0, description="Extra.")\n'
    place = "\n\n@lru_cache\ndef get_settings"
    team.replace(project / "app" / "settings.py", (place, field + place))
    row, place = f'  ("{setting.upper()}", "0", "Extra."),\n', '  ("DATABASE_POOL_SIZE"'
    team.replace(project / "docs" / "settings.md", (place, row + place))
    heading = "## Where to read on\n\n"
    team.replace(project / "README.md", (heading, f"{heading}Be {number}.\n"))
    place = "DATABASE_POOL_SIZE"
    team.replace(project / ".env.example", (place, f"{setting.upper()}=0\n{place}"))
    routes, sentence = project / "app" / "api" / "routes" / "products.py", "and only those"
    team.replace(routes, (f"{sentence}{before}.", f"{sentence}{after}."))
    team.replace(project / "app" / "models" / "product.py", (f"is sold{before}.", f"is sold{after}."))
    (project / "app" / f"new_{number}.py").write_text(f'"""Module {number}."""\n', encoding="utf-8")
    commit(template)
    return [
        ("app/settings.py", setting),
        ("README.md", f"Be {number}"),
        ("docs/settings.md", setting.upper()),
        (".env.example", setting.upper()),
        ("app/api/routes/products.py", f"{sentence}{after}"),
        ("app/models/product.py", f"is sold{after}"),
        (f"app/new_{number}.py", f"Module {number}"),
    ]


OURS = [("README.md", "The warehouse team"), ("app/models/product.py", "barcode"), (".env", "somewhere.else")]


@pytest.mark.parametrize("variant", [VARIANTS[0]], ids=str)
def test_update(template: Path, variant: Variant) -> None:
    """Changes of the template reach an edited service as a merge: the first ones, and later ones in another clone."""
    service = create(template, variant.answers)
    team.edit(service, variant.engine, variant.migrations)
    commit(service)
    expected = list(OURS)
    for number in (1, 2):
        expected += change(template, number)
        assert "out of date" in cruft(service, "check", status=1)
        assert_merged(service, update(service))
        for name, words in expected:
            assert words in (service / name).read_text(encoding="utf-8"), (name, words)
        cruft(service, "check")
        commit(service)
        clone = template.parent / f"clone-{number}"
        run(template.parent, "git", "clone", "--quiet", service.as_uri(), str(clone))
        shutil.copy(service / ".env", clone)
        service = clone
    Project(service, variant).run("pytest", "-q", "-p", "no:cacheprovider")


@pytest.mark.parametrize("variant", [VARIANTS[0]], ids=str)
def test_update_after_a_resource(template: Path, variant: Variant) -> None:
    """An edited service takes a resource of the version that made it; an update then has no conflict."""
    service = create(template, variant.answers)
    team.edit(service, variant.engine, variant.migrations)
    commit(service)
    command = [str(template / "add.py"), "resource", "name=order", "fields=number:string(20):unique user:references"]
    printed = Project(service, variant).run("python", "-B", *command).partition("\n\nNext:")[0].splitlines()
    status = run(service, "git", "status", "--porcelain", "--untracked-files=all")
    assert sorted(status.splitlines()) == sorted(f"?? {path}" for path in printed)
    commit(service)
    expected = [*OURS, *change(template, 1)]
    assert_merged(service, update(service))
    for name, words in expected:
        assert words in (service / name).read_text(encoding="utf-8"), (name, words)
    Project(service, variant).run("pytest", "-q", "-p", "no:cacheprovider", "tests/test_orders.py")


def test_conflict(template: Path) -> None:
    """A line that both have changed is marked, and neither version of it is lost."""
    service = create(template, {})
    team.replace(service / "app" / "models" / "product.py", ("is sold", "is sold by us"))
    commit(service)
    team.replace(template / PROJECT / "app" / "models" / "product.py", ("is sold", "is for sale"))
    team.replace(template / PROJECT / "README.md", ("## Where to read on\n", "## Further pages\n"))
    commit(template)
    update(service)
    assert "UU app/models/product.py" in run(service, "git", "status", "--porcelain")
    text = (service / "app" / "models" / "product.py").read_text(encoding="utf-8")
    assert text.index("<<<<<<< ours") < text.index("sold by us") < text.index("for sale") < text.index(">>>>>>> theirs")
    assert "## Further pages\n" in (service / "README.md").read_text(encoding="utf-8")


def move_to_alembic(project: Project, existing: str, fresh: str) -> None:
    """Do what the pages of a service ask for: a migration for what the team has added, a mark in each database."""
    output = project.run("python", "-m", "app.database", "prepare", status=1, DATABASE_URL=fresh)
    assert "lacks products.barcode - write a migration" in output
    project.run("alembic", "revision", "--autogenerate", "--message", "barcode", DATABASE_URL=fresh)
    project.run("alembic", "stamp", "head", DATABASE_URL=existing)
    project.run("python", "-m", "app.database", "check", DATABASE_URL=existing)
    assert "No new upgrade operations" in project.run("alembic", "check", DATABASE_URL=existing)


def require(service: Path) -> None:
    """Add dependencies where people do: at the top of the list, in alphabetical order, at the end."""
    file = service / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    first, last = re.search(r"^dependencies = \[\n((?:    .*\n)+)\]", text, re.MULTILINE).span(1)
    lines = text[first:last].splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if line > '    "pillow')
    lines = ['    "boto3>=1",\n', *lines[:place], '    "pillow>=12",\n', *lines[place:], '    "zstandard>=0.1",\n']
    file.write_text(text[:first] + "".join(lines) + text[last:], encoding="utf-8")


SWITCHES = {
    "engine-sync": (Variant("sqlite", "async", "alembic"), {"engine": "sync"}),
    "engine-async": (Variant("postgresql", "sync", "alembic"), {"engine": "async"}),
    "migrations-alembic": (Variant("sqlite", "async", "create_all"), {"migrations": "alembic"}),
    "database-postgresql": (Variant("sqlite", "sync", "alembic"), {"database": "postgresql"}),
}


@pytest.mark.parametrize(("variant", "answers"), SWITCHES.values(), ids=SWITCHES.keys())
def test_switch(
    template: Path, variant: Variant, answers: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An edited service changes an answer as a merge, and its tests pass after what its pages ask for."""
    service = create(template, variant.answers)
    team.edit(service, variant.engine, variant.migrations)
    require(service)
    commit(service)
    existing, fresh = (f"sqlite:///{template.parent}/{name}.db" for name in ("existing", "fresh"))
    if variant.database == "sqlite":
        Project(service, variant).run("python", "-m", "app.database", "prepare", DATABASE_URL=existing)
    assert_merged(service, update(service, **answers))
    assert "somewhere.else" in (service / ".env").read_text(encoding="utf-8")
    project = Project(service, Variant(**vars(variant) | answers))
    mypy = ("mypy", "--cache-dir", str(tmp_path_factory.getbasetemp() / "mypy"))
    if "engine" in answers:
        output = project.run(*mypy, status=1)
        assert set(re.findall(r"^([\w/]+\.py):", output, re.MULTILINE)) == team.OWN_CODE.keys(), output
        team.rewrite(service, variant.engine, answers["engine"])
    if "migrations" in answers:
        move_to_alembic(project, existing, fresh)
    project.run("ruff", "check", "--no-cache")
    project.run("ruff", "format", "--check", "--no-cache")
    project.run(*mypy)
    project.run("pytest", "-q", "-p", "no:cacheprovider")
