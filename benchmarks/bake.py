"""What a bake costs, beside that of a template with one file: the ratio of their CPU times, in one run.

    make benchmark-bake

Both run as `cookiecutter` does, in processes of their own, in turns. The target is a ratio of 1.4 at most.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15


def one_file_template(folder: Path) -> Path:
    """Make the smallest template that renders something."""
    project = folder / "template" / "{{cookiecutter.project_slug}}"
    project.mkdir(parents=True)
    (folder / "template" / "cookiecutter.json").write_text(json.dumps({"project_slug": "one"}))
    (project / "README.md").write_text("# {{cookiecutter.project_slug}}\n")
    return folder / "template"


def cpu_seconds(template: Path, output: Path) -> float:
    """Bake once; return the CPU time of the process and of its hooks."""
    command = [
        sys.executable,
        "-m",
        "cookiecutter",
        str(template),
        "--no-input",
        "--overwrite-if-exists",
        "-o",
        str(output),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print minimum, median and maximum of the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = one_file_template(folder)
        times = [(cpu_seconds(ROOT, folder / "a"), cpu_seconds(small, folder / "b")) for _ in range(ROUNDS + 1)][1:]
    ratios = sorted(ours / theirs for ours, theirs in times)
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"this template  {ours * 1000:6.0f} ms of CPU time")
    print(f"one file       {theirs * 1000:6.0f} ms")
    print(f"ratio          {ratios[0]:.2f} min  {statistics.median(ratios):.2f} median  {ratios[-1]:.2f} max")


if __name__ == "__main__":
    main()
