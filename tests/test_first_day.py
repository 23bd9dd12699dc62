"""The first day of a team: the samples go, its own resources come; lint and suite are green after each step.

The resources come by `make resource`; what that does not know, such as a rule, is written by hand.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from difflib import ndiff
from pathlib import Path

import pytest

from tests import first_day
from tests.conftest import Project, only
from tests.team import replace, written_for
from tests.test_gates import lint_commands
from tests.test_resource import run
from tests.test_variants import SUITE, server_of

pytestmark = pytest.mark.slow

NOT_WRITTEN = {".env", ".coverage"}
"""What is made by the way."""


def write(project: Project, files: Mapping[str, str]) -> None:
    """Write files for a project's engine."""
    for name, text in files.items():
        path = project.path / name
        path.parent.mkdir(exist_ok=True)
        own = written_for(project.variant.engine, text)
        if project.variant.engine == "sync":
            own = own.replace("    asyncio.run(main())\n", "    main()\n").replace("import asyncio\n", "")
        path.write_text(own, encoding="utf-8")


def delete_samples(project: Project) -> None:
    """Delete them, their tests and the migration that makes their tables."""
    versions = (project.path / "migrations" / "versions").glob("*.py")
    for path in (*(project.path / name for name in first_day.SAMPLES), *versions):
        path.unlink()


def add_resources(project: Project) -> None:
    """Add customers and orders: a key, an enum, a nested read and filters."""
    for answers in first_day.RESOURCES:
        run(project, *answers)


def add_rule(project: Project) -> None:
    """Refuse to change what is shipped, with 409, and list the rest in an order."""
    write(project, first_day.RULE_TEST)
    for name, changes in first_day.RULE.items():
        own = [tuple(written_for(project.variant.engine, text) for text in change) for change in changes]
        replace(project.path / name, *own)


def add_setting(project: Project) -> None:
    """Add a required setting."""
    for name, (place, line) in first_day.SETTING.items():
        replace(project.path / name, (place, line + place))


def ask_for_key(project: Project) -> None:
    """Ask for a key to write."""
    write(project, first_day.KEY)
    for name, changes in first_day.KEY_EDITS.items():
        replace(project.path / name, *changes)


def steps(project: Project) -> Iterator[str]:
    """Take a step after another, and yield what it was."""
    delete_samples(project)
    yield "delete the samples"
    add_resources(project)
    yield "make customers and orders"
    add_rule(project)
    yield "add a rule and an order"
    add_setting(project)
    yield "add a required setting"
    ask_for_key(project)
    yield "ask for a key to write"
    write(project, first_day.TASK)
    yield "add a background task"
    write(project, first_day.SCRIPT)
    yield "add a script"


def contents(project: Project) -> dict[str, list[str]]:
    """Return what somebody has written, file by file; a migration is generated."""
    names = {path.relative_to(project.path).as_posix(): path for path in project.files()}
    return {
        name: path.read_text(encoding="utf-8").splitlines()
        for name, path in names.items()
        if name not in NOT_WRITTEN and not name.startswith("migrations/versions/")
    }


def count(before: dict[str, list[str]], after: dict[str, list[str]]) -> str:
    """Return how many files were touched, and how many lines were written."""
    touched = [name for name in before | after if before.get(name) != after.get(name)]
    lines = [line for name in touched for line in ndiff(before.get(name, []), after.get(name, []))]
    signs = [line[0] for line in lines]
    return f"{len(touched):3} files, {signs.count('+'):4} lines written, {signs.count('-'):4} deleted"


@pytest.fixture
def shop(project: Project, tmp_path: Path) -> Project:
    """Return a copy of a project."""
    return Project(Path(shutil.copytree(project.path, tmp_path / "shop")), project.variant)


@only()
def test_first_day(
    shop: Project, database_url: str, mypy_cache: None, record_property: Callable[[str, object], None]
) -> None:
    """After each step, all is green; each command of the last ones does its work."""
    variant = shop.variant
    before = contents(shop)
    for step in steps(shop):
        after = contents(shop)
        record_property("note", f"{variant!s:28} {step:26} {count(before, after)}")
        shop.run("ruff", "format", "--quiet")
        shop.run("ruff", "check", "--fix-only", "--quiet")
        for command in lint_commands(shop):
            shop.run(*command.split())
        shop.run(*SUITE, **server_of(variant))
        before = contents(shop)
    settings = {"DATABASE_URL": database_url, "API_KEY": "secret"}
    shop.run("python", "-m", "app.database", "prepare", **settings)
    assert "0 orders" in shop.run("python", "-m", "scripts.count_orders", **settings)
    if variant.migrations == "alembic":
        assert "No new upgrade operations" in shop.run("alembic", "check", **settings)
