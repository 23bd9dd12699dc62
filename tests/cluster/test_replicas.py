"""A service that reads from PostgreSQL's standbys: they die, fall silent, come back, and are behind."""

import time
from collections.abc import Callable

import httpx2
import pytest

from tests.cluster.clients import is_ready, readers
from tests.cluster.postgresql import Cluster, Server
from tests.conftest import Project, only, serve
from tests.faults.load import POOL, wait_for, writers
from tests.variants import Variant

pytestmark = pytest.mark.cluster

SETTINGS = POOL | {"DATABASE_STATEMENT_TIMEOUT": "2"}
DATABASE = "verify"
WHERE = '''
"""The service, and which server it reads from; a user, by a session that is never behind."""

from sqlalchemy import text

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.main import app
from app.models.user import User

PORT = text("SELECT inet_server_port()")


@app.get("/where")
async def where(session: DatabaseReadSession) -> int | None:
    return await session.scalar(PORT)


@app.get("/sure/{number}")
async def sure(session: DatabaseSession, number: int) -> str:
    user = await session.get_one(User, number)
    return user.email
'''


@pytest.fixture
def asking(stressed: Project, variant: Variant) -> Project:
    """Return a copy of the project, with routes that say where it reads."""
    source = WHERE if variant.engine == "async" else WHERE.replace("async ", "").replace("await ", "")
    (stressed.path / "where.py").write_text(source)
    return stressed


def urls(cluster: Cluster) -> dict[str, str]:
    """Return the settings of a service that writes to the primary, and reads from the standbys."""
    read_url = cluster.url(DATABASE, *cluster.standbys, wish=None)
    return {"DATABASE_URL": cluster.url(DATABASE), "DATABASE_READ_URL": read_url, **SETTINGS}


def reads_from(client: httpx2.Client, *servers: Server) -> bool:
    """Tell whether ten requests, one after another, are answered by these servers alone."""
    answers = [client.get("/where") for _ in range(10)]
    return all(answer.status_code == 200 for answer in answers) and {answer.json() for answer in answers} <= {
        server.port for server in servers
    }


@only(database=("postgresql",), migrations=("alembic",))
@pytest.mark.parametrize("fault", [Server.kill, Server.freeze])
def test_replicas_lost(
    asking: Project,
    cluster: Cluster,
    fault: Callable[[Server], None],
    variant: Variant,
    record_property: Callable[[str, object], None],
) -> None:
    """Without replicas, the primary serves reading, and the service stays ready; they serve it when they are back."""
    primary, standbys = cluster.primary, cluster.standbys
    with serve(asking, app="where:app", **urls(cluster)) as (client, log):
        with (
            writers(client, 2) as (acknowledged, statuses, bodies),
            readers(client) as read,
            readers(client, "/health/ready", 1) as ready,
        ):
            wait_for(lambda: reads_from(client, *standbys), 20)
            for standby in standbys:
                fault(standby)
            lost = time.monotonic()
            wait_for(lambda: reads_from(client, primary), 30)
            gone = time.monotonic() - lost
            assert is_ready(client)
            before = len(acknowledged)
            wait_for(lambda: len(acknowledged) > before + 20, 10)
            asking.run("python", "-m", "app.database", "check", **urls(cluster))
            for standby in standbys:
                standby.start() if fault is Server.kill else standby.thaw()
            back = time.monotonic()
            wait_for(lambda: reads_from(client, *standbys), 20)
            returned = time.monotonic() - back
        note = f"{variant}, {fault.__name__}: reads from the primary after {gone:.1f} s, back after {returned:.1f} s"
        record_property("note", f"{note}, {dict(statuses)}, {dict(read)}, {dict(ready)}")
        assert statuses.keys() == {201}, bodies[:3]
        assert read.keys() <= {200, 503}
        assert ready.keys() == {200}
        assert "Exception in ASGI application" not in log.read_text()


@only(database=("postgresql",), migrations=("alembic",))
def test_start_without_replicas(asking: Project, cluster: Cluster) -> None:
    """It starts, and says what is wrong; and so does `check`."""
    asking.run("python", "-m", "app.database", "prepare", **urls(cluster))
    [at_replica] = [
        line
        for line in asking.run("python", "-m", "app.database", "check", **urls(cluster)).splitlines()
        if "to read" in line
    ]
    assert "WARNING" not in at_replica
    for standby in cluster.standbys:
        standby.kill()
    output = asking.run("python", "-m", "app.database", "check", **urls(cluster))
    [line] = [line for line in output.splitlines() if "WARNING" in line]
    assert "the primary stands in" in line
    with serve(asking, app="where:app", **urls(cluster)) as (client, _):
        assert client.get("/where").json() == cluster.primary.port


@only(database=("postgresql",), migrations=("alembic",))
def test_own_writes(asking: Project, cluster: Cluster) -> None:
    """With replay held back, a `DatabaseReadSession` does not see what was just written; a `DatabaseSession` does."""
    with serve(asking, app="where:app", **urls(cluster)) as (client, _):
        wait_for(lambda: reads_from(client, *cluster.standbys), 20)
        for standby in cluster.standbys:
            standby.sql("SELECT pg_wal_replay_pause()")
        for number in range(50):
            response = client.post("/api/v1/users", json={"email": f"{number}@example.com", "name": "Ada"})
            assert client.get(f"/sure/{response.json()['id']}").json() == f"{number}@example.com"
            assert client.get(response.headers["Location"]).status_code == 404
        for standby in cluster.standbys:
            standby.sql("SELECT pg_wal_replay_resume()")
        wait_for(lambda: client.get(response.headers["Location"]).status_code == 200, 10)
