"""Whether a page of a large table costs what one of a small table does; and what the start of a service costs.

    make benchmark-growth rows=100000 rounds=3 docs=no

It measures the variant for PostgreSQL with an asynchronous engine. What is compared is measured in turns, in one run.
"""

import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from benchmarks import service
from benchmarks.report import in_turns
from benchmarks.service import PATH, Service
from tests.databases import sql
from tests.variants import ROOT

BASE = service.Options()
FEW = 1000
APP = "import uvicorn, uvloop, httptools, app.main"
LOADED = f"""
{APP}, sys
from app.database.engine import get_engine
get_engine()
print(*[name for name in sys.modules if name.partition(".")[0] not in ("__main__", "app")])
"""
FILL = """
INSERT INTO products (name, description, price, quantity)
SELECT 'Lamp ' || n, 'Warm light', 19.90, n % 1000 FROM generate_series(1, {}) AS n
"""
PAGE = """\
# How the cost of a service grows

The variant for PostgreSQL, asynchronous, with Alembic. What is compared is measured in turns; minimum, median and
maximum are those of the ratio to the first line, in the same round. `{}`, {}:
{}

## Rows

{}

A page of 20, for 8 clients. The deepest page is the last one.

## Start

{}

From the start of a process. The libraries are all modules that the service has imported when it begins to serve, but
its own.
"""


@dataclass(frozen=True)
class Options:
    """What to measure; `make benchmark-growth name=value` sets each."""

    rows: int = 5_000_000
    """Of the largest table."""
    rounds: int = 5
    seconds: int = 1
    docs: str = "yes"
    """Whether the result goes into docs/growth.md."""
    project: str = ""
    """The folder of a generated project, to measure instead of a new one."""


@dataclass
class Lab:
    """A project, and what it is measured with; the stack ends what is started."""

    project: Path
    options: Options
    stack: contextlib.ExitStack

    def python(self, *arguments: str, url: str) -> str:
        """Run Python in the project; return what it prints."""
        return service.python(*arguments, folder=self.project, DATABASE_URL=url, PYTHONPATH=str(self.project))

    def database(self, rows: int) -> str:
        """Return the URL of a new database that has so many products."""
        print(f"a table of {rows:,} rows", flush=True)
        url = self.stack.enter_context(service.database(BASE, self.project))
        self.python("-m", "app.database", "prepare", url=url)
        sql(url, "ALTER TABLE products SET UNLOGGED", FILL.format(rows), "VACUUM ANALYZE products")
        return url

    def serve(self, url: str) -> contextlib.AbstractContextManager[Service]:
        """Start the service."""
        return service.serve("template", "app.main:app", self.project, "/health/live", DATABASE_URL=url)

    def read(self, server: Service, path: str) -> dict[str, float]:
        """Read pages for a while."""
        figures = server.measure(path, 8, self.options.seconds)
        return {"p50 ms": figures.p50, "CPU µs": figures.cpu}

    def import_only(self, statement: str, url: str) -> dict[str, float]:
        """Start a process that only imports: `statement` lacks one more name."""
        began = time.time()
        ended, cpu = self.python("-c", f"{statement}time; print(time.time(), time.process_time())", url=url).split()
        return {"seconds": float(ended) - began, "CPU s": float(cpu)}

    def start(self, url: str) -> dict[str, float]:
        """Start the service up to its first 200."""
        with self.serve(url) as server:
            return {"seconds": server.started, "CPU s": server.cpu()}


def rows(lab: Lab) -> str:
    """Measure the first and the last page of tables of three sizes."""
    cases = {}
    for number in (FEW, 100 * FEW, lab.options.rows):
        server = lab.stack.enter_context(lab.serve(lab.database(number)))
        cases[f"{number:,}, first page"] = partial(lab.read, server, f"{PATH}?limit=20")
        cases[f"{number:,}, deepest page"] = partial(lab.read, server, f"{PATH}?limit=20&after={number - 21}")
    return in_turns(cases, lab.options.rounds)


def start(lab: Lab) -> str:
    """Measure the start of a process up to its first answer, beside importing what it uses."""
    url = lab.database(FEW)
    libraries = (
        f"import importlib; [*map(importlib.import_module, {lab.python('-c', LOADED, url=url).split()})]; import "
    )
    cases = {
        "importing the libraries that it uses": partial(lab.import_only, libraries, url),
        "importing `app.main`": partial(lab.import_only, f"{APP}, ", url),
        "up to the first 200 of `/health/live`": partial(lab.start, url),
    }
    return in_turns(cases, lab.options.rounds)


def run(words: dict[str, str]) -> None:
    """Measure all; show the results, and keep them in docs/growth.md."""
    options = service.parse(Options, words)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        lab = Lab(service.project(BASE, folder, options.project), options, stack)
        results = rows(lab), start(lab)
    command = " ".join(["make benchmark-growth", *(f"{name}={words[name]}" for name in words if name != "docs")])
    page = PAGE.format(command, date.today().isoformat(), service.packages(BASE), *results)
    print(f"\n{page}")
    if options.docs == "yes":
        (ROOT / "docs" / "growth.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(service.main(run))
