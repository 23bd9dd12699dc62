"""What a bake costs, beside that of a template with one file: the ratio of their CPU times, in one run."""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.report import in_turns

ROOT = Path(__file__).resolve().parent.parent


def bake(template: Path, output: Path, *options: str) -> dict[str, float]:
    """Bake once, as `cookiecutter` does; return the CPU time of the process and of its hooks."""
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "-f", "-o", str(output), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return {"CPU ms": (usage.ru_utime + usage.ru_stime) * 1000}


def main() -> None:
    """Show the medians and the ratios."""
    with tempfile.TemporaryDirectory() as name:
        small, output = Path(name, "small"), Path(name, "output")
        (small / "{{cookiecutter.project_slug}}").mkdir(parents=True)
        (small / "{{cookiecutter.project_slug}}" / "README.md").write_text("# {{cookiecutter.project_slug}}\n")
        (small / "cookiecutter.json").write_text('{"project_slug": "one"}')
        cases = {
            "one file": partial(bake, small, output / "1"),
            "this template": partial(bake, ROOT, output / "2"),
            "without its hooks": partial(bake, ROOT, output / "3", "--accept-hooks", "no"),
        }
        print(in_turns(cases, 15))


if __name__ == "__main__":
    main()
