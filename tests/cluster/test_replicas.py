"""A service that reads from replicas: they die, fall silent, come back, and are behind."""

import concurrent.futures
import time
from collections.abc import Callable

import httpx2
import pytest

from tests.cluster.clients import is_ready, readers
from tests.cluster.mariadb import MariaDB, Replication
from tests.cluster.postgresql import Cluster, Server
from tests.conftest import Project, only, serve
from tests.faults.load import POOL, wait_for, writers
from tests.variants import Variant

pytestmark = pytest.mark.cluster

SETTINGS = POOL | {"DATABASE_STATEMENT_TIMEOUT": "2"}
WHERE = '''
"""The service, and which server it reads from; a user, by a session that is never behind."""

from sqlalchemy import text

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.main import app
from app.models.user import User

PORT = text("{port}")


@app.get("/where")
{async_}def where(session: DatabaseReadSession) -> int | None:
    return {await_}session.scalar(PORT)


@app.get("/sure/{{number}}")
{async_}def sure(session: DatabaseSession, number: int) -> str:
    user = {await_}session.get_one(User, number)
    return user.email
'''


@pytest.fixture
def asking(stressed: Project, variant: Variant) -> Project:
    """Return a copy of the project, with routes that say where it reads."""
    words = {"async_": "async ", "await_": "await "} if variant.engine == "async" else {"async_": "", "await_": ""}
    port = "SELECT inet_server_port() FROM pg_sleep(0.05)" if variant.database == "postgresql" else "SELECT @@port"
    (stressed.path / "where.py").write_text(WHERE.format(port=port, **words))
    return stressed


def settings(cluster: Cluster | Replication) -> dict[str, str]:
    """Return those of a service."""
    return cluster.urls("verify") | SETTINGS


def reads_from(client: httpx2.Client, *servers: Server | MariaDB) -> bool:
    """Tell whether ten requests, one after another, are answered by these servers alone."""
    answers = [client.get("/where") for _ in range(10)]
    return all(answer.status_code == 200 for answer in answers) and {answer.json() for answer in answers} <= {
        server.port for server in servers
    }


@only(database=("postgresql", "mysql"), migrations=("alembic",))
@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_replicas_lost(
    asking: Project,
    replicated: Cluster | Replication,
    fault: str,
    variant: Variant,
    record_property: Callable[[str, object], None],
) -> None:
    """Without replicas, the primary serves reading, and the service stays ready; they serve it when they are back."""
    primary, standbys = replicated.primary, replicated.standbys
    with serve(asking, app="where:app", **settings(replicated)) as (client, log):
        with (
            writers(client, 2) as (acknowledged, statuses, bodies),
            readers(client) as read,
            readers(client, "/health/ready", 1) as ready,
        ):
            wait_for(lambda: reads_from(client, *standbys), 20)
            for standby in standbys:
                getattr(standby, fault)()
            lost = time.monotonic()
            wait_for(lambda: reads_from(client, primary), 30)
            gone = time.monotonic() - lost
            assert is_ready(client)
            before = len(acknowledged)
            wait_for(lambda: len(acknowledged) > before + 20, 10)
            asking.run("python", "-m", "app.database", "check", **settings(replicated))
            for standby in standbys:
                standby.start() if fault == "kill" else standby.thaw()
            back = time.monotonic()
            wait_for(lambda: reads_from(client, *standbys), 20)
            returned = time.monotonic() - back
        note = f"{variant}, {fault}: reads from the primary after {gone:.1f} s, back after {returned:.1f} s"
        record_property("note", f"{note}, {dict(statuses)}, {dict(read)}, {dict(ready)}")
        assert statuses.keys() == {201}, bodies[:3]
        assert read.keys() <= {200, 503}
        assert ready.keys() == {200}
        assert "Exception in ASGI application" not in log.read_text()


@only(database=("postgresql", "mysql"), migrations=("alembic",))
def test_start_without_replicas(asking: Project, replicated: Cluster | Replication) -> None:
    """It starts, and says what is wrong; and so does `check`."""
    asking.run("python", "-m", "app.database", "prepare", **settings(replicated))
    [at_replica] = [
        line
        for line in asking.run("python", "-m", "app.database", "check", **settings(replicated)).splitlines()
        if "to read" in line
    ]
    assert "WARNING" not in at_replica
    for standby in replicated.standbys:
        standby.kill()
    output = asking.run("python", "-m", "app.database", "check", **settings(replicated))
    [line] = [line for line in output.splitlines() if "WARNING" in line]
    assert "the primary stands in" in line
    with serve(asking, app="where:app", **settings(replicated)) as (client, _):
        assert client.get("/where").json() == replicated.primary.port


@only(database=("postgresql", "mysql"), migrations=("alembic",))
def test_own_writes(asking: Project, replicated: Cluster | Replication) -> None:
    """With replay held back, a `DatabaseReadSession` does not see what was just written; a `DatabaseSession` does."""
    with serve(asking, app="where:app", **settings(replicated)) as (client, _):
        wait_for(lambda: reads_from(client, *replicated.standbys), 20)
        for standby in replicated.standbys:
            standby.pause()
        for number in range(50):
            response = client.post("/api/v1/users", json={"email": f"{number}@example.com", "name": "Ada"})
            assert client.get(f"/sure/{response.json()['id']}").json() == f"{number}@example.com"
            assert client.get(response.headers["Location"]).status_code == 404
        for standby in replicated.standbys:
            standby.resume()
        wait_for(lambda: client.get(response.headers["Location"]).status_code == 200, 10)


@only(database=("postgresql",), migrations=("alembic",))
def test_balance(asking: Project, cluster: Cluster) -> None:
    """All read from the first replica, or, if the URL says so, from one at random."""
    ports = {standby.port for standby in cluster.standbys}
    variables = settings(cluster)
    for balance, expected in {"": {cluster.standbys[0].port}, "&load_balance_hosts=random": ports}.items():
        variables["DATABASE_READ_URL"] += balance
        with serve(asking, app="where:app", **variables) as (client, _):
            with concurrent.futures.ThreadPoolExecutor(15) as pool:
                answers = [pool.submit(client.get, "/where") for _ in range(60)]
            assert {answer.result().json() for answer in answers} == expected
