"""A service on PostgreSQL with streaming replication: its primary is lost, moved, or falls silent under load."""

import concurrent.futures
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.cluster.postgresql import Cluster, find_programs
from tests.conftest import Project, only, serve
from tests.faults.load import POOL, wait_for, writers
from tests.variants import Variant

pytestmark = pytest.mark.cluster

SETTINGS = POOL | {"DATABASE_STATEMENT_TIMEOUT": "5"}
DATABASE = "verify"
PLACES = 15


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a primary with two standbys."""
    find_programs()
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@contextlib.contextmanager
def readers(client: httpx2.Client, path: str = "/api/v1/users?limit=1", number: int = 2) -> Iterator[Counter[int]]:
    """Read all the time; yield the statuses."""
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def read() -> None:
        with httpx2.Client(base_url=client.base_url, timeout=30, trust_env=False) as own:
            while not stop.is_set():
                statuses[own.get(path).status_code] += 1
                time.sleep(0.02)

    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        running = [pool.submit(read) for _ in range(number)]
        try:
            yield statuses
        finally:
            stop.set()
    for one in running:
        one.result()


def is_ready(client: httpx2.Client) -> bool:
    """Tell whether the service is ready; the answer comes within the bound of the probe."""
    started = time.monotonic()
    status = client.get("/health/ready").status_code
    assert time.monotonic() - started < 4  # 2 s, and a busy machine
    assert status in {200, 503}
    return status == 200


def check_places(client: httpx2.Client) -> None:
    """See that the pool can lend all its connections, and has them back then."""
    with concurrent.futures.ThreadPoolExecutor(PLACES) as pool:
        sent = [pool.submit(client.get, "/stress/slow?seconds=0.5") for _ in range(PLACES)]
        assert [one.result().status_code for one in sent] == [200] * PLACES
    assert client.get("/stress/pool").json() == 0


def kill(cluster: Cluster) -> None:
    """Lose the primary's machine."""
    cluster.primary.kill()


def demote(cluster: Cluster) -> None:
    """Make the primary a standby, before another one is the primary."""
    cluster.demote()


def silence(cluster: Cluster) -> None:
    """Let the primary fall silent, with all its connections."""
    cluster.primary.freeze()


@only(database=("postgresql",), migrations=("alembic",))
@pytest.mark.parametrize("lose", [kill, demote, silence])
def test_primary_lost(
    stressed: Project,
    cluster: Cluster,
    lose: Callable[[Cluster], None],
    variant: Variant,
    record_property: Callable[[str, object], None],
) -> None:
    """The service goes on with the next primary: meanwhile 503, no restart, nothing lost, and nothing kept."""
    cluster.be_synchronous()
    old = cluster.primary
    with serve(stressed, app="stress:app", DATABASE_URL=cluster.url(DATABASE), **SETTINGS) as (client, log):
        with writers(client, 8) as (acknowledged, statuses, bodies), readers(client) as read:
            wait_for(lambda: len(acknowledged) > 50, 30)
            lose(cluster)
            time.sleep(2)
            assert not is_ready(client)
            cluster.promote()
            promoted, before = time.monotonic(), len(acknowledged)
            wait_for(lambda: len(acknowledged) > before + 20, 15)
            healed = time.monotonic() - promoted
            wait_for(lambda: is_ready(client), 5)
            assert client.get("/health/live").status_code == 200
            time.sleep(1)
        note = f"{variant}, {lose.__name__}: writes {healed:.1f} s after the promotion, {dict(statuses)}, {dict(read)}"
        record_property("note", note)
        assert statuses.keys() == {201, 503}, bodies[:3]
        assert read.keys() <= {200, 503}
        assert all("retry-after" in body or "outcome-unknown" in body for body in bodies)
        check_places(client)
        assert is_ready(client)
        if lose is not kill:
            old.thaw()
            wait_for(lambda: old.clients(DATABASE) == 0, 10)
        assert "Exception in ASGI application" not in log.read_text()
    there = f"SELECT count(*) FROM users WHERE email IN ({', '.join(map(repr, acknowledged))})"
    assert cluster.primary.sql(there, database=DATABASE) == len(acknowledged)


@only(database=("postgresql",), migrations=("alembic",))
def test_prepare_with_a_standby_first(project: Project, cluster: Cluster) -> None:
    """The database is created, and its tables are, where that can be done."""
    url = cluster.url(DATABASE, *cluster.standbys, cluster.primary)
    project.run("python", "-m", "app.database", "prepare", DATABASE_URL=url)
    assert cluster.primary.sql("SELECT count(*) FROM users", database=DATABASE) == 0
    assert "ready" in project.run("python", "-m", "app.database", "check", DATABASE_URL=url)
    silent, other = cluster.standbys
    silent.freeze()
    url = cluster.url(DATABASE, silent, other, cluster.primary)
    assert "ready" in project.run("python", "-m", "app.database", "check", DATABASE_URL=url)
