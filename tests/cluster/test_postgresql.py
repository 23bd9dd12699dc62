"""A service on PostgreSQL with streaming replication: its primary is lost, moved, or falls silent under load."""

import time
from collections.abc import Callable

import pytest

from tests.cluster.clients import check_places, is_ready, readers
from tests.cluster.postgresql import Cluster
from tests.conftest import Project, only, serve
from tests.faults.load import POOL, wait_for, writers
from tests.faults.proxy import Proxy
from tests.variants import Variant

pytestmark = pytest.mark.cluster

SETTINGS = POOL | {"DATABASE_STATEMENT_TIMEOUT": "5"}
DATABASE = "verify"


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


@only(database=("postgresql",), engine=("async",), migrations=("alembic",))
def test_asynchronous_loss(stressed: Project, cluster: Cluster, record_property: Callable[[str, object], None]) -> None:
    """Without synchronous replication, what was written in the last half second, which the standbys lack, is lost."""
    behind = Proxy(cluster.primary.url())
    behind.open()
    for standby in cluster.standbys:
        standby.follow(cluster.primary, behind.port)
    receiving = "SELECT sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming'"
    wait_for(lambda: {standby.sql(receiving) for standby in cluster.standbys} == {behind.port}, 10)
    with serve(stressed, DATABASE_URL=cluster.url(DATABASE), **SETTINGS) as (client, _):
        with writers(client, 8) as (acknowledged, _, _):
            wait_for(lambda: len(acknowledged) > 200, 30)
            behind.flowing.clear()
            before, started = len(acknowledged), time.monotonic()
            time.sleep(0.5)
            cluster.primary.kill()
            written = (len(acknowledged) - before, time.monotonic() - started)
            behind.close()
            cluster.promote()
            time.sleep(1)
        wait_for(lambda: is_ready(client), 15)
    there = f"SELECT count(*) FROM users WHERE email IN ({', '.join(map(repr, acknowledged))})"
    lost = len(acknowledged) - int(str(cluster.primary.sql(there, database=DATABASE)))
    note = f"asynchronous, {written[1]:.1f} s behind: {lost} of {written[0]} that were acknowledged meanwhile are lost"
    record_property("note", note)
    assert 0 < lost <= written[0] + 40  # what was under way
