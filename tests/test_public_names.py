"""Public names stay: what is recorded is there, what is there is recorded, and what was released stays recorded."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests import public_names
from tests.conftest import Project
from tests.public_names import RECORD, expected, last_release, lost_since, read_record, service_names, template_names
from tests.variants import ROOT, Variant

VERSION = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_version"]


def assert_kept(found: set[str], recorded: set[str]) -> None:
    """Check that what is found is what is recorded."""
    assert not recorded - found, f"renamed or removed, which breaks its users: {sorted(recorded - found)}"
    assert not found - recorded, f"new: `python -m tests.public_names` records {sorted(found - recorded)}"


def test_public_names(project: Project, variant: Variant) -> None:
    """A variant has the names that its users know, and no others that are public."""
    assert_kept(service_names(project.path, variant), expected(variant))


def test_names_of_the_template() -> None:
    """So does the template."""
    assert_kept(template_names(), {*read_record()["template"]})


def test_released_names() -> None:
    """What a release has recorded is recorded still, up to the next major version."""
    tag = last_release()
    if tag is None:
        pytest.skip("no release is tagged here")
    if tag.removeprefix("v").partition(".")[0] == VERSION.partition(".")[0]:
        assert not lost_since(tag)


def test_shrunken_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is taken out of the record is missed: the last release had it."""
    monkeypatch.setattr(public_names, "ROOT", tmp_path)
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    path = tmp_path / RECORD
    path.parent.mkdir()

    def write(**record: list[str]) -> None:
        path.write_text(json.dumps(record), encoding="utf-8")
        for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "x")):
            subprocess.run([*git, *command], cwd=tmp_path, check=True)

    write(service=["make run"], alembic=["path a", "path b", "path c"])
    assert last_release() is None
    subprocess.run([*git, "tag", "v1.0.0"], cwd=tmp_path, check=True)
    write(service=["make run", "make new", "path b"], alembic=["path a"])
    assert last_release() == "v1.0.0"
    assert lost_since("v1.0.0") == {"alembic: path c"}


def test_versions() -> None:
    """The newest version of the changelog is that of the template; a tagged commit has its tag's."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    releases = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}", line) for line in headings]
    assert all(releases[1:]), headings
    assert releases[0] or headings[0] == "[Unreleased]", headings
    versions = [release[1] for release in releases if release]
    assert versions[0] == VERSION
    assert versions == sorted(versions, key=lambda version: [int(n) for n in version.split(".")], reverse=True)
    command = ["git", "tag", "--points-at", "HEAD", "--list", "v*"]
    tags = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert not tags or f"v{VERSION}" in tags
