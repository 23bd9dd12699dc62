"""What a request to a generated service costs, beside the same routes written by hand and as tutorials write them.

    make benchmark database=sqlite engine=sync rounds=5 seconds=4 docs=no
    make benchmark DATABASE_POOL_PRE_PING=false TUTORIAL_PRE_PING=true

`wrk` drives three services, one process each, in turns: the template's, the tutorial's (`services/tutorial.py`), and
the limit (`services/limit.py`). Ratios are those of one round, since a machine is faster at one time than at another.
"""

import contextlib
import http.client
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import psutil
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.report import TITLES, Figures, Found, keep, tables
from new_project import given, overlooked
from tests.databases import drop_databases, sql
from tests.variants import CONTEXT, ROOT, Variant, environment, install, requirements

SERVICES = Path(__file__).resolve().parent / "services"
LOAD = SERVICES.parent / "load.lua"
PYTHON = "{}.{}".format(*sys.version_info)
BIN = environment(PYTHON) / "bin"
PATH = "/api/v1/products"
ROWS = 1000
SERVERS = {"postgresql": "postgresql://postgres@127.0.0.1:5432/postgres", "mysql": "mysql://root@127.0.0.1:3306/mysql"}
SYNC = {
    r"\basync (?!def lifespan)|\bawait ": "",
    r"connection\.run_sync\((.+)\)": r"\1(connection)",
    r"from sqlalchemy.ext.asyncio import .+": "from sqlalchemy import create_engine\n"
    "from sqlalchemy.orm import Session, sessionmaker",
    r"AsyncSession": "Session",
    r"async_sessionmaker\(engine, expire_on_commit=False\)": "sessionmaker(engine, autoflush=False)",
    # A connection for each of the 40 threads. With the default pool, 5 and 10 more, this form locks up at 64 clients:
    # all threads wait for connections, whose owners wait for a thread.
    r"create_async_engine\(URL": "create_engine(URL, pool_size=40",
}
"""The words in which a synchronous tutorial differs."""


class WrongError(Exception):
    """What keeps the benchmark from running, in a line or more."""


@dataclass(frozen=True)
class Options:
    """What to measure; `make benchmark name=value` sets each."""

    database: str = "postgresql"
    engine: str = "async"
    migrations: str = "alembic"
    rounds: int = 9
    seconds: int = 2
    clients: int = 64
    docs: str = "yes"
    """Whether the result goes into docs/."""
    other: str = ""
    """The folder of a generated project, of the same variant, to measure beside: before a change, say."""

    @property
    def variant(self) -> Variant:
        """Return the variant to bake."""
        return Variant(self.database, self.engine, self.migrations)


CHOICES = {name: CONTEXT[name] for name in ("database", "engine", "migrations")} | {"docs": ["yes", "no"]}
Kind = TypeVar("Kind")


def parse(kind: type[Kind], words: Mapping[str, str]) -> Kind:
    """Return the options. Or raise WrongError: a name or a value that does not exist."""
    names = {name: field.type for name, field in kind.__dataclass_fields__.items()}
    lines = list(overlooked(names, words))
    for name, value in words.items():
        if name not in names:
            lines.append(f"{name}: there is no such option; they are {', '.join(names)}")
        elif value not in CHOICES.get(name, [value]):
            lines.append(f"{name}: {value!r} is none of {', '.join(CHOICES[name])}")
        elif names[name] is int and not re.fullmatch(r"[1-9]\d{0,8}", value):
            lines.append(f"{name}: {value!r} is no whole number above 0")
    if lines:
        raise WrongError("\n".join(lines))
    return kind(**{name: names[name](value) for name, value in words.items()})


@dataclass
class Service:
    """A service that runs, and how to ask it."""

    name: str
    port: int
    process: psutil.Process
    log: Path
    started: float = 0
    """Seconds from the start of its process to its first answer."""
    memory: float = 0
    """Mebibytes, before any load."""

    @property
    def paging(self) -> str:
        """Return the parameter that tells where a page begins."""
        return "offset" if self.name == "tutorial" else "after"

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        return answer.status, json.loads(text) if text.startswith((b"{", b"[")) else text

    def cpu(self) -> float:
        """Return the seconds of CPU time that the process has used, and those that it has started."""
        times = [process.cpu_times() for process in (self.process, *self.process.children())]
        return float(sum(time.user + time.system for time in times))

    def tail(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])

    def measure(self, operation: str, clients: int, seconds: int, seed: int = 0) -> Figures:
        """Load it for some seconds. Or raise WrongError: a request failed."""
        command = f"wrk --threads 1 --connections {clients} --duration {seconds}s --timeout 30s --script".split()
        command += [str(LOAD), f"http://127.0.0.1:{self.port}", "--", operation, str(ROWS), self.paging, str(seed)]
        before = self.cpu()
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        used = self.cpu() - before
        lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
        if result.returncode or not lines:
            raise WrongError(f"wrk failed:\n{result.stdout}")
        seen = json.loads(lines[-1])
        requests, duration = seen["requests"], seen["seconds"]
        if seen["failed"] or not requests:
            message = f"{self.name}, {operation}: {seen['failed']} of {requests} requests failed"
            raise WrongError(f"{message}; its log ends:\n{self.tail()}")
        quiet, deadline = 0, time.monotonic() + 30
        while quiet < 2 and time.monotonic() < deadline:  # it finishes what clients that are gone have asked for
            before = self.cpu()
            time.sleep(0.05)
            quiet = quiet + 1 if self.cpu() == before else 0
        return Figures(requests / duration, seen["p50"], seen["p99"], used / requests * 1e6, used / duration)


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the environment without what belongs to make, or to somebody's service; and `variables`."""
    ours = ("DATABASE_", "LOG_", "OTEL_", "MAKE", "MFLAGS", "PYTHON", "VIRTUAL_ENV", "UVICORN_", "WEB_CONCURRENCY")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | variables


def python(*arguments: str, folder: Path | None = None, **variables: str) -> str:
    """Run Python as the services do; return what it prints. Or raise WrongError: it failed."""
    where = {"cwd": folder, "env": clean_environment(**variables)}
    result = subprocess.run([str(BIN / "python"), *arguments], **where, capture_output=True, text=True, check=False)
    if result.returncode:
        raise WrongError(f"python {' '.join(arguments)[:80]} fails:\n{result.stderr[-3000:]}")
    return result.stdout


@contextlib.contextmanager
def serve(name: str, app: str, folder: Path, ready: str = PATH, **variables: str) -> Iterator[Service]:
    """Start a service, as the template's Dockerfile does; stop it at the end.

    Or raise WrongError: it does not answer.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [str(BIN / "uvicorn"), app, "--port", str(port), "--timeout-graceful-shutdown", "8"]
    variables = clean_environment(**{"PYTHONUNBUFFERED": "1", "LOG_FORMAT": "json"} | variables)
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        began = time.perf_counter()
        # A session of its own: Ctrl-C is for us, and we stop it.
        server = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            service = Service(name, port, psutil.Process(server.pid), Path(log.name))
            while not service.started:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    service.started = (service.call("GET", ready)[0] == 200) * (time.perf_counter() - began)
                if server.poll() is not None or time.perf_counter() > began + 60:
                    raise WrongError(f"{name} does not start; its log ends:\n{service.tail()}")
                time.sleep(0.005)
            service.memory = service.process.memory_info().rss / 2**20
            yield service
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(15)
            server.kill()


@contextlib.contextmanager
def database(options: Options, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database; drop it at the end. Or raise WrongError: there is no server."""
    driver = CONTEXT["_databases"][options.database][options.engine]["driver"]
    name = f"benchmark_{uuid.uuid4().hex[:12]}"
    if options.database == "sqlite":
        yield f"{driver}:///{folder}/{name}.db"
        return
    variable = f"{options.database.upper()}_URL"
    server = os.environ.get(variable, SERVERS[options.database])
    try:
        sql(server, f"CREATE DATABASE {name}")
    except SQLAlchemyError as error:
        first = str(error).splitlines()[0]
        raise WrongError(f"no {options.database} server, which {variable} may name: {first}") from None
    try:
        yield f"{driver}://{server.partition('://')[2].rpartition('/')[0]}/{name}"
    finally:
        drop_databases(server, name)


def project(options: Options, folder: Path, given_folder: str = "") -> Path:
    """Return a copy of a project, or of a new one, without the settings of a developer: an image has none.

    Or raise WrongError: it is no project, or there is no such Python.
    """
    if not BIN.exists() and not install(PYTHON, requirements()):
        raise WrongError(f"Python {PYTHON} is not installed")
    original = Path(given_folder or folder / "project").expanduser()
    if not given_folder:
        answers = [f"{name}={value}" for name, value in (options.variant.answers | {"project_slug": "project"}).items()]
        command = [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--default-config", *answers]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    if not (original / "app" / "settings.py").is_file():
        raise WrongError(f"{original} is no generated project")
    target = folder / ("given" if given_folder else "new")
    return shutil.copytree(original, target, ignore=shutil.ignore_patterns(".env", ".venv", "*.db", "__pycache__"))


@contextlib.contextmanager
def running(options: Options, settings: dict[str, str]) -> Iterator[list[Service]]:
    """Start all services that can be compared; stop them, and remove what they made."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        apps = {"template": ("app.main:app", project(options, folder))}
        if options.other:
            apps["other"] = ("app.main:app", project(options, folder, options.other))
        tutorial = (SERVICES / "tutorial.py").read_text(encoding="utf-8")
        known = (apps["template"][1] / "app" / "settings.py").read_text(encoding="utf-8")
        for name in settings:
            if f'"{name}"' not in tutorial and f"\n    {name.lower()}: " not in known:
                raise WrongError(f"{name}: the service has no such setting")
        for pattern, replacement in SYNC.items() if options.engine == "sync" else ():
            tutorial = re.sub(pattern, replacement, tutorial)
        (folder / "tutorial.py").write_text(tutorial, encoding="utf-8")
        apps["tutorial"] = ("tutorial:app", folder)
        if options.database == "postgresql":
            apps["limit"] = ("limit:app", SERVICES)
        services = []
        for name, (app, place) in apps.items():
            url = stack.enter_context(database(options, folder))
            if name != "tutorial":
                code = apps["template"][1] if name == "limit" else place
                python("-m", "app.database", "prepare", folder=code, DATABASE_URL=url)
            if name == "limit":
                url = re.sub(r"\+\w+", "", url)  # asyncpg knows of no other driver
            variables = {"DATABASE_URL": url} | (settings if name != "other" else {})
            services.append(stack.enter_context(serve(name, app, place, **variables)))
        yield services


def fill(service: Service) -> None:
    """Store the rows, whose ids are then 1, 2, 3 ..."""
    for number in range(ROWS):
        body = {"name": f"Lamp {number}", "description": "Warm light", "price": "19.90", "quantity": number}
        status, product = service.call("POST", PATH, body)
        if (status, product["id"]) != (201, number + 1):
            raise WrongError(f"{service.name} answers {status} {product} to a POST")


def contract(service: Service) -> dict[str, str]:
    """Return what a service answers to good and bad requests, to be compared with what others do."""
    new = {"name": "Desk", "price": 9.9, "quantity": 3}
    requests: list[tuple[Any, ...]] = [
        ("GET", "/7"),
        ("GET", "?limit=20&paging=40"),
        ("GET", f"?limit=20&paging={ROWS - 5}"),
        ("POST", "", new),
        ("PATCH", "/8", {"price": "7.50", "description": None}),
        ("GET", "/999999"),
        ("PATCH", "/999999", {"price": 1}),
        ("POST", "", {"name": "Desk", "quantity": 3}),
        ("POST", "", new | {"price": -1}),
        ("PATCH", "/9", {"name": "x" * 101}),
    ]
    answers = {}
    for method, path, *body in requests:
        status, answer = service.call(method, PATH + path.replace("paging", service.paging), *body)
        words = json.dumps(answer, sort_keys=True) if status < 300 else ""  # errors have forms of their own
        answers[f"{method} {path} {body}"] = f"{status} " + re.sub(r"\d{4}-\d\d-\d\dT[^\"]+", "time", words)
    return answers


def compare(services: list[Service]) -> None:
    """See that all services answer alike. Or raise WrongError: they do not."""
    expected, *others = [(service.name, contract(service)) for service in services]
    for name, answers in others:
        for request, answer in answers.items():
            if answer != expected[1][request]:
                lines = f"{expected[0]} answers {expected[1][request]}\n{name} answers {answer}"
                raise WrongError(f"The services do not answer alike: {request}\n{lines}")


def packages(options: Options) -> str:
    """Return the machine, and the versions of what the services run on."""
    driver = CONTEXT["_databases"][options.database][options.engine]["driver"].partition("+")[2]
    names = ["fastapi", "starlette", "pydantic", "sqlalchemy", "uvicorn", "uvloop", "httptools", driver]
    code = f"import importlib.metadata as m; print(*[f'{{n}} {{m.version(n)}}' for n in {names}], sep=', ')"
    versions = python("-c", code.replace(", 'pysqlite'", "")).strip()  # which comes with Python
    return f"{os.cpu_count()} cores, {platform.system()}, Python {PYTHON}; {versions}."


def run(words: dict[str, str]) -> None:
    """Measure; show all figures, and keep them in docs/."""
    settings = {name: value for name, value in words.items() if name.isupper()}
    options = parse(Options, {name: value for name, value in words.items() if name not in settings})
    how = f"{options.rounds} rounds of {options.seconds} s, {options.clients} clients"
    print(f"{options.variant}: {how}", flush=True)
    with running(options, settings) as services:
        print("the services run; they are filled, compared, and warmed up", flush=True)
        for service in services:
            fill(service)
        compare(services)
        found: Found = {operation: {service.name: [] for service in services} for operation in TITLES}
        for number in range(options.rounds + 1):
            turn = number % len(services)
            for operation in TITLES:
                for service in services[turn:] + services[:turn]:
                    figures = service.measure(operation, options.clients, options.seconds if number else 1, number)
                    found[operation][service.name] += [figures] * (number > 0)
            print(f"round {number}/{options.rounds}", flush=True)
        memory = ", ".join(f"{service.name} {service.memory:.0f} MiB" for service in services)
    text = f"Memory before the load: {memory}.\n\n{tables(str(options.variant), found)}"
    print(f"\n{text}")
    if settings or options.other:
        print("\nnot kept in docs/, where everybody's default belongs")
    elif options.docs == "yes":
        command = " ".join(["make benchmark", *(f"{name}={words[name]}" for name in words if name != "docs")])
        head = f"`{command}`, {date.today().isoformat()}: {how}. {packages(options)}"
        keep(ROOT / "docs" / "benchmark.md", str(options.variant), f"{head}\n\n{text}")


def main(command: Callable[[dict[str, str]], None]) -> int:
    """Return the exit status: 0, or 1 with a line that says what is wrong."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if shutil.which("wrk") is None:
            raise WrongError("wrk is not installed: apt-get install wrk, dnf install wrk, or brew install wrk")
        command(given(sys.argv[1:]))
    except WrongError as error:
        print("".join(f"ERROR: {line}\n" for line in str(error).splitlines()), end="", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what was started is gone", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(run))
