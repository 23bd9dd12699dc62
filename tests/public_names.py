"""Public names, on which other people's scripts rely: they are recorded, and none is renamed or removed.

    python -m tests.public_names

adds to `public_names.json` what the variants have beyond it. Answers, settings, targets of make, commands, paths and
methods of HTTP are all public. A file, a name in a module, a target of the template is so by decision: add it by hand.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from cookiecutter.main import cookiecutter

from tests.conftest import MAIN, clean_environment, execute
from tests.variants import ROOT, VARIANTS, Variant, environment

RECORD = "tests/public_names.json"
"""Lists of names: those of the template, of each service, and of the services with one answer."""

IN_SERVICE = """
import importlib, json, sys
from app.main import app
from app.settings import Settings
names = {f"setting {field.upper()}" for field in Settings.model_fields}
paths = app.openapi()["paths"]
names |= {f"http {method.upper()} {path}" for path, operations in paths.items() for method in operations}
for name in sys.argv[1:]:
    module, _, attribute = name.partition(":")
    if hasattr(importlib.import_module(module), attribute):
        names.add(f"name {name}")
print(json.dumps(sorted(names)))
"""


def read_record() -> dict[str, list[str]]:
    """Return what is recorded."""
    return json.loads((ROOT / RECORD).read_text(encoding="utf-8"))


def expected(variant: Variant) -> set[str]:
    """Return the names that a variant is to have."""
    record = read_record()
    return {name for scope in ("service", *vars(variant).values()) for name in record.get(scope, [])}


def targets(makefile: Path) -> set[str]:
    """Return the targets of a Makefile."""
    return {f"make {name}" for name in re.findall(r"^([a-z-]+):", makefile.read_text(encoding="utf-8"), re.MULTILINE)}


def template_names() -> set[str]:
    """Return the public names of the template: answers and choices, and targets of make by decision."""
    names = targets(ROOT / "Makefile") & {*read_record()["template"]}
    for answer, value in json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8")).items():
        if not answer.startswith("_"):
            choices = value if isinstance(value, list) else []
            names |= {f"answer {answer}", *(f"answer {answer}={choice}" for choice in choices)}
    return names


def service_names(project: Path, variant: Variant) -> set[str]:
    """Return the public names of a generated project."""
    by_decision = [name.split(" ", 1) for name in expected(variant)]
    python = str(environment(MAIN) / "bin" / "python")
    command = [python, "-c", IN_SERVICE, *(name for kind, name in by_decision if kind == "name")]
    names = set(json.loads(execute(command, project, clean_environment())))
    names |= {f"path {path}" for kind, path in by_decision if kind == "path" and (project / path).exists()}
    names |= targets(project / "Makefile")
    commands = (project / "app" / "database" / "__main__.py").read_text(encoding="utf-8")
    names |= {f"command python -m app.database {name}" for name in re.findall(r'add_parser\("(\w+)"', commands)}
    server = (project / "tests" / "server.py").read_text(encoding="utf-8")
    return names | {f"setting {name.upper()}" for name in re.findall(r"^    (test_\w+): ", server, re.MULTILINE)}


def scopes_of(variants: list[Variant]) -> list[str]:
    """Return the lists for a name that these variants have."""
    if variants == VARIANTS:
        return ["service"]
    for answer in ("database", "engine", "migrations"):
        choices = list(dict.fromkeys(getattr(variant, answer) for variant in variants))
        if variants == [variant for variant in VARIANTS if getattr(variant, answer) in choices]:
            return choices
    raise SystemExit(f"ERROR: no single answer leads to {', '.join(map(str, variants))}")


def last_release() -> str | None:
    """Return the newest tag before this commit, or None."""
    command = ["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None


def lost_since(tag: str) -> set[str]:
    """Return what was recorded at a tag, and is no longer."""
    command = ["git", "show", f"{tag}:{RECORD}"]
    before = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    record = read_record()
    lost = set()
    for scope, names in before.items():
        kept = {*record.get("service", []), *record.get(scope, [])}
        lost |= {f"{scope}: {name}" for name in names if name not in kept}
    return lost


def main() -> None:
    """Add to the record what is not in it."""
    record = read_record()
    record["template"] = sorted({*record["template"], *template_names()})
    having: dict[str, list[Variant]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS:
            project = cookiecutter(str(ROOT), no_input=True, output_dir=folder, extra_context=variant.answers)
            for name in service_names(Path(project), variant) - expected(variant):
                having.setdefault(name, []).append(variant)
    for name, variants in having.items():
        for scope in scopes_of(variants):
            record[scope] = sorted({*record.get(scope, []), name})
    (ROOT / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
