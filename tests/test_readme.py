"""The README says what is so."""

import json
import re
from pathlib import Path

import pytest

from tests.variants import PYTHONS, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_answers() -> None:
    """The table has every answer, its choices and its default."""
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", README, re.MULTILINE))
    questions = {name: value for name, value in context.items() if not name.startswith("_")}
    assert rows.keys() == questions.keys()
    assert len(questions) == 7
    for name, value in questions.items():
        choices = value if isinstance(value, list) else []
        for choice in choices:
            assert f"`{choice}`" in rows[name]
        assert choices == [] or rows[name].endswith(f"| `{choices[0]}`")
    assert context["__prompts__"].keys() == questions.keys()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README, re.MULTILINE))))
def test_commands(target: tuple[str, str]) -> None:
    """Each command is one."""
    commands = (ROOT / "Makefile").read_text(encoding="utf-8")
    generated = (ROOT / "{{cookiecutter.project_slug}}" / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{''.join(target)}:", commands + generated, re.MULTILINE)


def test_tree() -> None:
    """What the tree shows is there."""
    project = ROOT / "{{cookiecutter.project_slug}}"
    tree = README.partition("my-api/\n")[2].partition("```")[0]
    for line in tree.splitlines():
        for name in re.findall(r"([\w.]+(?:/|\.\w+)|Makefile|Dockerfile)(?=  |$)", line):
            assert (project / name).exists() or (project / "app" / name).exists(), name


def test_workflows() -> None:
    """The workflow runs what the README names, on the versions that it names."""
    text = Path(ROOT, ".github", "workflows", "test.yaml").read_text(encoding="utf-8")
    assert "run: make test" in text
    assert re.findall(r'"(3\.\d+)"', text) == PYTHONS
