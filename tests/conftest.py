"""Fixtures: baked variants, database servers, running services; and the table at the end."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

import httpx2
import pytest
from pytest_cookies.plugin import Cookies
from sqlalchemy.exc import DBAPIError

from tests.databases import drop_databases, sql
from tests.variants import PYTHONS, VARIANTS, Variant, environment

MAIN = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The version of Python of this run."""


@cache
def server_url(database: str) -> str | None:
    """Return the URL of a server that lets us in, to make databases, or None."""
    if database == "postgresql":
        url = os.environ.get("POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    elif database == "mysql":
        url = os.environ.get("MYSQL_URL", "mysql://root@127.0.0.1:3306/mysql")
    else:
        return None
    address = re.search(r"@([^:/]+):(\d+)", url)
    assert address, f"{url} has no host and port"
    with contextlib.suppress(OSError, DBAPIError), socket.create_connection((address[1], int(address[2])), timeout=2):
        sql(url, "SELECT 1")
        return url
    return None


def missing(reason: str) -> NoReturn:
    """Skip a test for want of something, or fail it under REQUIRE_SERVERS=1."""
    pytest.fail(reason) if os.environ.get("REQUIRE_SERVERS") else pytest.skip(reason)


def need_server(database: str) -> str:
    """Return the URL of a server, if there is one."""
    return server_url(database) or missing(f"no {database} server that lets us in; {database.upper()}_URL may name one")


def clean_environment() -> dict[str, str]:
    """Return the environment without what belongs to this run, or to somebody's service."""
    ours = ("DATABASE_", "LOG_", "OTEL_", "TEST_DATABASE_", "PYTEST_", "MAKE", "VIRTUAL_ENV")
    ours += ("PYTHONDONTWRITEBYTECODE",)  # what starts so often is to be compiled once
    others = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return others | {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}


HERE = "127.0.0.1,localhost"
"""What no proxy is asked for, whatever the environment says: services of the tests."""
os.environ["no_proxy"] = ",".join(filter(None, (os.environ.get("no_proxy", os.environ.get("NO_PROXY")), HERE)))

DEAD_PROXY = {
    name: url
    for variable, url in {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "NO_PROXY": "example.com",
    }.items()
    for name in (variable, variable.lower())
}
"""Variables that name a proxy which is not there: what goes to this machine itself does not ask it."""

NO_GIT_CONFIGURATION = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
"""Variables under which git does not do what somebody likes it to do on this machine, such as to sign."""


def execute(command: Sequence[str], folder: Path, environment: Mapping[str, str], status: int = 0) -> str:
    """Run a command in a folder; return all that it prints, and fail on another status."""
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == status, f"{' '.join(command)}: status {result.returncode}\n{result.stdout}"
    return result.stdout


@dataclass
class Project:
    """A generated project, and what can be done with it."""

    path: Path
    variant: Variant

    def run(self, *command: str, python: str = MAIN, status: int = 0, **variables: str) -> str:
        """Run a command in the project's folder; return its output, and fail on another status."""
        binaries = environment(python) / "bin"
        program = shutil.which(command[0], path=f"{binaries}{os.pathsep}{Path(sys.executable).parent}")
        return execute([program or command[0], *command[1:]], self.path, clean_environment() | variables, status)

    def files(self) -> Iterator[Path]:
        """Yield the files of the project."""
        made_by_tools = re.compile(r"__pycache__|\.\w+_cache/|\.db|\.(hypothesis|schemathesis)/")
        paths = (path for path in sorted(self.path.rglob("*")) if path.is_file())
        return (path for path in paths if not made_by_tools.search(path.relative_to(self.path).as_posix()))


def only(**answers: tuple[str, ...]) -> pytest.MarkDecorator:
    """Return the mark of a test that is about some variants: `only(database=("sqlite",))`, or all of them: `only()`."""
    chosen = [v for v in VARIANTS if all(getattr(v, name) in values for name, values in answers.items())]
    return pytest.mark.parametrize("variant", [pytest.param(v, id=str(v)) for v in chosen], indirect=True)


SERVERS = ("postgresql", "mysql")
"""The databases that have a server."""


@pytest.fixture(params=only().args[1])
def variant(request: pytest.FixtureRequest) -> Variant:
    """Run the test for each variant."""
    return request.param


@pytest.fixture(scope="session")
def bake(cookies_session: Cookies) -> Callable[[Variant], Project]:
    """Return a function that returns the project of a variant, baked once in each process. Tests leave it as it is."""

    @cache
    def bake(variant: Variant) -> Project:
        result = cookies_session.bake(extra_context=variant.answers)
        assert result.exception is None, result.exception
        return Project(result.project_path, variant)

    return bake


@pytest.fixture
def project(variant: Variant, bake: Callable[[Variant], Project]) -> Project:
    """Return the project of a variant. Tests leave it as it is."""
    if broken := os.environ.get("BROKEN_PROJECT"):  # of tests.mutations
        return Project(Path(broken), variant)
    return bake(variant)


@pytest.fixture
def database_url(variant: Variant, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database that does not exist yet, on a real server; drop what was made of that name."""
    if variant.database == "sqlite":
        yield f"sqlite:///{tmp_path}/service.db"
        return
    server = need_server(variant.database)
    name = f"verify_{uuid.uuid4().hex[:16]}"
    yield f"{server.rpartition('/')[0]}/{name}"
    drop_databases(server, name)


@pytest.fixture
def mypy_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Share what mypy knows of the libraries."""
    monkeypatch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "mypy"))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def serve(
    project: Project, *options: str, app: str = "app.main:app", **variables: str
) -> Iterator[tuple[httpx2.Client, Path]]:
    """Start the service as its README says; yield a client and the file of the log; stop it with SIGTERM."""
    port = free_port()
    command = [environment(MAIN) / "bin" / "uvicorn", app, "--port", str(port), *options]
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        process = subprocess.Popen(
            command, cwd=project.path, env=clean_environment() | variables, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
                wait_until_ready(client, process, Path(log.name))
                yield client, Path(log.name)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert status in (0, -signal.SIGTERM), Path(log.name).read_text()


def wait_until_ready(client: httpx2.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the service is ready; fail when it ends, or takes too long."""
    deadline = time.monotonic() + 90  # a machine may be busy; a process that ends is noticed at once
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if client.get("/health/ready").status_code == 200:
                return
        time.sleep(0.05)
    pytest.fail(f"the service did not become ready:\n{log.read_text()}")


INSTALLED = [MAIN, *(version for version in PYTHONS if version != MAIN and environment(version).exists())]
"""The versions of Python for which there is an environment."""


def python_of(variant: Variant) -> str:
    """Return the Python whose turn a variant is: each gets each database, each engine, with and without migrations."""
    place = VARIANTS.index(variant)
    return INSTALLED[(place // 4 + place % 4) % len(INSTALLED)]


LONG = {"test_first_day", "test_three_resources", "test_additions", "test_coverage"}
LONG |= {"test_own_suite_on_python", "test_own_suite_alone"}
"""Tests that take minutes for each variant, or run its suite once more."""

FEW = {"sqlite-async-alembic", "postgresql-sync-alembic", "mysql-async-create_all"}
"""The variants that they take with FEW=1: each database, each engine, with and without migrations."""

OF_SCHEMAS = {"test_diagnosis", "test_start"}
"""Modules of faults that are about what `alembic` and `create_all` do; to the others, such variants are the same."""


def is_one_of_many(item: pytest.Item) -> bool:
    """Tell whether a test is left out with FEW=1, since what it would find is found by another one."""
    if getattr(item, "originalname", None) in LONG:
        return not any(name in item.name for name in FEW)
    return "faults" in item.keywords and item.path.stem not in OF_SCHEMAS and "create_all" in item.name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is left with it at the end."""
    if os.environ.get("FEW"):
        left_out = [item for item in items if is_one_of_many(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not is_one_of_many(item)]
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def write_notes(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have noted, with `record_property("note", ...)`."""
    noted = [report.user_properties for report in terminalreporter.stats.get("passed", []) if report.when == "call"]
    for line in (text for properties in noted for name, text in properties if name == "note"):
        terminalreporter.write_line(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have noted; what ran for each variant, what did not, and why."""
    write_notes(terminalreporter)
    cells: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    reasons = set()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            match = re.search(rf"::test_(\w+)\[(?:.*-)?({'|'.join(map(str, VARIANTS))})", report.nodeid)
            if match is None or (outcome == "passed" and report.when != "call"):
                continue
            cells[match[2]][match[1]].add(outcome)
            if outcome == "skipped":
                reasons.add(f"{match[2]} {match[1]}: {report.longrepr[2].removeprefix('Skipped: ')}")
    if not cells:
        return
    checks = sorted({check for row in cells.values() for check in row})
    write = terminalreporter.write_line
    terminalreporter.section("what ran")
    for number, check in enumerate(checks, 1):
        write(f"{number:2} {check}")
    write(" " * 30 + "".join(f"{number:>5}" for number in range(1, len(checks) + 1)))
    for name in map(str, VARIANTS):
        row = [cells[name][check] for check in checks]
        words = ["FAIL" if r & {"failed", "error"} else "skip" if "skipped" in r else "ok" if r else "-" for r in row]
        write(f"{name:30}" + "".join(f"{word:>5}" for word in words))
    for reason in sorted(reasons):
        write(f"not run: {reason}", yellow=True)
    missing = [version for version in PYTHONS if not environment(version).exists()]
    if missing:
        write(f"not run: anything on Python {', '.join(missing)}, which are not installed here", yellow=True)
