"""Break the database layer of every variant in six ways, and see whether its own tests notice.

    python -m tests.mutations

prints a table, and fails when a fault was not noticed.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cookiecutter.main import cookiecutter

from tests.conftest import MAIN, clean_environment
from tests.variants import ROOT, VARIANTS, Variant, environment

DEPENDENCY = "app/dependencies/database.py"


def replace(name: str, pattern: str, replacement: str, count: int = 1) -> Callable[[Path], None]:
    """Return a function that edits one file of a project; it fails where there is less to edit."""

    def edit(project: Path) -> None:
        path = project / name
        text, found = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), count=count)
        assert found == count, f"{name}: {pattern}"
        path.write_text(text, encoding="utf-8")

    return edit


def drop_a_column(project: Path) -> None:
    """Take a column out of the migration; where there is none, out of what create_all creates."""
    if (project / "migrations").exists():
        replace(next((project / "migrations" / "versions").glob("*.py")).relative_to(project).as_posix(),
                r'        sa\.Column\("description".*\n', "")(project)  # fmt: skip
    else:
        create = "        Base.metadata.create_all(connection)\n"
        drop = "        connection.exec_driver_sql('ALTER TABLE products DROP COLUMN description')\n"
        replace("app/database/schema.py", re.escape(create), create + drop)(project)


MUTATIONS = {
    "no commit": replace(DEPENDENCY, r"        (await )?session\.commit\(\)\n", ""),
    "commit after the answer": replace(DEPENDENCY, r', scope="function"', ', scope="request"', count=2),
    "no rollback": replace(DEPENDENCY, r"        (await )?session\.rollback\(\)\n", ""),
    "session never closed": replace(DEPENDENCY, r"        (await )?session\.close\(\)\n", "        pass\n"),
    "a column is missing": drop_a_column,
    "startup does not prepare": replace("app/database/startup.py", r"        if prepare:\n", "        if False:\n"),
}


def noticed(project: Path, name: str) -> bool:
    """Break a copy of a project, and tell whether its tests fail."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, project.name)
        shutil.copytree(project, copy)
        MUTATIONS[name](copy)
        command = [environment(MAIN) / "bin" / "python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        result = subprocess.run(command, cwd=copy, env=clean_environment(), capture_output=True, check=False)
        return result.returncode == 1


def bake(variant: Variant, folder: str) -> Path:
    """Generate a project."""
    return Path(cookiecutter(str(ROOT), no_input=True, output_dir=folder, extra_context=variant.answers))


def main() -> int:
    """Print the table, and return 1 when something was not noticed."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        projects = {variant: bake(variant, folder) for variant in VARIANTS}
        cells = {v: [pool.submit(noticed, projects[v], name) for name in MUTATIONS] for v in VARIANTS}
        rows = {variant: [cell.result() for cell in row] for variant, row in cells.items()}
    for number, name in enumerate(MUTATIONS, 1):
        print(number, name)
    print(" " * 28, *(f"{number:>8}" for number in range(1, len(MUTATIONS) + 1)))
    for variant, cells in rows.items():
        print(f"{variant!s:28}", *(f"{'noticed' if cell else 'MISSED':>8}" for cell in cells))
    return 0 if all(map(all, rows.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
