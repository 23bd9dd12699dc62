"""How the cost of a generated service grows: with rows, routes, workers and data; and what its start costs.

    make benchmark-growth
    make benchmark-growth rows=100000 rounds=3 docs=no

It measures the variant for PostgreSQL with an asynchronous engine. What is compared is measured in turns, in one run.
"""

import contextlib
import http.client
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

from benchmarks import service
from benchmarks.report import table_of_page, text
from benchmarks.service import HERE, INSTALL_WRK, Service, WrongError
from new_project import given, overlooked
from tests.databases import connect, sql
from tests.variants import ROOT, environment, install, requirements

BASE = service.Options()
FEW = 1000
CLIENTS = 8
FEWEST = "import fastapi, uvicorn, pydantic_settings, sqlalchemy.ext.asyncio, sqlalchemy.dialects.postgresql.asyncpg"
FEWEST += ", asyncpg, uvloop, httptools"
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
STATEMENT = """
from app.web.queries import page
from app.models.product import Product
from sqlalchemy.dialects.postgresql.asyncpg import dialect
query = page(Product, "id").params(after={}, limit=21)
print(query.compile(dialect=dialect(), compile_kwargs={{"literal_binds": True}}))
"""
NOTES = {
    "Rows": f"""\
Latency of a page of 20 for {CLIENTS} clients, and CPU time of the server's process for a request. Ratios are to the
first page of {FEW:,} rows. The plan is what EXPLAIN says of the service's own statement.""",
    "Routes": """\
Copies of the router of products, five routes each, included directly in the app. FastAPI asks one router after another
whether a path is its own.""",
    "Workers": """\
64 clients, `uvicorn --workers`. Database and wrk run on the same cores: once all are busy, more workers do not help:
`/health/live` needs no database, and shows what is left for the service.""",
    "Start": """\
Seconds from the start of a process, and its CPU time. Ratios are to the first line; the target is 1.15. The libraries
are all modules that the service has imported when it begins to serve, but its own. The fewest: those of FastAPI,
SQLAlchemy and uvicorn, without Alembic, which knows what the newest migration is, and OpenTelemetry's interface.""",
    "Imports": """\
`python -X importtime`, which takes some time itself; the mean of three runs. Pygments comes with the tools of
development: it is not in the image, and Mako, which Alembic imports, does without.""",
    "Memory": "Resident, after one request.",
    "Bulk insert": "One transaction. Memory is what the process has grown by, at its peak.",
    "Export": """\
Lines are NDJSON, sent while rows are read. Memory is what the server's process has grown by, at its peak. A page takes
a connection while it is read; one query keeps its own until the client has all.""",
}


@dataclass(frozen=True)
class Options:
    """What to measure; `make benchmark-growth name=value` sets each."""

    rows: int = 5_000_000
    """Of the largest table; 100,000 at least."""
    rounds: int = 5
    seconds: int = 1
    docs: str = "yes"
    """Whether the result goes into docs/growth.md."""
    project: str = ""
    """The folder of a generated project, to measure instead of a new one."""


class Table(NamedTuple):
    """One of the results."""

    title: str
    cells: list[list[str]]


class Load(NamedTuple):
    """What requests for one path have cost, for each of them."""

    latency: float
    """Milliseconds."""
    cpu: float
    """Microseconds of the server's first process."""
    rate: float
    """Requests a second."""


def parse(words: dict[str, str]) -> Options:
    """Return the options.

    Or raise WrongError: a name or a value that does not exist.
    """
    options: dict[str, Any] = {}
    for line in overlooked(Options.__dataclass_fields__, words):
        raise WrongError(line)
    for name, value in words.items():
        if name not in Options.__dataclass_fields__:
            raise WrongError(f"{name}: there is no such option; they are {', '.join(Options.__dataclass_fields__)}")
        if isinstance(getattr(Options, name), str):
            options[name] = value
        elif not re.fullmatch(r"[1-9][\d_]{0,10}", value):
            raise WrongError(f"{name}: {value!r} is no whole number above 0")
        else:
            options[name] = int(value)
    if options.get("docs", "yes") not in {"yes", "no"}:
        raise WrongError(f"docs: {options['docs']!r} is none of yes, no")
    if options.get("rows", Options.rows) < 100 * FEW:
        raise WrongError(f"rows: there must be {100 * FEW} at least")
    return Options(**options)


def say(line: str) -> None:
    """Show progress."""
    print(line, flush=True)


def load(server: Service, path: str, seconds: int, clients: int = CLIENTS) -> Load:
    """Send requests for one path.

    Or raise WrongError: one failed.
    """
    url = f"http://127.0.0.1:{server.port}{path}"
    command = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s", url]
    before = server.cpu()
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    used = server.cpu() - before
    server.settle()
    found = re.search(r"(\d+) requests in ([\d.]+)s", result.stdout)
    if found is None or found[1] == "0" or re.search("Non-2xx|Socket errors", result.stdout):
        raise WrongError(f"{path} fails:\n{result.stdout}\nits log ends:\n{server.tail()}")
    number, duration = int(found[1]), float(found[2])
    return Load(duration * clients / number * 1000, used / number * 1e6, number / duration)


def in_turns(what: str, cases: dict[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[Any]]:
    """Measure all cases again and again; return the figures of each."""
    figures: dict[Any, list[Any]] = {name: [] for name in cases}
    for measure in cases.values():
        measure()  # warms it up
    names = list(cases)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            figures[name].append(cases[name]())
        say(f"{what}: round {number + 1}/{rounds}")
    return figures


def spread(ours: list[float], theirs: list[float]) -> list[str]:
    """Return minimum, median and maximum of the ratio, round by round."""
    values = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return [f"{value:.2f}" for value in (values[0], median(values), values[-1])]


@dataclass
class Lab:
    """A project, and what it is measured with."""

    project: Path
    options: Options
    folder: Path

    def python(self, *arguments: str, url: str = "postgresql+asyncpg://nowhere/none") -> str:
        """Run Python in the project; return what it prints. Or raise WrongError: it failed."""
        command = [str(environment(BASE.python) / "bin" / "python"), *arguments]
        variables = service.clean_environment() | {"DATABASE_URL": url, "PYTHONPATH": str(self.project)}
        result = subprocess.run(command, cwd=self.project, env=variables, capture_output=True, text=True, check=False)
        if result.returncode:
            raise WrongError(f"{' '.join(arguments)[:80]} fails:\n{result.stderr[-3000:]}")
        return result.stdout

    @contextlib.contextmanager
    def database(self, rows: int) -> Iterator[str]:
        """Yield the URL of a database that has so many products; drop it at the end."""
        with service.database(BASE, self.folder) as url:
            self.python("-m", "app.database", "prepare", url=url)
            sql(url, "ALTER TABLE products SET UNLOGGED", FILL.format(rows), "VACUUM ANALYZE products")
            yield url

    @contextlib.contextmanager
    def serve(self, url: str, **variables: str) -> Iterator[Service]:
        """Start the service with `growth_app.py` around it."""
        variables |= {"DATABASE_URL": url, "LOG_FORMAT": "json", "PYTHONPATH": str(HERE / "services")}
        with service.serve("template", "growth_app:app", self.project, BASE, **variables) as server:
            yield server


def pages(lab: Lab) -> Table:
    """Measure the first and the last page of tables of three sizes."""
    with contextlib.ExitStack() as stack:
        servers, plans = {}, {}
        for rows in (FEW, 100 * FEW, lab.options.rows):
            say(f"list: a table of {rows:,} rows")
            url = stack.enter_context(lab.database(rows))
            servers[rows] = stack.enter_context(lab.serve(url))
            for after in (0, rows - 21):
                with connect(url) as connection:
                    statement = lab.python("-c", STATEMENT.format(after), url=url)
                    plan = connection.exec_driver_sql(f"EXPLAIN {statement}").scalars().all()
                plans[rows, after] = re.sub(r" *\(cost.*|^[ >-]*", "", plan[1])

        def measure(rows: int, after: int) -> Load:
            path = f"/api/v1/products?limit=20&after={after}" if after else "/api/v1/products?limit=20"
            return load(servers[rows], path, lab.options.seconds)

        cases = {(rows, after): lambda at=(rows, after): measure(*at) for rows in servers for after in (0, rows - 21)}
        figures = in_turns("list", cases, lab.options.rounds)
    cells = [["rows", "page", "ms", "CPU µs", "latency: min", "median", "max", "CPU: median", "plan"]]
    first = figures[FEW, 0]
    for (rows, after), found in figures.items():
        latency = spread([one.latency for one in found], [one.latency for one in first])
        cpu = spread([one.cpu for one in found], [one.cpu for one in first])[1]
        means = [f"{median(one.latency for one in found):.1f}", f"{median(one.cpu for one in found):.0f}"]
        cells.append([f"{rows:,}", "deepest" if after else "first", *means, *latency, cpu, plans[rows, after]])
    return Table("Rows", cells)


def routes(lab: Lab, url: str) -> Table:
    """Measure GET one of the last route of applications of three sizes."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for copies in (0, 8, 38):
            server = stack.enter_context(lab.serve(url, COPIES=str(copies)))
            path = f"/api/copy{copies - 1}/products/7" if copies else "/api/v1/products/7"
            servers[12 + 5 * copies] = (server, path)
        cases: dict[Any, Callable[[], Load]] = {}
        for number, (server, path) in servers.items():
            for at in dict.fromkeys(["/api/v1/products/7", path]):
                cases[number, at] = lambda s=server, p=at: load(s, p, lab.options.seconds)
        figures = in_turns("routes", cases, lab.options.rounds)
    cells = [["routes", "GET one of", "CPU µs", "CPU: min", "median", "max"]]
    first = next(iter(figures.values()))
    for (number, at), found in figures.items():
        place = "the first router" if at.startswith("/api/v1") else "the last router"
        cpu = f"{median(one.cpu for one in found):.0f}"
        cells.append([str(number), place, cpu, *spread([one.cpu for one in found], [one.cpu for one in first])])
    return Table("Routes", cells)


def workers(lab: Lab, url: str) -> Table:
    """Measure the throughput of one to as many workers as there are cores."""
    cores = os.cpu_count() or 1
    with contextlib.ExitStack() as stack:
        numbers = sorted({1, *(2**power for power in range(1, 10) if 2**power < cores), cores})
        servers = {n: stack.enter_context(lab.serve(url, WEB_CONCURRENCY=str(n))) for n in numbers}
        cases: dict[Any, Callable[[], Load]] = {}
        for path in ("/api/v1/products/7", "/health/live"):
            for n, server in servers.items():
                cases[n, path] = lambda s=server, p=path: load(s, p, lab.options.seconds, 64)
        figures = in_turns("workers", cases, lab.options.rounds)
    cells = [["workers", "GET", "requests/s", "min", "median", "max"]]
    for n, path in figures:
        rates, first = ([one.rate for one in figures[of, path]] for of in (n, 1))
        cells.append([str(n), path, f"{median(rates):.0f}", *spread(rates, first)])
    return Table("Workers", cells)


def bulk(lab: Lab, rows: int = 100_000) -> Table:
    """Measure three ways to store many rows."""
    ways = {"chunks": "`execute(insert(Product), [...])`, 1,000 at a time", "insert": "the same, all at once"}
    ways |= {"add": "`session.add` for each"}
    cells = [["100,000 rows, one transaction", "", "seconds", "times the first", "MiB at the peak"]]
    first = 0.0
    for way, title in ways.items():
        with lab.database(1) as url:
            script = str(HERE / "services" / "growth_bulk.py")
            seconds, size = map(float, lab.python(script, way, str(rows), url=url).split())
        say(f"bulk insert: {way} {seconds:.1f} s")
        first = first or seconds
        cells.append([title, "", f"{seconds:.1f}", f"{seconds / first:.1f}", f"+{size:.0f}"])
    return Table("Bulk insert", cells)


def receive(server: Service, path: str, rows: int) -> tuple[float, float, float]:
    """Read an answer; return the seconds, and what CPU time and memory the server has used for it."""
    before, cpu, started = server.process.memory_info().rss, server.cpu(), time.perf_counter()
    sizes, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            sizes.append(server.process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        connection.request("GET", path)
        answer = connection.getresponse()
        found, end = 0, b""
        while block := answer.read1(2**20):
            found += (end + block).count(b'"id":')
            end = block[-4:]  # it may be cut
        connection.close()
    finally:
        done.set()
        watcher.join()
    if found != rows:
        raise WrongError(f"{path} answers {answer.status}, and {found} of {rows} rows; its log ends:\n{server.tail()}")
    return time.perf_counter() - started, server.cpu() - cpu, (max(sizes) - before) / 2**20


def export(lab: Lab, rows: int = 500_000) -> Table:
    """Measure three ways to send all rows."""
    rows = min(rows, lab.options.rows)
    ways = {"pages": "lines, a page of 100 at a time", "cursor": "lines, from one query", "list": "a list"}
    cells = [[f"{rows:,} rows", "", "seconds", "CPU s", "MiB at the peak"]]
    with lab.database(rows) as url:
        for way, title in ways.items():
            with lab.serve(url, DATABASE_STATEMENT_TIMEOUT="120") as server:
                server.call("GET", "?limit=100")
                seconds, cpu, size = receive(server, f"/export/{way}", rows)
            say(f"export: {way} {seconds:.1f} s")
            cells.append([title, "", f"{seconds:.1f}", f"{cpu:.1f}", f"+{size:.0f}"])
    return Table("Export", cells)


class Start(NamedTuple):
    """What a process has taken to come this far, in seconds."""

    clock: float
    cpu: float


def start(lab: Lab, url: str) -> Start:
    """Start the service, as its Dockerfile does; stop it after its first 200."""
    port = service.free_port()
    command = [environment(BASE.python) / "bin" / "uvicorn", "app.main:app", "--port", str(port)]
    variables = service.clean_environment() | {"DATABASE_URL": url, "LOG_FORMAT": "json"}
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=lab.project, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            while time.perf_counter() < began + 60:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("GET", "/health/live")
                    if connection.getresponse().status == 200:
                        clock, times = time.perf_counter() - began, psutil.Process(server.pid).cpu_times()
                        return Start(clock, times.user + times.system)
                time.sleep(0.005)
            raise WrongError("the service does not start")
        finally:
            server.terminate()


def import_only(lab: Lab, statement: str, url: str) -> Start:
    """Start a process that only imports: `statement` lacks one more name."""
    began = time.time()
    ended, cpu = lab.python("-c", f"{statement}time; print(time.time(), time.process_time())", url=url).split()
    return Start(float(ended) - began, float(cpu))


def cold_start(lab: Lab, url: str) -> Table:
    """Measure the start of a process up to its first answer, beside importing what it uses."""
    titles = {
        "libraries": "importing the libraries that it uses",
        "fewest": "importing the fewest that could serve a request",
        "app": "importing `app.main`",
        "start": "up to the first 200 of `/health/live`",
    }
    names = lab.python("-c", LOADED, url=url).split()
    libraries = f"import importlib; [*map(importlib.import_module, {names})]; import "
    cases = {
        "libraries": lambda: import_only(lab, libraries, url),
        "fewest": lambda: import_only(lab, f"{FEWEST}, ", url),
        "app": lambda: import_only(lab, f"{APP}, ", url),
        "start": lambda: start(lab, url),
    }
    figures = in_turns("start", cases, max(lab.options.rounds, 5))
    cells = [["", "", "seconds", "min", "median", "max", "CPU s", "min", "median", "max"]]
    for name, title in titles.items():
        line = [title, ""]
        for column in (0, 1):
            ours, theirs = ([one[column] for one in figures[of]] for of in (name, "libraries"))
            line += [f"{median(ours):.2f}", *spread(ours, theirs)]
        cells.append(line)
    return Table("Start", cells)


def imports(lab: Lab) -> Table:
    """Say which packages `app.main` imports, and how long each takes by itself."""
    command = [environment(BASE.python) / "bin" / "python", "-X", "importtime", "-c", "import uvicorn, app.main"]
    variables = service.clean_environment() | {"DATABASE_URL": "postgresql+asyncpg://nowhere/none"}
    times: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for _ in range(3):
        result = subprocess.run(command, cwd=lab.project, env=variables, capture_output=True, text=True, check=True)
        for own, name in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", result.stderr, re.MULTILINE):
            package = name.partition(".")[0]
            package = "standard library" if package.lstrip("_") in known_names() or package[0] == "_" else package
            times[package] += int(own)
            modules[package] += 1
    total = sum(times.values())
    cells = [["package", "", "modules", "ms by itself", "of all"]]
    cells += [
        [name, "", str(modules[name] // 3), f"{own / 3000:.0f}", f"{own / total:.0%}"]
        for name, own in times.most_common()
        if own / total > 0.005
    ]
    return Table("Imports", cells)


def known_names() -> set[str]:
    """Return the names of the standard library's modules."""
    return {name.lstrip("_") for name in sys.stdlib_module_names}


def memory(lab: Lab, url: str) -> Table:
    """Measure a worker that has answered one request, beside the tutorial's."""
    cells = [["idle worker", "", "MiB"]]
    with service.serve("template", "app.main:app", lab.project, BASE, DATABASE_URL=url) as server:
        cells.append(["template", "", f"{server.memory:.0f}"])
    with (
        service.database(BASE, lab.folder) as empty,
        service.serve("tutorial", "tutorial_async:app", HERE / "services", BASE, DATABASE_URL=empty) as server,
    ):
        cells.append(["tutorial", "", f"{server.memory:.0f}"])
    return Table("Memory", cells)


def run(options: Options) -> Iterator[Table]:
    """Measure all."""
    if not environment(BASE.python).exists() and not install(BASE.python, requirements()):
        raise WrongError(f"Python {BASE.python} is not installed")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        given_project = Path(options.project).expanduser()
        project = service.copy(given_project, folder / "given") if options.project else service.bake(BASE, folder)
        lab = Lab(project, options, folder)
        yield pages(lab)
        with lab.database(FEW) as url:
            yield routes(lab, url)
            yield workers(lab, url)
            yield cold_start(lab, url)
            yield imports(lab)
            yield memory(lab, url)
        yield bulk(lab)
        yield export(lab)


def write(tables: list[Table], command: str) -> None:
    """Keep the results in docs/growth.md."""
    versions = ", ".join(f"{name} {version}" for name, version in service.packages(BASE).items())
    lines = [
        "# How the cost of a service grows",
        "",
        "The variant for PostgreSQL, asynchronous, with Alembic. What is compared is measured in turns; a ratio is of",
        f"one round. `{command}`, {date.today().isoformat()}:",
        f"{os.cpu_count()} cores, {platform.system()}, Python {BASE.python}; {versions}.",
    ]
    for table in tables:
        lines += ["", f"## {table.title}", "", table_of_page(table.cells), "", NOTES[table.title]]
    (ROOT / "docs" / "growth.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Return the exit status: 0, or 1 with a line that says what is wrong."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    words = given(sys.argv[1:])
    tables = []
    try:
        options = parse(words)
        if shutil.which("wrk") is None:
            raise WrongError(INSTALL_WRK)
        for table in run(options):
            tables.append(table)
            print(f"\n{table.title}\n\n{text(table.cells)}\n\n{NOTES[table.title]}\n", flush=True)
    except WrongError as error:
        print("".join(f"ERROR: {line}\n" for line in str(error).splitlines()), end="", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what was started is gone", file=sys.stderr)
        return 130
    if options.docs == "yes":
        given_here = [f"{name}={words[name]}" for name in ("rows", "rounds", "seconds") if name in words]
        write(tables, " ".join(["make benchmark-growth", *given_here]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
