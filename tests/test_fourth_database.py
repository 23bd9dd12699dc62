"""The page on a fourth database names every place in which one of the three is named, and no other."""

import re
from pathlib import PurePosixPath

import pytest

from tests.conftest import clean_environment, execute
from tests.variants import CONTEXT, ROOT, VARIANTS

PAGE = "docs/fourth-database.md"
NAMES = "|".join(sorted({variant.database for variant in VARIANTS}))
DRIVERS = "|".join(
    table[engine]["driver"].partition("+")[2]
    for table in CONTEXT["_databases"].values()
    for engine in CONTEXT["engine"]
)
A_PLACE = re.compile(
    rf"cookiecutter\.database (?:==|!=|in) |[\"'](?:{NAMES})[\"'+:]|\b(?:{DRIVERS})\b|^ +(?:{NAMES}):$", re.MULTILINE
)
"""What is written for one database: a condition, its name as a value, its driver. Prose that names one is no place."""

NO_PLACES = ("docs/", "CHANGELOG.md")
"""Of the template: what was measured, or is over."""


def plain(name: str) -> str:
    """Return the name that a file has in a project, without the conditions in it."""
    return re.sub(r"\{%.*?%\}", "", name).removeprefix("{{cookiecutter.project_slug}}/")


def places_of(section: str) -> list[str]:
    """Return what the first column of each table in a part of the page names."""
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [place for row in rows for place in re.findall(r"`([^`]+)`", row)]


def files_with_names() -> tuple[set[str], set[str]]:
    """Return the files of the project, and of the template, that name a database."""
    names = execute(
        ["git", "-c", "core.quotePath=false", "ls-files", "-co", "--exclude-standard"], ROOT, clean_environment()
    )
    project, template = set(), set()
    for name in names.splitlines():
        path = ROOT / name
        if not path.is_file() or path.suffix == ".svg":
            continue
        if A_PLACE.search(name) or A_PLACE.search(path.read_text(encoding="utf-8")):
            (project if name.startswith("{{") else template).add(plain(name))
    return project, {name for name in template if not name.startswith(NO_PLACES)}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the template is not in a repository")
def test_places() -> None:
    """Each place is on the page, and each on the page is one."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    of_template, rest = text.split("\n## 2. ")
    of_project, tail = rest.split("\n## 5. ")
    listed = places_of(of_project), places_of(of_template + tail)
    for places, files in zip(listed, files_with_names(), strict=True):
        for file in files:
            folders = {f"{folder}/" for folder in PurePosixPath(file).parents}
            assert folders & {*places} or file in places, f"{file} names a database: say on {PAGE} what to write there"
        for place in places:
            found = any(file == place or (place.endswith("/") and file.startswith(place)) for file in files)
            assert found, f"{place} names no database: take it off {PAGE}"
