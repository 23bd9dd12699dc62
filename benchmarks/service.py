"""What a request to a generated service costs, beside the same routes written by hand and as tutorials write them.

    make benchmark
    make benchmark database=sqlite engine=sync rounds=5 seconds=4 docs=no
    make benchmark DATABASE_POOL_PRE_PING=false

`wrk` drives three services, one process each, in turns: the template's, the tutorial's (`services/tutorial_*.py`), and
the limit (`services/limit.py`). Ratios are those of one round, since a machine is faster at one time than at another.
"""

import contextlib
import difflib
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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from sqlalchemy.exc import SQLAlchemyError

from benchmarks import report
from new_project import given, overlooked
from tests.databases import drop_databases, sql
from tests.variants import PYTHONS, ROOT, Variant, environment, install, requirements

HERE = Path(__file__).resolve().parent
CONTEXT = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
OPERATIONS = ("get", "list", "post", "patch")
ROWS = 1000
SERVERS = {"postgresql": "postgresql://postgres@127.0.0.1:5432/postgres", "mysql": "mysql://root@127.0.0.1:3306/mysql"}
INSTALL_WRK = "wrk is not installed: apt-get install wrk, dnf install wrk, or brew install wrk"


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
    python: str = "{}.{}".format(*sys.version_info)
    """The version of Python that runs the services."""
    log: str = "on"
    """Whether the server writes its access log, as the Dockerfile has it."""
    pre_ping: str = "off"
    """Whether the tutorial tests each connection before it is used, as the template does by default."""
    docs: str = "yes"
    """Whether the result goes into docs/."""
    other: str = ""
    """The folder of a generated project, of the same variant, to measure beside: before a change, say."""

    @property
    def variant(self) -> Variant:
        """Return the variant to bake."""
        return Variant(self.database, self.engine, self.migrations)


CHOICES = {
    **{name: CONTEXT[name] for name in ("database", "engine", "migrations")},
    "python": PYTHONS,
    "log": ["on", "off"],
    "pre_ping": ["on", "off"],
    "docs": ["yes", "no"],
}


def parse(words: Mapping[str, str]) -> tuple[Options, dict[str, str]]:
    """Return the options, and settings of the template's service.

    Or raise WrongError: a name or a value that does not exist.
    """
    options: dict[str, Any] = {}
    settings = {}
    lines = list(overlooked(Options.__dataclass_fields__, words))
    for name, value in words.items():
        default = getattr(Options, name, None)
        if name.isupper():
            settings[name] = value
        elif default is None or name not in Options.__dataclass_fields__:
            close = difflib.get_close_matches(name, Options.__dataclass_fields__, n=1)
            names = f"did you mean {close[0]}?" if close else f"they are {', '.join(Options.__dataclass_fields__)}"
            lines.append(f"{name}: there is no such option; {names}")
        elif value not in CHOICES.get(name, [value]):
            lines.append(f"{name}: {value!r} is none of {', '.join(CHOICES[name])}")
        elif isinstance(default, int):
            options[name] = int(value) if re.fullmatch(r"\d{1,4}", value) else 0
            if not options[name]:
                lines.append(f"{name}: {value!r} is no whole number above 0")
        else:
            options[name] = value
    if lines:
        raise WrongError("\n".join(lines))
    return Options(**options), settings


@dataclass
class Service:
    """A service that runs, and how to ask it."""

    name: str
    port: int
    process: psutil.Process
    log: Path
    memory: float = 0
    """Mebibytes, before any load."""

    @property
    def paging(self) -> str:
        """Return the parameter that tells where a page begins."""
        return "offset" if self.name == "tutorial" else "after"

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"}
        connection.request(method, f"/api/v1/products{path}", body and json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text.startswith((b"{", b"[")) else text

    def cpu(self) -> float:
        """Return the seconds of CPU time that the process has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def settle(self) -> None:
        """Wait until it has done what was asked for by clients that are gone."""
        quiet, deadline = 0, time.monotonic() + 30
        while quiet < 2 and time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(0.05)
            quiet = quiet + 1 if self.cpu() == before else 0

    def tail(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


class Figures(NamedTuple):
    """One service, one operation, one round."""

    rate: float
    """Requests a second."""
    p50: float
    """Milliseconds."""
    p99: float
    cpu: float
    """Microseconds of the server process, for a request."""
    busy: float
    """The share of a core that it used."""


def measure(service: Service, operation: str, options: Options, seconds: int, seed: int) -> Figures:
    """Load a service for some seconds.

    Or raise WrongError: a request failed.
    """
    limits = f"--threads 1 --connections {options.clients} --duration {seconds}s --timeout 30s".split()
    what = [operation, str(ROWS), service.paging, str(seed)]
    command = ["wrk", *limits, "--script", str(HERE / "load.lua"), f"http://127.0.0.1:{service.port}", "--", *what]
    before = service.cpu()
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    used = service.cpu() - before
    service.settle()
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    if result.returncode or not lines:
        raise WrongError(f"wrk failed:\n{result.stdout}")
    seen = json.loads(lines[-1])
    if seen["failed"] or not seen["requests"]:
        message = f"{service.name}, {operation}: {seen['failed']} of {seen['requests']} requests failed"
        raise WrongError(f"{message}; its log ends:\n{service.tail()}")
    requests, duration = seen["requests"], seen["seconds"]
    return Figures(requests / duration, seen["p50"], seen["p99"], used / requests * 1e6, used / duration)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """Return the environment without what belongs to make, or to somebody's service."""
    ours = ("DATABASE_", "LOG_", "OTEL_", "MAKE", "MFLAGS", "PYTHON", "VIRTUAL_ENV", "UVICORN_", "WEB_CONCURRENCY")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextlib.contextmanager
def serve(name: str, app: str, folder: Path, options: Options, **variables: str) -> Iterator[Service]:
    """Start a service, as the template's Dockerfile does; stop it at the end.

    Or raise WrongError: it does not answer.
    """
    port = free_port()
    command = [str(environment(options.python) / "bin" / "uvicorn"), app, "--port", str(port)]
    command += ["--timeout-graceful-shutdown", "8"] + ["--no-access-log"] * (options.log == "off")
    variables = clean_environment() | {"PYTHONUNBUFFERED": "1"} | variables
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        # A session of its own: Ctrl-C is for us, and we stop it.
        server = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            service = Service(name, port, psutil.Process(server.pid), Path(log.name))
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if service.call("GET", "?limit=1")[0] == 200:
                        break
                if server.poll() is not None or time.monotonic() > deadline:
                    raise WrongError(f"{name} does not start; its log ends:\n{service.tail()}")
                time.sleep(0.05)
            service.memory = service.process.memory_info().rss / 2**20
            yield service
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()


@contextlib.contextmanager
def database(options: Options, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database; drop it at the end.

    Or raise WrongError: there is no server.
    """
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


def bake(options: Options, folder: Path) -> Path:
    """Return the folder of a new project."""
    answers = [f"{name}={value}" for name, value in options.variant.answers.items()]
    command = [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input", "--default-config", *answers]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return copy(folder / str(options.variant), folder / "template")


def copy(project: Path, folder: Path) -> Path:
    """Return a copy of a project, without the settings of a developer: an image has none.

    Or raise WrongError: it is no project.
    """
    if not (project / "app" / "settings.py").is_file():
        raise WrongError(f"{project} is no generated project")
    return shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".env", ".venv", "*.db", "__pycache__"))


def service_settings(settings: Mapping[str, str], project: Path) -> dict[str, str]:
    """Return the variables of the template's service: those of its Dockerfile, and `settings`.

    Or raise WrongError: it knows no such setting.
    """
    known = re.findall(r"^    (\w+): ", (project / "app" / "settings.py").read_text(encoding="utf-8"), re.MULTILINE)
    for name in settings:
        if name.lower() not in known:
            close = difflib.get_close_matches(name, [word.upper() for word in known], n=1)
            raise WrongError(
                f"{name}: the service has no such setting" + "".join(f"; did you mean {w}?" for w in close)
            )
    return {"LOG_FORMAT": "json", **settings}


@contextlib.contextmanager
def running(options: Options, settings: Mapping[str, str]) -> Iterator[list[Service]]:
    """Start all services that can be compared; stop them, and remove what they made."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        projects = {"template": bake(options, folder)}
        if options.other:
            projects["other"] = copy(Path(options.other).expanduser(), folder / "other")
        services = []
        for name, project in projects.items():
            url = stack.enter_context(database(options, folder))
            variables = service_settings(settings if name == "template" else {}, project)
            prepare = [str(environment(options.python) / "bin" / "python"), "-m", "app.database", "prepare"]
            prepared = subprocess.run(
                prepare,
                cwd=project,
                env=clean_environment() | {"DATABASE_URL": url},
                capture_output=True,
                text=True,
                check=False,
            )
            if prepared.returncode:
                raise WrongError(f"{name} cannot prepare its database:\n{prepared.stderr}")
            service = serve(name, "app.main:app", project, options, DATABASE_URL=url, **variables)
            services.append(stack.enter_context(service))
        modules = {"tutorial": f"tutorial_{options.engine}"}
        if options.database == "postgresql":
            modules["limit"] = "limit"
        for name, module in modules.items():
            url = stack.enter_context(database(options, folder))
            if name == "limit":
                url = re.sub(r"\+\w+", "", url)  # asyncpg knows of no other driver
            variables = {"DATABASE_URL": url, "PRE_PING": options.pre_ping}
            service = serve(name, f"{module}:app", HERE / "services", options, **variables)
            services.append(stack.enter_context(service))
        yield services


def shape(value: Any) -> Any:
    """Return what two services must have in common: all but the time of day."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(item) for item in value]
    with contextlib.suppress(TypeError, ValueError):
        datetime.fromisoformat(value)
        return re.sub(r"\d", "0", value)
    return value


def fill(service: Service) -> None:
    """Store the rows, whose ids are then 1, 2, 3 ..."""
    for number in range(ROWS):
        body = {"name": f"Lamp {number}", "description": "Warm light", "price": "19.90", "quantity": number}
        status, product = service.call("POST", "", body)
        if (status, product["id"]) != (201, number + 1):
            raise WrongError(f"{service.name} answers {status} {product} to a POST")


def contract(service: Service) -> dict[str, Any]:
    """Return what a service answers, to be compared with what others do."""
    new = {"name": "Desk", "price": 9.9, "quantity": 3}
    requests: dict[str, tuple[Any, ...]] = {
        "GET one": ("GET", "/7"),
        "list": ("GET", f"?limit=20&{service.paging}=40"),
        "last page": ("GET", f"?limit=20&{service.paging}={ROWS - 5}"),
        "POST": ("POST", "", new),
        "PATCH": ("PATCH", "/8", {"price": "7.50", "description": None}),
        "GET what is not there": ("GET", "/999999"),
        "PATCH what is not there": ("PATCH", "/999999", {"price": 1}),
        "POST without a price": ("POST", "", {"name": "Desk", "quantity": 3}),
        "POST of a negative price": ("POST", "", new | {"price": -1}),
        "PATCH of a long name": ("PATCH", "/9", {"name": "x" * 101}),
    }
    answers = {}
    for title, request in requests.items():
        status, body = service.call(*request)
        answers[title] = (status, shape(body) if status < 300 else None)
    return answers


def compare(services: list[Service], options: Options) -> None:
    """See that all services answer alike.

    Or raise WrongError: they do not.
    """
    expected, *others = [(service.name, contract(service)) for service in services]
    lines = []
    for name, answers in others:
        for title, answer in answers.items():
            ours, theirs = repr(expected[1][title]), repr(answer)
            if options.database != "postgresql":  # whose times have no offset, and less digits, in the tutorial
                ours, theirs = (re.sub(r"'0000-00-00[^']*'", "'time'", text) for text in (ours, theirs))
            if ours != theirs:
                lines.append(f"{title}:\n  {expected[0]} answers {ours}\n  {name} answers {theirs}")
    if lines:
        raise WrongError("The services do not answer alike.\n" + "\n".join(lines))


def packages(options: Options) -> dict[str, str]:
    """Return the versions of what the services run on."""
    driver = CONTEXT["_databases"][options.database][options.engine]["driver"].partition("+")[2]
    names = "fastapi starlette pydantic sqlalchemy uvicorn uvloop httptools".split()
    names += [name for name in ("asyncpg", "psycopg", "aiosqlite", "asyncmy", "pymysql") if name == driver]
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names}}}))"
    command = [str(environment(options.python) / "bin" / "python"), "-c", code]
    versions: dict[str, str] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return versions


def run(options: Options, settings: Mapping[str, str], words: str) -> report.Result:
    """Measure; return all figures."""
    say = f"{options.variant}: {options.rounds} rounds of {options.seconds} s, {options.clients} clients"
    print(f"{say}, access log {options.log}", flush=True)
    if not environment(options.python).exists() and not install(options.python, requirements()):
        raise WrongError(f"Python {options.python} is not installed")
    figures: dict[str, dict[str, list[Figures]]] = {}
    with running(options, settings) as services:
        print("the services run; they are filled, compared, and warmed up", flush=True)
        for service in services:
            fill(service)
        compare(services, options)
        for service in services:
            for operation in OPERATIONS:
                measure(service, operation, options, 1, 0)
        for number in range(options.rounds):
            for operation in OPERATIONS:
                turn = number % len(services)
                for service in services[turn:] + services[:turn]:
                    rows = figures.setdefault(operation, {}).setdefault(service.name, [])
                    rows.append(measure(service, operation, options, options.seconds, number + 1))
                rates = [f"{s.name} {figures[operation][s.name][-1].rate:6.0f}/s" for s in services]
                ratio = figures[operation]["template"][-1].rate / figures[operation]["tutorial"][-1].rate
                title = report.TITLES[operation]
                line = f"round {number + 1}/{options.rounds}  {title:10}  {'  '.join(rates)}  x{ratio:.2f} the tutorial"
                print(line, flush=True)
        memory = {service.name: round(service.memory, 1) for service in services}
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {options.python}"
    return report.Result(
        variant=str(options.variant),
        command=words,
        date=date.today().isoformat(),
        machine=machine,
        rounds=options.rounds,
        seconds=options.seconds,
        clients=options.clients,
        log=options.log,
        versions=packages(options),
        memory=memory,
        figures={o: {n: [report.short(f) for f in rows] for n, rows in by.items()} for o, by in figures.items()},
    )


def main() -> int:
    """Return the exit status: 0, or 1 with a line that says what is wrong."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    words = given(sys.argv[1:])
    try:
        options, settings = parse(words)
        if shutil.which("wrk") is None:
            raise WrongError(INSTALL_WRK)
        given_here = [f"{name}={words[name]}" for name in vars(options) if name in words and name != "docs"]
        command = " ".join(["make benchmark", *given_here, *(f"{name}={value}" for name, value in settings.items())])
        result = run(options, settings, command)
    except WrongError as error:
        print("".join(f"ERROR: {line}\n" for line in str(error).splitlines()), end="", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; what was started is gone", file=sys.stderr)
        return 130
    print(report.table(result))
    if settings or options.other or options.pre_ping == "on":
        print("\nnot kept in docs/, where everybody's default belongs")
    elif options.docs == "yes":
        report.write(result, ROOT / "docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
