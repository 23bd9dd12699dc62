"""The database goes away under load, and comes back."""

import concurrent.futures
import contextlib
import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.conftest import MAIN, SERVERS, Project, clean_environment, need_server, only, serve
from tests.databases import kill_sessions, sql
from tests.faults.load import POOL, wait_for, writers
from tests.faults.proxy import Proxy
from tests.variants import Variant, environment

pytestmark = pytest.mark.faults


@only(database=SERVERS)
def test_outage(stressed: Project, database_url: str, variant: Variant) -> None:
    """The server is away for 3 s under load, and all its connections are killed: only 503s, and nothing is lost."""
    proxy = Proxy(database_url)
    proxy.open()
    with serve(stressed, DATABASE_URL=proxy.url, **POOL) as (client, log):
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
            wait_for(lambda: client.get("/health/ready").status_code == 200, 5)
            time.sleep(1)
            for connection in list(proxy.sockets):
                with contextlib.suppress(OSError):
                    connection.shutdown(2)
            time.sleep(1)
        assert statuses.keys() == {201, 503}, bodies[:3]
        assert all("application/problem+json" in body for body in bodies)
        assert all("retry-after" in body or "outcome-unknown" in body for body in bodies)
        stored = sql(database_url, "SELECT count(*) FROM users")
        assert stored >= len(acknowledged) > 100
        count = f"SELECT count(*) FROM users WHERE email IN ({', '.join(repr(email) for email in acknowledged)})"
        assert sql(database_url, count) == len(acknowledged)
        assert "Exception in ASGI application" not in log.read_text()  # the pool may complain


@only(database=SERVERS)
@pytest.mark.parametrize("path", ["/api/v1/users", "/stress/serializable"])
def test_killed_connections(stressed: Project, database_url: str, variant: Variant, path: str) -> None:
    """All connections are killed by the server, ten times, under load: none is lost, nor what was acknowledged."""
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, log):
        with writers(client, 20, path=path) as (acknowledged, statuses, bodies):
            for _ in range(10):
                time.sleep(0.3)
                kill_sessions(database_url)
            time.sleep(0.7)
        assert statuses.keys() <= {201, 503}, bodies[:3]
        unknown = sum("outcome-unknown" in body for body in bodies)
        stored = sql(database_url, "SELECT count(*) FROM users")
        assert len(acknowledged) <= stored <= len(acknowledged) + unknown
        assert client.get("/stress/pool").json() == 0
        assert "Exception in ASGI application" not in log.read_text()


def test_late_isolation(stressed: Project, database_url: str, variant: Variant) -> None:
    """An isolation level that comes after a statement would be ignored: it is an error, and not rows that are lost."""
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, log):
        assert client.post("/stress/late-isolation").status_code == 500
        wait_for(lambda: "Connection is already established" in log.read_text(), 5)
        assert client.get("/stress/pool").json() == 0


@only(database=SERVERS, migrations=("alembic",))
def test_broken_anywhere(stressed: Project, database_url: str, variant: Variant) -> None:
    """A connection breaks before each message in turn: 503, or one line, and no word of a COMMIT that nobody sent."""
    proxy = Proxy(database_url)
    proxy.open()
    body = {"email": "ada@example.com", "name": "Ada"}

    def statuses_of(method: str, path: str, **options: object) -> set[int]:
        statuses = set()
        for _ in proxy.break_in_turn():
            response = client.request(method, path, **options)
            statuses.add(response.status_code)
            assert response.status_code != 503 or response.headers["Retry-After"] == "1"
        return statuses

    with serve(stressed, DATABASE_URL=proxy.url, **POOL) as (client, log):
        assert statuses_of("GET", "/health/ready") == {200, 503}
        assert client.post("/api/v1/users", json=body).status_code == 201
        for _ in range(3):  # of a connection that is new, and of one that is not
            assert statuses_of("POST", "/api/v1/users", json=body) <= {409, 503}
        assert "Exception in ASGI application" not in log.read_text()
    command = [environment(MAIN) / "bin" / "python", "-m", "app.database", "check"]
    variables = clean_environment() | {"DATABASE_URL": proxy.url, "LOG_LEVEL": "ERROR"}
    for number in proxy.break_in_turn():
        result = subprocess.run(command, cwd=stressed.path, env=variables, capture_output=True, text=True, check=False)
        said = re.sub(r"\S+ \S+ ERROR: Exception during reset[\s\S]*", "", result.stderr)  # the pool may complain
        lines = said.splitlines()
        assert (result.returncode, len(lines)) in {(0, 0), (1, 1)}, (number, result.stderr)
        assert all(line.startswith("ERROR: ") for line in lines)


@only(database=SERVERS)
def test_killed_before_commit(stressed: Project, database_url: str, variant: Variant) -> None:
    """A connection that dies between the last statement and COMMIT: 503, and no row; before ROLLBACK: no matter."""
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, log):
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            running = [pool.submit(client.post, f"/stress/write?name=n{number}&seconds=4") for number in range(9)]
            refused = pool.submit(client.get, "/stress/refuse?seconds=4")
            wait_for(lambda: client.get("/stress/pool").json() == 10, 3)
            time.sleep(0.5)
            kill_sessions(database_url)
            assert [one.result().status_code for one in running] == [503] * 9
            assert refused.result().status_code == 418
        assert client.get("/api/v1/users").json()["items"] == []
        assert "Exception in ASGI application" not in log.read_text()


@only(database=SERVERS, migrations=("create_all",))
def test_lost_reply(stressed: Project, database_url: str, variant: Variant) -> None:
    """The connection breaks when COMMIT is done, and before its reply comes: nobody says that nothing is stored."""
    proxy = Proxy(database_url)
    proxy.open()
    with (
        serve(stressed, app="stress:app", DATABASE_URL=proxy.url, **POOL) as (client, _),
        concurrent.futures.ThreadPoolExecutor(2) as pool,
    ):
        path = "/stress/write?seconds=2&name="
        running = [pool.submit(client.request, method, path + method) for method in ("POST", "PUT")]
        wait_for(lambda: client.get("/stress/pool").json() == 2, 3)
        time.sleep(1)  # the statements have been answered
        proxy.cutting.set()
        post, put = (one.result() for one in running)
        proxy.cutting.clear()
        for response in (post, put):
            assert (response.status_code, response.json()["type"]) == (503, "/problems/outcome-unknown")
        assert "Retry-After" not in post.headers
        assert put.headers["Retry-After"] == "1"
        assert sql(database_url, "SELECT count(*) FROM users") == 2
        assert client.post("/stress/write?name=after&seconds=0").status_code == 201


@only(database=SERVERS)
def test_silence(stressed: Project, database_url: str, variant: Variant) -> None:
    """The server falls silent, and no connection breaks: 503 in bounded time, and all is well when it speaks again."""
    proxy = Proxy(database_url)
    proxy.open()
    variables = POOL | {"DATABASE_STATEMENT_TIMEOUT": "2"}
    with serve(stressed, app="stress:app", DATABASE_URL=proxy.url, **variables) as (client, _):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            assert client.get("/api/v1/users").status_code == 200
            under_way = pool.submit(client.get, "/stress/slow?seconds=2", timeout=40)
            wait_for(lambda: client.get("/stress/pool").json() == 1, 3)
            time.sleep(0.5)  # its statement has been answered; COMMIT will not be
            proxy.flowing.clear()
            started = time.monotonic()
            assert client.get("/health/ready").status_code == 503
            assert time.monotonic() - started < 3
            fresh = pool.submit(client.get, "/api/v1/users", timeout=40)
            assert under_way.result().status_code == 503
            assert fresh.result().status_code == 503
        assert client.get("/health/live").status_code == 200
        proxy.flowing.set()
        wait_for(lambda: client.get("/health/ready").status_code == 200, 10)
        assert client.get("/api/v1/users").status_code == 200
        assert client.get("/stress/pool").json() == 0


@only(database=("postgresql",), engine=("sync",), migrations=("create_all",))
def test_keepalives(project: Project, database_url: str) -> None:
    """Where nothing comes back, not even an acknowledgement, the system gives a connection up sooner."""
    program = """
import os, socket
from app.database.engine import get_engine
with get_engine().connect() as connection:
    end = socket.socket(fileno=os.dup(connection.connection.driver_connection.fileno()))
    print("keep-alive", bool(end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)))
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        print("ms", end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
"""
    project.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    output = project.run("python", "-c", program, DATABASE_URL=database_url)
    assert "keep-alive True" in output
    assert "ms 0" not in output


READ_ONLY = {
    "postgresql": 'ALTER DATABASE "{name}" SET default_transaction_read_only = {state}',
    "mysql": "SET GLOBAL read_only = {state}",
}


@pytest.fixture
def ordinary_url(stressed: Project, database_url: str, variant: Variant) -> Iterator[str]:
    """Yield the URL of a database with tables, with a user that a read-only server refuses: not MySQL's root."""
    stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    if variant.database != "mysql":
        yield database_url
        return
    name = database_url.rpartition("/")[2]
    sql(database_url, f"CREATE USER {name}")
    try:
        sql(database_url, f"GRANT ALL ON {name}.* TO {name}")
        yield database_url.replace("root@", f"{name}@")
    finally:
        sql(database_url, f"DROP USER {name}")


@only(database=SERVERS, migrations=("create_all",))
def test_read_only(stressed: Project, ordinary_url: str, variant: Variant) -> None:
    """While the server only reads, who writes is to come back, and readiness says so; after that, all can write."""
    name = ordinary_url.rpartition("/")[2]
    admin = need_server(variant.database)
    with (
        serve(stressed, app="stress:app", DATABASE_URL=ordinary_url, **POOL) as (client, log),
        concurrent.futures.ThreadPoolExecutor(10) as pool,
    ):

        def together(method: str, path: str, body: dict[str, str] | None = None) -> set[int]:
            requests = [
                pool.submit(
                    client.request, method, path.format(number), json=body and {**body, "email": f"{number}@b.de"}
                )
                for number in range(10)
            ]
            return {request.result().status_code for request in requests}

        try:
            sql(admin, READ_ONLY[variant.database].format(name=name, state="on"))
            assert together("GET", "/stress/slow?seconds=0.5") == {200}
            response = client.get("/health/ready")
            assert (response.status_code, "read" in log.read_text().splitlines()[-2]) == (503, True)
            assert 503 in together("POST", "/stress/write?name=n{}&seconds=0.5")
            assert together("GET", "/stress/slow?seconds=0.5") == {200}
        finally:
            sql(admin, READ_ONLY[variant.database].format(name=name, state="off"))
        assert together("POST", "/api/v1/users", {"name": "Ada"}) == {201}
        assert client.get("/health/ready").status_code == 200
        assert "Exception in ASGI application" not in log.read_text()


@only(database=("postgresql",))
def test_changed_table(stressed: Project, database_url: str, variant: Variant) -> None:
    """A migration changes a table under prepared statements: at most one 503 for each connection."""
    variables = POOL | {"DATABASE_POOL_SIZE": "1", "DATABASE_MAX_OVERFLOW": "0"}
    with serve(stressed, DATABASE_URL=database_url, **variables) as (client, log):
        paths = ["/api/v1/users", "/api/v1/users?limit=5"] * 10
        assert {client.get(path).status_code for path in paths} == {200}
        sql(database_url, "ALTER TABLE users ALTER COLUMN name TYPE VARCHAR(200)")
        sql(database_url, "ALTER TABLE users ALTER COLUMN email TYPE TEXT")
        statuses = [client.get(path).status_code for path in paths]
        assert set(statuses) <= {200, 503}
        assert statuses.count(503) <= 2
        assert "Exception in ASGI application" not in log.read_text()


@only(database=("mysql",))
def test_changed_under_snapshot(stressed: Project, database_url: str, variant: Variant) -> None:
    """A migration changes a table after a transaction has begun, which cannot read it any more: 503, once."""
    with (
        serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, log),
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        client.post("/api/v1/users", json={"email": "ada@example.com", "name": "Ada"})
        reading = pool.submit(client.get, "/stress/again")
        wait_for(lambda: client.get("/stress/pool").json() == 1, 10)
        time.sleep(0.2)
        sql(database_url, "ALTER TABLE users ADD COLUMN number INTEGER NOT NULL DEFAULT 1, ALGORITHM = COPY")
        assert reading.result().status_code == 503, log.read_text()
        assert client.get("/stress/again").status_code == 200
        assert "Exception in ASGI application" not in log.read_text()
