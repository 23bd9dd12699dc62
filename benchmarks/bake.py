"""What a bake costs, beside that of a template with one file: the ratio of their CPU times, in one run.

    make benchmark-bake

All run as `cookiecutter` does, in processes of their own, in turns. Without hooks, and with its files copied in place
of rendered, the template shows where its time goes: to two more starts of Python, and to Jinja's compiler.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "{{cookiecutter.project_slug}}"
ROUNDS = 15


def one_file_template(folder: Path) -> Path:
    """Make the smallest template that renders something."""
    (folder / PROJECT).mkdir(parents=True)
    (folder / "cookiecutter.json").write_text(json.dumps({"project_slug": "one"}))
    (folder / PROJECT / "README.md").write_text("# {{cookiecutter.project_slug}}\n")
    return folder


def copying_template(folder: Path) -> Path:
    """Make a copy of this template whose files are copied, but for those with a condition in front of their names."""
    shutil.copytree(ROOT / PROJECT, folder / PROJECT)
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    context["_copy_without_render"] = ["[!{]*"]
    (folder / "cookiecutter.json").write_text(json.dumps(context), encoding="utf-8")
    return folder


def cpu_seconds(template: Path, output: Path, *options: str) -> float:
    """Bake once; return the CPU time of the process and of its hooks."""
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "-f", "-o", str(output), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the medians, and the ratios of each pair."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bakes: dict[str, tuple[Path, *tuple[str, ...]]] = {
            "one file": (one_file_template(folder / "small"),),
            "this template": (ROOT,),
            "without its hooks": (ROOT, "--accept-hooks", "no"),
            "and copied only": (copying_template(folder / "copying"), "--accept-hooks", "no"),
        }
        rounds = [
            [cpu_seconds(template, folder / what, *options) for what, (template, *options) in bakes.items()]
            for _ in range(ROUNDS + 1)
        ][1:]
    for what, times in zip(bakes, zip(*rounds, strict=True), strict=True):
        ratios = sorted(mine / least for mine, (least, *_) in zip(times, rounds, strict=True))
        print(
            f"{what:18} {statistics.median(times) * 1000:5.0f} ms of CPU time   ratio "
            f"{ratios[0]:.2f} min  {statistics.median(ratios):.2f} median  {ratios[-1]:.2f} max"
        )


if __name__ == "__main__":
    main()
