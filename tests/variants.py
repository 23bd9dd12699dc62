"""The variants, and the environments in which they run.

    python -m tests.variants

installs what the generated projects declare, taken from the projects themselves: there is no second list to maintain.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parent.parent
CONTEXT = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
PYTHONS = CONTEXT["_conventions"]["pythons"]
UV = (sys.executable, "-m", "uv")


@dataclass(frozen=True)
class Variant:
    """Answers that tell one variant from another."""

    database: str
    engine: str
    migrations: str

    def __str__(self) -> str:
        return f"{self.database}-{self.engine}-{self.migrations}"

    @property
    def answers(self) -> dict[str, str]:
        """Return the answers that lead to it."""
        return {"project_name": str(self), **vars(self)}


VARIANTS = [
    Variant(*answers) for answers in itertools.product(*(CONTEXT[name] for name in Variant.__dataclass_fields__))
]


def environment(python: str) -> Path:
    """Return the folder of the virtual environment for a version of Python."""
    return ROOT / ".venv" / "pythons" / python


def requirements_of(project: Path) -> set[str]:
    """Return what a generated project declares, for its development too."""
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    return {*pyproject["project"]["dependencies"], *pyproject["dependency-groups"]["dev"]}


def requirements() -> list[str]:
    """Return all that any variant declares."""
    lines = set()
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS:
            options = {"no_input": True, "accept_hooks": False, "output_dir": folder}
            lines |= requirements_of(Path(cookiecutter(str(ROOT), extra_context=variant.answers, **options)))
    return sorted(lines)


def find_python(version: str) -> str | None:
    """Return the path of a Python of this version: on the PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates = [shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python")]
    check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", check], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


def install(version: str, lines: list[str]) -> bool:
    """Make the environment for a version of Python, and tell whether there is such a Python."""
    python = find_python(version)
    if python is None:
        return False
    folder = environment(version)
    subprocess.run([*UV, "venv", "--quiet", "--allow-existing", "--python", python, folder], check=True)
    subprocess.run([*UV, "pip", "install", "--quiet", "--upgrade", "--python", folder, *lines], check=True)
    return True


def main() -> None:
    """Make the environments."""
    lines = requirements()
    versions = [python for python in PYTHONS if install(python, lines)]
    print(f"The variants run on Python {', '.join(versions)}.")


if __name__ == "__main__":
    sys.exit(main())
