"""Answers: awkward ones work, useless ones are refused in a line, and nothing is left behind."""

import contextlib
import json
import os
import pty
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException, OutputDirExistsException
from cookiecutter.generate import generate_context
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import prompt_for_config
from cookiecutter.utils import create_env_with_context
from pytest_cookies.plugin import Cookies

import new_project
from tests import team
from tests.conftest import Project, clean_environment
from tests.variants import ROOT, UV, VARIANTS, requirements_of

AWKWARD = {
    "double quotes": 'The "best" API',
    "triple quotes": "A \"\"\" b ''' c",
    "apostrophe": "Bob's API",
    "backslashes": "a\\b\\n\\",
    "braces": "{a} {{ b }} {% c %} {# d #}",
    "percent": "100 %s %(x)s %",
    "hash": "# not a comment",
    "emoji": "\U0001f680 rocket \U0001f469\u200d\U0001f4bb",
    "right to left": "\u0634\u0631\u0643\u0629 \u05e9\u05dc\u05d5\u05dd api",
    "very long": "very " * 300 + "long",
    "injection": '"; __import__("os").system("touch injected") #',
    "shell": "$(touch injected) `touch injected` ; rm -rf x",
    "markup": "<b>&amp;</b> [x](y) *z*",
    "yaml": "- a: [b, {c: &d !e 'f' | > @g",
    "null": "null",
    "number": "1e5",
}


def escaped(answers: dict[str, str]) -> dict[str, str]:
    """Return answers as text that Cookiecutter does not render."""
    return {name: value.replace("{", "{{ '{' }}") for name, value in answers.items()}


@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD.keys())
def test_awkward_text(cookies: Cookies, text: str) -> None:
    """Whatever is in a text, it arrives as it was typed, and the project is as good as any."""
    answers = {"project_name": text, "description": text, "author": text}
    result = cookies.bake(extra_context=escaped(answers))
    assert result.exception is None, result.exception
    project = Project(result.project_path, VARIANTS[0])
    pyproject = tomllib.loads((project.path / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["tool"]["app"]["title"] == text
    assert pyproject["project"]["description"] == text
    assert pyproject["project"]["authors"] == [{"name": text}]
    assert answers.items() <= pyproject["tool"]["template"]["answers"].items()
    project.run("ruff", "check", "--no-cache")
    project.run("ruff", "format", "--check", "--no-cache")
    if text in {AWKWARD["injection"], AWKWARD["emoji"]}:  # the others differ in the file alone that was just read
        program = "import json, app.main as m; print(json.dumps(m.app.openapi()['info']))"
        info = json.loads(project.run("python", "-c", program))
        assert (info["title"], info["description"]) == (text, text)
    assert not list(project.path.rglob("injected"))


@pytest.mark.parametrize("slug", ["a", "3d", "a_b-c", "A1", "x" * 100, "null", "1e5", "app"])
def test_awkward_slug(cookies: Cookies, slug: str) -> None:
    """Any name of a folder and a distribution works, however long it is or odd it looks."""
    variant = VARIANTS[4]  # its name is in the URL, and in the compose file
    result = cookies.bake(extra_context=variant.answers | {"project_slug": slug})
    assert result.exception is None, result.exception
    assert result.project_path.name == slug
    project = Project(result.project_path, variant)
    assert tomllib.loads((project.path / "pyproject.toml").read_text())["project"]["name"] == slug
    project.run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    project.run("ruff", "check", "--no-cache")
    project.run("ruff", "format", "--check", "--no-cache")


def test_derived_slug(cookies: Cookies) -> None:
    """The folder is named after the project, whatever alphabet that is in."""
    for name, slug in {
        "My API": "my-api",
        "Caf\u00e9 & Co.": "cafe-co",
        "\u0434\u0430 API": "da-api",
        "word " * 30: "word-word-word-word-word-word-word-word-word-word",
    }.items():
        assert cookies.bake(extra_context={"project_name": name}).project_path.name == slug


REFUSED = {
    "no name": ({"project_name": " "}, "project_name"),
    "no letters": ({"project_name": "\U0001f680"}, "project_slug"),
    "no slug": ({"project_slug": ""}, "project_slug"),
    "parent": ({"project_slug": ".."}, "project_slug"),
    "space": ({"project_slug": "a b"}, "project_slug"),
    "dash": ({"project_slug": "-rf"}, "project_slug"),
    "letters": ({"project_slug": "\u00e9"}, "project_slug"),
    "length": ({"project_slug": "x" * 101}, "project_slug"),
    "dependency": ({"project_slug": "SQLAlchemy"}, "project_slug"),
    "standard library": ({"project_slug": "json"}, "project_slug"),
    "device": ({"project_slug": "con"}, "project_slug"),
    "newline": ({"description": "a\nb"}, "description"),
    "escape": ({"author": "\x1b[31m"}, "author"),
    "NUL": ({"project_name": "a\x00b", "project_slug": "ab"}, "project_name"),
}


@pytest.mark.parametrize(("answers", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str], answers: dict[str, str], named: str) -> None:
    """What cannot work is refused in one line that names the answer, and nothing is left behind."""
    no_folder = ".." in answers.values() or "" in answers.values()  # so that Cookiecutter does not get to the hook
    with pytest.raises(OutputDirExistsException if no_folder else FailedHookException):
        cookiecutter(str(ROOT), no_input=True, output_dir=str(tmp_path), extra_context=answers)
    assert not list(tmp_path.iterdir())
    if not no_folder:
        [line] = capfd.readouterr().err.splitlines()
        assert line.startswith(f"ERROR: {named}: ")


def test_names_of_dependencies_are_refused(project: Project) -> None:
    """The hook's list has each name that a generated project requires, or it would be too short."""
    source = (ROOT / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    words = set(source.partition('DEPENDENCIES = """')[2].partition('"""')[0].split())
    for line in requirements_of(project.path):
        name = line.partition("[")[0].partition(">")[0]
        assert name in words


def test_stale_list(tmp_path: Path) -> None:
    """The hook fails where a folder that it removes is not there: its list cannot grow stale."""
    hook = (ROOT / "hooks" / "post_gen_project.py").read_text(encoding="utf-8")
    lines = [line for line in hook.splitlines() if "{%" not in line]
    script = tmp_path / "hook.py"
    script.write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / ".env.example").touch()
    command = [sys.executable, script]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert not (tmp_path / "migrations").exists()


def generate(folder: Path, answers: dict[str, str], **options: bool) -> Path:
    """Generate a project in a folder, and return its path."""
    return Path(cookiecutter(str(ROOT), no_input=True, output_dir=str(folder), extra_context=answers, **options))


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in each file of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


CHANGED_ANSWERS = {
    "none": ({}, {}),
    "engine": ({}, {"engine": "sync"}),
    "database": ({}, {"database": "postgresql"}),
    "to create_all": ({}, {"migrations": "create_all"}),
    "to alembic": ({"migrations": "create_all"}, {"migrations": "alembic"}),
}


@pytest.mark.parametrize(("before", "change"), CHANGED_ANSWERS.values(), ids=CHANGED_ANSWERS.keys())
def test_generated_anew(tmp_path: Path, before: dict[str, str], change: dict[str, str]) -> None:
    """`cookiecutter -f` writes the template's files anew: a team's own stay, and nothing of another answer is left."""
    service = generate(tmp_path, before)
    names = contents(service).keys() - {".env"}
    team.edit(service, "async", before.get("migrations", "alembic"))
    for folder in (service, *(path for path in service.rglob("*") if path.is_dir())):
        (folder / "ours.txt").write_text("ours", encoding="utf-8")
    edited = "tests/guarantees/test_migrations.py" if "create_all" in change.values() else "README.md"
    with (service / edited).open("a", encoding="utf-8") as file:
        file.write("# ours\n")
    kept = {edited} if edited.startswith("tests/") else set()
    ours = {name: text for name, text in contents(service).items() if name not in names - kept}
    generate(tmp_path, before | change, overwrite_if_exists=True)
    assert contents(service) == contents(generate(tmp_path / "fresh", before | change)) | ours


def run_hook(folder: Path, changes: dict[str, object], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the first hook in a folder, as cruft does: it does not say where the template is."""
    hook = create_env_with_context({}).from_string((ROOT / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8"))
    context = prompt_for_config(generate_context(str(ROOT / "cookiecutter.json")), no_input=True) | changes
    options = {"cwd": folder, "env": clean_environment() | variables, "capture_output": True, "text": True}
    return subprocess.run([sys.executable, "-c", hook.render(cookiecutter=context)], check=False, **options)


def test_cruft_generates_nothing_over_other_answers(tmp_path: Path) -> None:
    """Where the template cannot be asked what it wrote, nothing is written over a project with other answers."""
    service = generate(tmp_path, {})
    before = contents(service)
    assert run_hook(service, {}).returncode == 0
    result = run_hook(service, {"engine": "sync"})
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "ERROR: here is a project with other answers: say cruft update, or the whole path of the template"
    ]
    assert contents(service) == before


@pytest.mark.parametrize(("version", "status"), [("1.7.3", 1), ("2.1.1", 1), ("2.2.0", 0), ("3.0.0a1", 0)])
def test_version_comes_first(tmp_path: Path, version: str, status: int) -> None:
    """What an old Cookiecutter makes of tables is not complained of: its age is."""
    (tmp_path / "cookiecutter.py").write_text(f"__version__ = {version!r}", encoding="utf-8")
    conventions = {} if status == 0 else {"_conventions": {"line_length": "88"}}
    result = run_hook(tmp_path, conventions, PYTHONPATH=str(tmp_path))
    assert result.returncode == status
    words = [f"ERROR: Cookiecutter {version} is too old for this template: take 2.2 or later"] if status else []
    assert result.stderr.splitlines() == words


@pytest.mark.slow
@pytest.mark.parametrize(("version", "works"), [("2.1.1", False), ("2.2.0", True)])
def test_oldest_cookiecutter(tmp_path: Path, version: str, works: bool) -> None:
    """The oldest Cookiecutter that the README names works as today's does; the one before it leaves nothing."""
    assert "Cookiecutter 2.2 or later" in (ROOT / "README.md").read_text(encoding="utf-8")
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    install = [*UV, "pip", "install", "--quiet", "--python", tmp_path / "venv", f"cookiecutter=={version}"]
    subprocess.run(install, check=True)
    command = [tmp_path / "venv" / "bin" / "cookiecutter", ROOT, "--no-input", "--output-dir", tmp_path / "old"]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (result.returncode == 0) == works, result.stderr
    if works:
        assert contents(tmp_path / "old" / "my-api") == contents(generate(tmp_path, {}))
    else:
        assert result.stderr.startswith("ERROR: Cookiecutter 2.1.1 is too old")
        assert not list((tmp_path / "old").iterdir())


def test_replay(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Answers are given again by `--replay`, but not with the tables of an older template."""
    configuration, record = tmp_path / "configuration.yaml", tmp_path / f"{ROOT.name}.json"
    configuration.write_text(f"replay_dir: {tmp_path}", encoding="utf-8")
    cookiecutter(str(ROOT), no_input=True, output_dir=str(tmp_path / "first"), config_file=str(configuration))
    cookiecutter(str(ROOT), replay=True, output_dir=str(tmp_path / "second"), config_file=str(configuration))
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    record.write_text(record.read_text(encoding="utf-8").replace("3.13-slim", "3.12-slim"), encoding="utf-8")
    capfd.readouterr()
    with pytest.raises(FailedHookException):
        cookiecutter(str(ROOT), replay=True, output_dir=str(tmp_path / "third"), config_file=str(configuration))
    [line] = capfd.readouterr().err.splitlines()
    assert line == "ERROR: --replay: _conventions would be those of an older template: give the answers without it"
    assert not list((tmp_path / "third").iterdir())


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make in the template."""
    command = ["make", "--no-print-directory", *(() if "-f" in arguments else ("new-project",)), *arguments]
    environment = clean_environment() | variables
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, **options)


def test_make_takes_defaults(tmp_path: Path) -> None:
    """Without a terminal, nobody is asked; the next commands are said."""
    result = make(f"output_dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["my-api"]
    assert result.stdout.startswith("\nmy-api: SQLite, async, alembic\n\nNext:\n")
    assert "make run" in result.stdout


def test_make_takes_answers(tmp_path: Path) -> None:
    """Answers on the command line arrive as they were typed."""
    name = 'Bob\'s "100 %" \\ {{ $HOME }} # =,( $$ caf\u00e9\u00a0a\u2003b\u3000c; API'
    result = make(f"output_dir={tmp_path}", f"project_name={name}", "engine=sync")
    assert result.returncode == 0, result.stderr
    [project] = tmp_path.iterdir()
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["app"]["title"] == name
    assert "psycopg" not in (project / "pyproject.toml").read_text()


MAKE_3_81 = """\
include Makefile
BIN := {folder}
.venv/.benchmark: ;
"""
PYTHON_OF_3_81 = """\
#!/bin/sh
# The environment of a recipe, as make 3.81 sets it: without a dash in front of the variables, where there are no flags.
MAKEFLAGS='database=postgresql engine=sync' MFLAGS='' exec {command} "$@"
"""


@pytest.mark.parametrize(
    ("target", "command"),
    [("new-project", sys.executable), ("benchmark", "echo"), ("benchmark-growth", "echo")],
)
def test_make_3_81(tmp_path: Path, target: str, command: str) -> None:
    """Make hands answers over by itself, and not in its flags, whose form differs in the make of macOS."""
    makefile, python, output = tmp_path / "Makefile", tmp_path / "python", tmp_path / "output"
    makefile.write_text(MAKE_3_81.format(folder=tmp_path), encoding="utf-8")
    python.write_text(PYTHON_OF_3_81.format(command=command), encoding="utf-8")
    python.chmod(0o755)
    output.mkdir()
    result = make("-f", str(makefile), target, f"output_dir={output}", "database=postgresql", "engine=sync", "a=b  'c'")
    if command == "echo":
        assert result.stdout.endswith(f" a=b  'c' database=postgresql engine=sync output_dir={output}\n"), result.stderr
        return
    assert result.returncode != 0
    assert result.stderr.startswith("ERROR: a: there is no such answer; ")
    assert not list(output.iterdir())
    result = make("-f", str(makefile), target, f"output_dir={output}", "database:=postgresql", "engine=sync")
    assert "my-api: PostgreSQL, sync, alembic" in result.stdout, result.stderr
    assert 'database = "postgresql"' in (output / "my-api" / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["databse=mysql"], {}, "ERROR: databse: there is no such answer; did you mean database?"),
        (["database", "postgresql"], {}, "database postgresql: there is no such command; an answer is NAME=VALUE"),
        (["project name=x"], {}, "project name=x: there is no such command; an answer is NAME=VALUE"),
        (["author=a\nb"], {}, "author: take the newline out"),
        ([], {"database": "mysql"}, "ERROR: database: it is in the environment; write database=... behind the command"),
    ],
)
def test_make_refuses(tmp_path: Path, arguments: list[str], environment: dict[str, str], words: str) -> None:
    """What make cannot hand over is said in one line, and nothing is left behind."""
    result = make(f"output_dir={tmp_path}", *arguments, **environment)
    assert result.returncode != 0
    [error] = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert words in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("colour=red", "colour: there is no such answer; they are project_name, "),
        ("project-name=x", "project-name: there is no such answer; did you mean project_name?"),
        ("output-dir=x", "output-dir: there is no such answer; did you mean output_dir?"),
        ("database=oracle", "database: 'oracle' is none of sqlite, postgresql, mysql"),
        ("database=", "database: '' is none of sqlite, postgresql, mysql"),
        ("project_slug=json", "standard library"),
        ("project_slug=a/b", "is no folder and distribution name"),
        ("project_slug=", "is no folder and distribution name"),
        ("project_name=\U0001f680", "project_slug: '-' is no folder and distribution name"),
        ("author=a\u0085b", "author: take out the control characters"),
        ("author=a\u2028b", "author: take out the control characters"),
    ],
)
def test_refused_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: str,
    words: str,
) -> None:
    """What is wrong is said in one line; a misspelt answer is not ignored; nothing is left behind."""
    monkeypatch.setattr(sys, "argv", ["new_project.py", f"output_dir={tmp_path}/new", arguments])
    assert new_project.main() == 1
    [error] = capfd.readouterr().err.splitlines()
    assert error.startswith("ERROR: ")
    assert words in error
    assert not list(tmp_path.iterdir())


def test_configuration_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A choice in somebody's configuration of Cookiecutter is taken, or refused, and not dropped."""
    file = tmp_path / "configuration.yaml"
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(file))
    monkeypatch.setattr(sys, "argv", ["new_project.py", f"output_dir={tmp_path}/new"])
    file.write_text("default_context: {author: 17, database: oracle}\n", encoding="utf-8")
    assert new_project.main() == 1
    [error] = capfd.readouterr().err.splitlines()
    assert error.startswith(
        "ERROR: database: 'oracle' is none of sqlite, postgresql, mysql; so says your configuration"
    )
    assert not (tmp_path / "new").exists()
    file.write_text("default_context: {author: 17, database: mysql}\n", encoding="utf-8")
    assert new_project.main() == 0
    assert 'authors = [{ name = "17" }]' in (tmp_path / "new" / "my-api" / "pyproject.toml").read_text(encoding="utf-8")
    assert "my-api: MySQL" in capfd.readouterr().out


def test_make_does_not_overwrite(tmp_path: Path) -> None:
    """A folder that is there stays as it is."""
    (tmp_path / "my-api").mkdir()
    result = make(f"output_dir={tmp_path}")
    assert result.returncode != 0
    assert "already exists" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "my-api").iterdir())


def type_at_prompts(text: str, output: Path) -> tuple[int, str]:
    """Run make in a terminal, type what it asks for; return the exit status, and what is seen."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        ["make", "new-project", f"output_dir={output}"],
        cwd=ROOT, env=clean_environment(), stdin=follower, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    os.write(leader, text.encode())
    seen = b""
    with contextlib.suppress(OSError):  # the terminal is closed
        while part := os.read(leader, 10_000):
            seen += part
    os.close(leader)
    return process.wait(30), seen.decode()


def test_make_asks(tmp_path: Path) -> None:
    """With a terminal, each question is asked, with a label and the default, until its answer can be used."""
    status, seen = type_at_prompts(" \nTyped Name\njson\n\n\n\n2\n2\n2\n", tmp_path)
    assert status == 0, seen
    for words in ("Name of the project", "Folder and distribution name", "Database", "Style of the code"):
        assert words in seen
    assert seen.index("give the project a name") < seen.index("a module of Python's standard library")
    assert seen.count("Name of the project") == seen.count("Folder and distribution name") == 2
    pyproject = (tmp_path / "typed-name" / "pyproject.toml").read_text()
    assert "psycopg" in pyproject
    assert "alembic" not in pyproject


def test_stopped(tmp_path: Path) -> None:
    """Who ends the input at a question, by Ctrl-D, is told that there is nothing; there is no traceback."""
    status, seen = type_at_prompts("Name\n\x04", tmp_path)
    assert status != 0
    assert "ERROR: stopped; nothing was generated" in seen
    assert "Traceback" not in seen
    assert not list(tmp_path.iterdir())


def test_module_is_importable() -> None:
    """Nothing happens when the script is imported."""
    assert "main" in runpy.run_path(str(ROOT / "new_project.py"))
