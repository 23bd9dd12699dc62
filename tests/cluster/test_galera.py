"""The service on a Galera cluster: rows that many change, nodes that die, and a schema that many prepare."""

import concurrent.futures
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.cluster.galera import Galera
from tests.conftest import Project, only, serve
from tests.databases import connect, sql
from tests.faults.load import POOL, wait_for, write_and_read, writers
from tests.faults.stress import RACE
from tests.faults.test_start import add_migration
from tests.variants import Variant

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("galera")]

COUNTER = '''
"""The service, with a route that changes two rows."""

from sqlalchemy import text

from app.dependencies.database import DatabaseSession
from app.main import app

ADD = text("UPDATE products SET quantity = quantity + 1 WHERE id = :id")


@app.post("/count")
{async_}def count(first: int, second: int, session: DatabaseSession) -> None:
    for number in (first, second):
        {await_}session.execute(ADD, {{"id": number}})
'''


@pytest.fixture
def counting(project: Project, variant: Variant, tmp_path: Path) -> Project:
    """Return a copy of the project, with a route that counts, and a race."""
    copy = Project(Path(shutil.copytree(project.path, tmp_path / "project")), variant)
    is_async = variant.engine == "async"
    words = {"async_": "async " if is_async else "", "await_": "await " if is_async else ""}
    (copy.path / "counter.py").write_text(COUNTER.format(**words))
    (copy.path / "race.py").write_text(RACE)
    return copy


def prepare(project: Project, galera: Galera, name: str) -> str:
    """Prepare a database through the first node; return the URL that leads to it through HAProxy."""
    project.run("python", "-m", "app.database", "prepare", DATABASE_URL=at(galera.nodes[0].url, name))
    return at(galera.url, name)


def at(url: str, name: str) -> str:
    """Return the URL of a database on that server."""
    return f"{url.rpartition('/')[0]}/{name}"


def read(galera: Galera, name: str, query: str) -> list[list[object]]:
    """Return the rows of a query, which are the same on all nodes."""
    found = []
    for node in galera.nodes:
        with connect(at(node.url, name)) as connection:
            connection.exec_driver_sql("SET SESSION wsrep_sync_wait = 1")
            found.append([list(row) for row in connection.exec_driver_sql(query)])
    assert found[0] == found[1] == found[2]
    return found[0]


def check_refusals(bodies: list[str]) -> None:
    """See that each 503 says when to come back, or that its outcome is unknown."""
    assert all("application/problem+json" in body for body in bodies)
    assert all("retry-after" in body or "outcome-unknown" in body for body in bodies)


@only(database=("mysql",), migrations=("alembic",))
def test_same_rows(counting: Project, galera: Galera, galera_database: str) -> None:
    """Clients change the same rows through different nodes: what is acknowledged is stored, and nothing else."""
    url = prepare(counting, galera, galera_database)
    row = "INSERT INTO products (name, price, quantity) VALUES ('x', 1, 0)"
    sql(at(galera.nodes[0].url, galera_database), row, row)
    ids = [row[0] for row in read(galera, galera_database, "SELECT id FROM products ORDER BY id")]

    def count(number: int) -> list[httpx2.Response]:
        first, second = ids if number % 2 else reversed(ids)
        with httpx2.Client(base_url=client.base_url, timeout=60, trust_env=False) as own:
            return [own.post("/count", params={"first": first, "second": second}) for _ in range(40)]

    with serve(counting, app="counter:app", DATABASE_URL=url, **POOL) as (client, log):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            responses = [one for some in pool.map(count, range(16)) for one in some]
        statuses = Counter(response.status_code for response in responses)
        assert statuses.keys() == {200, 503}, log.read_text()[-3000:]
        refused = [response for response in responses if response.status_code == 503]
        assert all(response.headers["Retry-After"] == "1" for response in refused)
        quantities = read(galera, galera_database, "SELECT quantity FROM products")
        assert quantities == [[statuses[200]], [statuses[200]]]
        conflicts = ("local_cert_failures", "local_bf_aborts")
        assert sum(int(node.status(name)) for node in galera.nodes for name in conflicts) > 0
        assert "Exception in ASGI application" not in log.read_text()


@only(database=("mysql",), migrations=("alembic",))
def test_node_dies(counting: Project, galera: Galera, galera_database: str) -> None:
    """A node is killed under load, and joins again: nothing acknowledged is lost, and pages are whole."""
    url = prepare(counting, galera, galera_database)
    with serve(counting, DATABASE_URL=url, **POOL) as (client, log):
        with writers(client, 16, change=True) as (acknowledged, statuses, bodies):
            time.sleep(2)
            galera.nodes[1].kill()
            time.sleep(1)
            galera.heal()
            time.sleep(2)
        # Without `wsrep_sync_wait`, a node that lags has no row yet of what another one has acknowledged.
        assert statuses.keys() <= {200, 201, 404, 503}, bodies[:3]
        check_refusals(bodies)
        stored = dict(read(galera, galera_database, "SELECT email, id FROM users"))
        assert not set(acknowledged) - stored.keys()
        unknown = sum("outcome-unknown" in body for body in bodies)
        assert len(acknowledged) <= len(stored) <= len(acknowledged) + unknown
        found: list[int] = []
        after: dict[str, int] | None = {}
        while after is not None:
            page = client.get("/api/v1/users", params={"limit": 100, **after}).json()
            found += [item["id"] for item in page["items"]]
            after = {"after": page["next"]} if page["next"] else None
        assert found == sorted(stored.values())
        assert found[-1] > len(found)  # each node leaves gaps for the others
        assert client.get("/health/ready").status_code == 200
        assert "Exception in ASGI application" not in log.read_text()


@only(database=("mysql",), migrations=("alembic",))
def test_no_quorum(
    counting: Project, galera: Galera, galera_database: str, record_property: Callable[[str, object], None]
) -> None:
    """Two of three nodes are killed under load: 503 until the cluster is whole again, and nothing is lost."""
    url = prepare(counting, galera, galera_database)
    alone = galera.nodes[0]
    with serve(counting, DATABASE_URL=url, **POOL) as (client, log):
        with writers(client, 16) as (acknowledged, statuses, bodies):
            time.sleep(2)
            for node in galera.nodes[1:]:
                node.kill()
            wait_for(lambda: alone.status("ready") == "OFF", 30)
            wait_for(lambda: client.get("/health/ready").status_code == 503, 5)
            time.sleep(2)
            assert client.get("/health/ready").status_code == 503
            assert client.get("/health/live").status_code == 200
            galera.heal()
            wait_for(lambda: client.get("/health/ready").status_code == 200, 20)
            time.sleep(2)
        assert statuses.keys() == {201, 503}, bodies[:3]
        check_refusals(bodies)
        assert "1047" in log.read_text()
        stored = {row[0] for row in read(galera, galera_database, "SELECT email FROM users")}
        assert not set(acknowledged) - stored
        unknown = sum("outcome-unknown" in body for body in bodies)
        assert len(stored) <= len(acknowledged) + unknown
        told = [log.read_text().count(code) for code in ("(1047, ", "(1180, ")]
        record_property("note", f"without a quorum: {dict(statuses)}; 1047: {told[0]}, 1180: {told[1]}")
        body = {"email": "after@example.com", "name": "x"}
        assert client.post("/api/v1/users", json=body).status_code == 201
        assert "Exception in ASGI application" not in log.read_text()


@only(database=("mysql",), migrations=("alembic",))
def test_no_servers(counting: Project, galera: Galera, galera_database: str) -> None:
    """HAProxy has nobody to send to: it accepts a connection and closes it, and the answer is 503."""
    url = prepare(counting, galera, galera_database)
    with serve(counting, DATABASE_URL=url, **POOL) as (client, log):
        with writers(client, 16) as (acknowledged, statuses, bodies):
            time.sleep(1)
            galera.admit("maint")
            time.sleep(2)
            assert client.get("/api/v1/users").status_code == 503
            assert client.get("/health/ready").status_code == 503
            galera.admit("ready")
            wait_for(lambda: client.get("/health/ready").status_code == 200, 20)
            time.sleep(1)
        assert statuses.keys() == {201, 503}, bodies[:3]
        check_refusals(bodies)
        assert len(acknowledged) > 0
        assert "Exception in ASGI application" not in log.read_text()


@only(database=("mysql",), migrations=("alembic",))
def test_written_is_readable(counting: Project, galera: Galera, galera_database: str) -> None:
    """With `wsrep_sync_wait`, as the pages have it, who reads through another node finds what it has written."""
    url = prepare(counting, galera, galera_database)
    for node in galera.nodes:
        node.ask("SET GLOBAL wsrep_sync_wait = 1")
    try:
        with serve(counting, DATABASE_URL=url, **POOL) as (client, _):
            statuses = write_and_read(client, 12, 40)
            assert statuses.keys() == {200}
            assert statuses[200] > 400
    finally:
        for node in galera.nodes:
            node.ask("SET GLOBAL wsrep_sync_wait = 0")


@only(database=("mysql",))
def test_prepare(counting: Project, galera: Galera, galera_database: str, variant: Variant) -> None:
    """Processes at each node, and behind HAProxy, prepare at once: one does it, and all go on."""
    if variant.migrations == "alembic":
        add_migration(counting, "op.execute(\"INSERT INTO products (name, price, quantity) VALUES ('once', 1, 1)\")")
    for _ in range(5):
        urls = [at(url, galera_database) for url in (*(node.url for node in galera.nodes), galera.url)] * 2
        output = counting.run("python", "race.py", "1", *urls, DATABASE_URL=urls[0], DATABASE_STARTUP_TIMEOUT="60")
        assert "all won" in output
        assert not re.search("error|traceback", output, re.IGNORECASE)
        if variant.migrations == "alembic":
            assert read(galera, galera_database, "SELECT name FROM products") == [["once"]]
        for node in galera.nodes:
            counting.run("python", "-m", "app.database", "check", DATABASE_URL=at(node.url, galera_database))
        sql(galera.nodes[0].url, f"DROP DATABASE {galera_database}")
        # A node that lags would let the next ones in, and drop it under them.
        names = read(galera, "mysql", "SELECT schema_name FROM information_schema.schemata ORDER BY 1")
        assert [galera_database] not in names
