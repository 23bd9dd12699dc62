"""The pages of a generated project: README.md, AGENTS.md and docs/, and the code in them."""

import ast
import re
from pathlib import Path
from textwrap import dedent

BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"In `([\w/]+\.py)`(?:(?!```).)*?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"^```python\n(    \w+: .*?)^```", re.MULTILINE | re.DOTALL)
PLACE_OF_A_SETTING = "\n\n@lru_cache\ndef get_settings"


def pages_of(project: Path) -> dict[str, str]:
    """Return the pages of a project, by their paths."""
    paths = [project / "README.md", project / "AGENTS.md", *sorted(project.glob("docs/*.md"))]
    return {path.relative_to(project).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def code_of(page: str) -> list[str]:
    """Return what stands in a page as code: commands without their comments, and what is between backticks."""
    commands = [re.sub(r"(^|\s)#.*", "", code) for language, code in BLOCK.findall(page) if not language]
    lines = [line for code in commands for line in code.splitlines()]
    return [*lines, *re.findall(r"`([^`\n]+)`", BLOCK.sub("", page))]


def map_of(page: str) -> str:
    """Return the drawing of the folders."""
    return page.partition("## The map\n\n```\n")[2].partition("```")[0]


def files_in(pages: dict[str, str]) -> dict[str, str]:
    """Return the files that the pages tell a team to write."""
    return {name: code for page in pages.values() for name, code in FILE.findall(page)}


def fragments_in(pages: dict[str, str]) -> list[str]:
    """Return the code that is no file."""
    files = files_in(pages).values()
    blocks = [code for page in pages.values() for language, code in BLOCK.findall(page) if language == "python"]
    return [dedent(code) for code in blocks if code not in files]


def check_syntax(code: str) -> None:
    """Raise an error unless code can be read, where a coroutine may stand around it."""
    compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)


def write_files(project: Path) -> list[str]:
    """Write the files that the pages have, and the setting that one of them reads; return their names."""
    pages = pages_of(project)
    for name, code in files_in(pages).items():
        (project / name).write_text(code, encoding="utf-8")
    [setting] = SETTING.findall(pages["README.md"])
    settings = project / "app" / "settings.py"
    text = settings.read_text(encoding="utf-8")
    assert text.count(PLACE_OF_A_SETTING) == 1
    text = text.replace(PLACE_OF_A_SETTING, setting + PLACE_OF_A_SETTING)
    settings.write_text(text.replace("PlainValidator, ", "PlainValidator, SecretStr, "), encoding="utf-8")
    return list(files_in(pages))
