"""The README says what is so."""

import html
import json
import re
from pathlib import Path

import pytest

from tests import examples
from tests.variants import ROOT, VARIANTS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows_of(section: str) -> dict[str, str]:
    """Return the rows of the table in a section."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))


def test_answers() -> None:
    """The table has every answer, its choices and its default."""
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    rows = rows_of("The answers")
    questions = {name: value for name, value in context.items() if not name.startswith("_")}
    assert rows.keys() == questions.keys()
    assert len(questions) == 7
    for name, value in questions.items():
        choices = value if isinstance(value, list) else []
        for choice in choices:
            assert f"`{choice}`" in rows[name]
        assert choices == [] or rows[name].endswith(f"| `{choices[0]}`")
    assert context["__prompts__"].keys() == questions.keys()


def test_conventions() -> None:
    """The table has every convention."""
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    assert rows_of("To make it your team's").keys() == context["_conventions"].keys()


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
        for name in re.findall(r"([\w.-]+(?:/|\.\w+)|Makefile|Dockerfile)(?=  |$)", line):
            assert (project / name).exists() or (project / "app" / name).exists(), name


def test_workflows() -> None:
    """The workflow runs what the README names, on the versions of the conventions."""
    text = Path(ROOT, ".github", "workflows", "test.yaml").read_text(encoding="utf-8")
    assert "run: make test-all" in text
    assert "jq --compact-output ._conventions.pythons cookiecutter.json" in text
    assert not re.search(r"\b3\.\d\d\b", text)


def test_picture() -> None:
    """The picture shows each question, its choices and its default, in order; `make picture` draws it anew."""
    assert "(docs/answers.svg)" in README
    texts = re.findall(r"<text [^>]*>(.*?)</text>", (ROOT / "docs" / "answers.svg").read_text(encoding="utf-8"))
    seen = "".join(html.unescape("".join(texts)).split())
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    labels = context["__prompts__"]
    position = 0
    for number, (name, label) in enumerate(labels.items(), 1):
        value = context[name]
        if isinstance(value, list):
            words = [label["__prompt__"], *(f"{place} - {label[choice]}" for place, choice in enumerate(value, 1))]
        else:
            words = [label] if "{" in value else [label, f"({value})"]
        for text in (f"[{number}/{len(labels)}]", *words):
            found = seen.find("".join(text.split()), position)
            assert found >= 0, f"{text}: not in docs/answers.svg, or not in its place; run `make picture`"
            position = found


def test_examples(tmp_path: Path) -> None:
    """`make examples` generates all variants."""
    examples.main(tmp_path / "examples")
    names = {path.name for path in (tmp_path / "examples").iterdir()}
    assert names == {str(variant).replace("_", "-") for variant in VARIANTS}
