"""More clients than connections, races for one value, bad requests, slow statements."""

import concurrent.futures
import contextlib
import socket
import time

import anyio
import httpx2
import pytest

from tests.conftest import SERVERS, Project, only, serve
from tests.databases import sql
from tests.faults.load import POOL, asynchronous, send, wait_for, workers, write_and_read, writers
from tests.faults.pgbouncer import pgbouncer
from tests.variants import Variant

pytestmark = pytest.mark.faults


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
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, log):
        port = client.base_url.port

        def abandon(path: str) -> None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.1) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                connection.recv(100)

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
            list(pool.map(abandon, ["/stress/slow?seconds=0.3", "/stress/stream", "/stress/late"] * 500))
        wait_for(lambda: client.get("/stress/pool").json() == 0, 10)
        assert idle_in_transaction(database_url) == 0
        assert client.get("/stress/two").status_code == 200
        assert "garbage collector" not in log.read_text()  # which SQLAlchemy sends for what nobody gave back


@pytest.mark.parametrize("kind", ["write", "read"])
def test_abandoned_streams(stressed: Project, database_url: str, kind: str) -> None:
    """Clients leave streams that hold a session: it is given back as soon as somebody needs its place."""
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, _):
        port = client.base_url.port

        def abandon(_: int) -> None:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(f"GET /stress/held/{kind} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                with contextlib.suppress(OSError):
                    connection.recv(100)

        many = 1 if kind == "write" and database_url.startswith("sqlite") else 15
        with concurrent.futures.ThreadPoolExecutor(many) as pool:
            list(pool.map(abandon, range(3 * many)))
        body = {"email": "ada@example.com", "name": "Ada"}
        assert client.post("/api/v1/users", json=body, timeout=30).status_code == 201
        with concurrent.futures.ThreadPoolExecutor(15) as pool:
            answers = list(pool.map(client.get, ["/api/v1/users"] * 60))
        assert {answer.status_code for answer in answers} == {200}


@only(engine=("async",))
@pytest.mark.parametrize("path", ["/stress/gather", "/stress/cut"])
def test_statement_that_is_left(stressed: Project, database_url: str, variant: Variant, path: str) -> None:
    """A request ends while its statement runs: the statement, its locks and its connection are given back."""
    variables = POOL | {"DATABASE_STATEMENT_TIMEOUT": "1"}
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **variables) as (client, log):
        assert client.post(path, timeout=60).status_code == 418
        for number in range(3):
            body = {"email": f"ada{number}@example.com", "name": "Ada"}
            assert client.post("/api/v1/users", json=body, timeout=60).status_code == 201
        assert len(client.get("/api/v1/users").json()["items"]) == 3
        wait_for(lambda: client.get("/stress/pool").json() == 0, 10)
        assert "garbage collector" not in log.read_text()


def idle_in_transaction(url: str) -> int:
    """Return the number of connections to a PostgreSQL database that have left a transaction open."""
    if not url.startswith("postgresql"):
        return 0
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    )
    return sql(url, query)


def test_written_is_readable(project: Project, database_url: str) -> None:
    """1,000 pairs of write and read by 20 clients: each finds what it has written."""
    with serve(project, DATABASE_URL=database_url, **POOL) as (client, _):
        assert write_and_read(client, 20, 50) == {200: 1000}


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


@only(database=SERVERS)
def test_statement_timeout(stressed: Project, database_url: str, variant: Variant) -> None:
    """A statement that takes too long is cut off by the server: 503, and the connection is usable again."""
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


def test_schemathesis(stressed: Project, database_url: str) -> None:
    """No request makes a 5xx, breaks the schema, or gets a status that is not documented."""
    with serve(stressed, "--log-level", "warning", DATABASE_URL=database_url, **POOL) as (client, log):
        url = f"{client.base_url}/openapi.json"
        command = ["schemathesis", "run", url, "--checks", "all", "--max-examples", "60", "--seed", "1", "--no-color"]
        stressed.run(*command)
        assert "Traceback" not in log.read_text()


@only(database=("sqlite",))
def test_in_memory(project: Project, variant: Variant) -> None:
    """A database in memory serves many clients: each acknowledged row is there."""
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


@only(database=("sqlite",))
def test_sqlite_writers(stressed: Project, database_url: str, variant: Variant) -> None:
    """16 clients write through 4 processes for 10 s: nobody hears that the database is locked."""
    with serve(stressed, *workers(4), DATABASE_URL=database_url, **POOL) as (
        client,
        log,
    ):
        with writers(client, 16, change=True) as (acknowledged, statuses, bodies):
            time.sleep(10)
        assert statuses.keys() == {201, 200}, bodies[:3]
        assert sql(database_url, "SELECT count(*) FROM users") == len(acknowledged)
        assert "locked" not in log.read_text()


@only(database=("postgresql",))
def test_pgbouncer(stressed: Project, database_url: str, variant: Variant) -> None:
    """Behind PgBouncer in transaction mode, every request is answered."""
    stressed.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    variables = POOL | {"DATABASE_PREPARE_ON_STARTUP": "false", "DATABASE_PGBOUNCER": "true"}
    with (
        pgbouncer(database_url, 4) as url,
        serve(stressed, app="stress:app", DATABASE_URL=url, **variables) as (client, _),
    ):

        async def load() -> None:
            async with asynchronous(client) as other:
                for _ in range(6):
                    assert await send(other, 40, "GET", "/stress/two") == {200: 40}
                    assert await send(other, 40, "GET", "/api/v1/products") == {200: 40}

        anyio.run(load)
