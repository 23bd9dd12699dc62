"""The database goes away under load, and comes back."""

import concurrent.futures
import contextlib
import re
import time

import pytest

from tests.conftest import SERVERS, Project, only, serve
from tests.databases import kill_sessions, sql
from tests.faults.load import POOL, wait_for, writers
from tests.faults.proxy import Proxy
from tests.variants import Variant

pytestmark = pytest.mark.faults


@only(database=SERVERS)
def test_outage(stressed: Project, database_url: str, variant: Variant) -> None:
    """The server is away for 3 s under load, and all its connections are killed: only 503s, and nothing is lost."""
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
            wait_for(lambda: client.get("/health/ready").status_code == 200, 5)
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


@only(database=SERVERS)
def test_killed_connections(stressed: Project, database_url: str, variant: Variant) -> None:
    """All connections are killed by the server, three times, under load."""
    with serve(stressed, DATABASE_URL=database_url, **POOL) as (client, log):
        with writers(client, 20) as (acknowledged, statuses, bodies):
            for _ in range(3):
                time.sleep(0.7)
                kill_sessions(database_url)
            time.sleep(0.7)
        assert statuses.keys() <= {201, 503}, bodies[:3]
        assert sql(database_url, "SELECT count(*) FROM users") >= len(acknowledged)
        assert "Exception in ASGI application" not in log.read_text()


@only(database=SERVERS)
def test_killed_before_commit(stressed: Project, database_url: str, variant: Variant) -> None:
    """A connection that dies between the last statement and COMMIT: 503, and no row."""
    with serve(stressed, app="stress:app", DATABASE_URL=database_url, **POOL) as (client, _):
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            running = [pool.submit(client.post, f"/stress/write?name=n{number}&seconds=4") for number in range(10)]
            wait_for(lambda: client.get("/stress/pool").json() == 10, 3)
            time.sleep(0.5)
            kill_sessions(database_url)
            assert [one.result().status_code for one in running] == [503] * 10
        assert client.get("/api/v1/users").json()["items"] == []
