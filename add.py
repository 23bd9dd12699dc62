"""`make resource`, and what else can be added to a service: new files, and no change to one that is there.

    python add.py resource in=~/my-api name=order fields="number:string(20):unique total:decimal(10,2)"

Each folder of `additions/` is something to add: `questions.py` says which answers it takes, and makes of them what its
`files/` are rendered with. They are rendered aside, formatted by the service's own ruff, since names may be long and
lines are as long as the service has them, and copied when nothing is in the way. A name that renders to nothing is no
file; a file that is there already, with the same bytes, is shared. New models come with a migration.
"""

import difflib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

TEMPLATE = Path(__file__).resolve().parent
ADDITIONS = TEMPLATE / "additions"
FORMAT = [["check", "--fix-only", "--select", "F401"], ["check", "--fix-only", "--select", "I"], ["format"]]
"""Imports that a template lists for all cases; their order; and lines as long as the service has them."""

SHARED = ("__init__.py", "json_object.py")
"""Files of several resources: one that is there serves, whatever a team has made of it."""

FIRST_PARTY = 'lint.isort.known-first-party = ["app", "tests"]'
HAS_TOOLS = "import sys, importlib.util as all; sys.exit(not all.find_spec('ruff') or not all.find_spec('fastapi'))"
REFUSED = 2
"""The status of `migrate.py` where it is the service that has to change first."""


class CannotAddError(Exception):
    """What is wrong, a line for each thing."""

    def __init__(self, *lines: str) -> None:
        """Take the lines."""
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True)
class Service:
    """A service that the template has made."""

    folder: Path
    answers: dict[str, str]
    version: str

    @classmethod
    def find(cls, folder: Path) -> "Service":
        """Return the service in a folder."""
        try:
            pyproject = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
            record = pyproject["tool"]["template"]
            return cls(folder, record["answers"], record["version"])
        except (OSError, KeyError, TypeError, ValueError):
            raise CannotAddError(
                f"in: {folder} has no service of this template: its pyproject.toml says [tool.template]"
            ) from None

    @cached_property
    def python(self) -> str:
        """Return the Python of its environment, in which its tools are."""
        places = (
            self.folder / ".venv" / "bin" / "python",
            self.folder / ".venv" / "Scripts" / "python.exe",
            Path(sys.executable),
        )
        for place in places:
            if place.exists() and subprocess.run([place, "-c", HAS_TOOLS], check=False).returncode == 0:
                return str(place)
        raise CannotAddError(
            f"in: {self.folder} has no .venv with what its development needs: say make lint there, once"
        )

    def run(
        self, *command: str | Path, folder: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of its Python."""
        return subprocess.run(
            [self.python, *command],
            cwd=folder or self.folder,
            env=os.environ | variables,
            text=True,
            capture_output=True,
            check=False,
        )

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Return what is there already."""
        result = self.run("-B", ADDITIONS / "facts.py")
        if result.returncode:
            raise CannotAddError(f"in: the service cannot be imported: {last_line(result.stderr)}")
        return dict(json.loads(result.stdout))

    @property
    def tables(self) -> dict[str, Any]:
        """Return its tables by their names."""
        return dict(self.facts["tables"])

    @property
    def reserved(self) -> set[str]:
        """Return the words that are not to be names, in some database."""
        return set(self.facts["reserved"])


def last_line(text: str) -> str:
    """Return the last line of what a program says, and where that came from."""
    lines = [line for line in text.strip().splitlines() if not line.startswith(("(Background on", "[SQL"))]
    places = re.findall(r'(?m)^ *File "([^"]+)", line (\d+)', text)
    place = f"{places[-1][0]}, line {places[-1][1]}: " if places else ""
    return place + (lines or ["it does not say why"])[-1]


def kinds() -> list[str]:
    """Return what can be added."""
    return sorted(path.parent.name for path in ADDITIONS.glob("*/questions.py"))


def load(kind: str) -> ModuleType:
    """Return the questions of an addition."""
    spec = importlib.util.spec_from_file_location(f"additions_{kind}", ADDITIONS / kind / "questions.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def misspelt(answers: Mapping[str, str], names: list[str]) -> list[str]:
    """Return a line for each answer that nobody asks for."""
    lines = []
    for name in answers:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"they are {', '.join(names)}"
            lines.append(f"{name}: there is no such answer; {hint}")
    return lines


def render(kind: str, context: Mapping[str, Any], service: Service, folder: Path) -> list[str]:
    """Write the files of an addition into a folder, as the service formats its own; return their paths."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  (the service may have none)

    loader = FileSystemLoader([ADDITIONS / kind / "files", TEMPLATE / "templates"])
    env = Environment(
        loader=loader,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,
    )
    values = {**context, "cookiecutter": service.answers}
    paths = []
    for template in sorted(name for name in loader.list_templates() if (ADDITIONS / kind / "files" / name).is_file()):
        path = env.from_string(template).render(values)
        if path.rpartition("/")[2].partition(".")[0]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(env.get_template(template).render(values), encoding="utf-8", newline="\n")
            paths.append(path)
    for command in FORMAT:
        config = ["--quiet", "--no-cache", "--config", service.folder / "pyproject.toml"]
        config += [] if command == ["format"] else ["--config", FIRST_PARTY]
        result = service.run("-m", "ruff", *command, *config, *(folder / path for path in paths))
        if result.returncode:
            raise CannotAddError(f"ruff cannot format what was rendered: {last_line(result.stderr + result.stdout)}")
    shutil.copy(service.folder / "pyproject.toml", folder)
    check = ["check", "--quiet", "--no-cache", "--output-format=concise", *paths]
    result = service.run("-m", "ruff", *check, "--config", FIRST_PARTY, folder=folder)
    if result.returncode:
        lines = (result.stdout or result.stderr).strip().splitlines()
        raise CannotAddError(*(f"what would be written is not lint-clean: {line}" for line in lines[:3]))
    return paths


def in_the_way(paths: list[str], aside: Path, service: Service) -> list[str]:
    """Return a line for each file that is there already, and is another one, or would be hidden."""
    lines = []
    for path in paths:
        there = service.folder / path
        module = there.parent.with_suffix(".py")
        if module.exists():
            name = module.relative_to(service.folder).as_posix()
            lines.append(f"{name}: {path} would hide it: make it {path.rpartition('/')[0]}/__init__.py first")
        elif there.is_symlink() and not there.exists():
            lines.append(f"{path}: it is a link to nothing: take it away")
        elif there.exists() and there.name not in SHARED and there.read_bytes() != (aside / path).read_bytes():
            lines.append(f"{path}: it is there already, and stays as it is: take another name, or move it away")
    return lines


@contextmanager
def copied(paths: list[str], aside: Path, service: Service) -> Iterator[Path]:
    """Copy what a service is imported from, with the new files."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        for folder in ("app", "migrations", "tests"):
            if (service.folder / folder).exists():
                shutil.copytree(service.folder / folder, copy / folder, ignore=ignored, symlinks=True)
        for file in ("pyproject.toml", ".env", ".env.example"):
            if (service.folder / file).exists():
                shutil.copy(service.folder / file, copy / file)
        for path in paths:
            if path.startswith("app/"):
                (copy / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(aside / path, copy / path)
        yield copy


def try_import(paths: list[str], aside: Path, service: Service) -> None:
    """Import the service with the new files.

    Raises:
        CannotAddError: It cannot be imported.

    """
    with copied(paths, aside, service) as copy:
        result = service.run("-B", "-c", "import app.main", folder=copy, PYTHONPATH=str(copy))
        if result.returncode:
            fault = last_line(result.stderr).replace(f"{copy}{os.sep}", "")
            raise CannotAddError(f"the service could not be imported with it: {fault}")


def migrate(paths: list[str], aside: Path, service: Service, message: str) -> tuple[list[str], list[str]]:
    """Write a migration for new models, in a copy of the service; return its path, or what is to be done by hand."""
    by_hand = [f'.venv/bin/alembic revision --autogenerate -m "{message}"', ".venv/bin/alembic upgrade head"]
    with copied([], aside, service) as copy:
        before = set((copy / "migrations" / "versions").glob("*.py"))
        news = [str(aside / path) + "=" + path for path in paths if path.startswith("app/")]
        path = f"{copy}{os.pathsep}{service.folder}"
        result = service.run("-B", ADDITIONS / "migrate.py", message, *news, folder=copy, PYTHONPATH=path)
        made = sorted(set((copy / "migrations" / "versions").glob("*.py")) - before)
        if result.returncode == REFUSED:
            raise CannotAddError(f"in: {last_line(result.stderr)}")
        if result.returncode or len(made) != 1:
            print(f"No migration was made: {last_line(result.stderr)}", file=sys.stderr)
            return [], by_hand
        path = made[0].relative_to(copy).as_posix()
        (aside / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made[0], aside / path)
        return [path], []


def copy_all(paths: list[str], aside: Path, service: Service) -> None:
    """Copy files that are not there, all of them or none."""
    done: list[Path] = []
    try:
        for path in paths:
            target = service.folder / path
            for folder in reversed([one for one in target.parents if not one.exists()]):
                folder.mkdir()
                done.append(folder)
            with target.open("xb") as file:
                done.append(target)
                file.write((aside / path).read_bytes())
    except BaseException:
        for path in reversed(done):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        raise


def add(kind: str, answers: dict[str, str]) -> None:
    """Add something to a service.

    Raises:
        CannotAddError: Nothing was written, and why.

    """
    if kind not in kinds():
        raise CannotAddError(f"{kind}: there is no such addition; there are {', '.join(kinds())}")
    questions = load(kind)
    if lines := misspelt(answers, ["in", *questions.ANSWERS]):
        raise CannotAddError(*lines)
    place = answers.pop("in", "." if Path.cwd() != TEMPLATE else "")
    if not place:
        raise CannotAddError("in: to which service? in=~/my-api")
    service = Service.find(Path(place).expanduser().resolve())
    ours = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["_version"]
    if service.version != ours:
        print(
            f"The service was made by version {service.version} of the template; this one is {ours}.", file=sys.stderr
        )
    context, lines = questions.context(answers, service)
    if lines:
        raise CannotAddError(*lines)
    with tempfile.TemporaryDirectory() as name:
        aside = Path(name)
        paths = render(kind, context, service, aside)
        if lines := in_the_way(paths, aside, service):
            raise CannotAddError(*lines)
        by_hand: list[str] = []
        new = [path for path in paths if not (service.folder / path).exists()]
        if not new:
            raise CannotAddError(f"{kind}: it is there already")
        try_import(new, aside, service)
        if service.answers["migrations"] == "alembic" and any(path.startswith("app/models/") for path in new):
            migrations, by_hand = migrate(new, aside, service, context["message"])
            new += migrations
        copy_all(new, aside, service)
    print("\n".join(new))
    print("\nNext:", *by_hand, "make lint test", "make run", sep="\n    ")


def main() -> int:
    """Return the exit status: 0, or 1 with a line for each thing that is wrong."""
    kind, *answers = sys.argv[1:] or ["nothing"]
    try:
        add(kind, dict(answer.partition("=")[::2] for answer in answers))
    except CannotAddError as fault:
        lines = list(fault.lines)
    except OSError as error:
        lines = [" ".join(str(error).split())]
    except KeyboardInterrupt:
        lines = ["stopped; nothing was written"]
    else:
        return 0
    print("".join(f"ERROR: {line}\n" for line in lines), end="", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
