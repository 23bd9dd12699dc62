"""What more processes bring, and how many connections they take: on one server, behind PgBouncer, on clusters.

    make benchmark-workers rounds=3 docs=no

The servers are started here, on ports of their own, as for `make test-cluster`; what is not installed is left out.
"""

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from _pytest.outcomes import OutcomeException
from sqlalchemy import make_url

from benchmarks.report import TITLES, Figures, keep, spread, table
from benchmarks.service import Options, Service, WrongError, main, packages, parse, project, python, serve
from tests.cluster.conftest import running
from tests.cluster.galera import Galera
from tests.cluster.mariadb import Replication
from tests.cluster.postgresql import Cluster
from tests.databases import sql
from tests.faults.pgbouncer import pgbouncer
from tests.variants import ROOT

PROCESSES = (1, 2, 4)
OPERATIONS = ("list", "post")
POOL = 8
NAME = "workers"
COUNTS = {
    "postgresql": f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{NAME}'",
    "mysql": f"SELECT count(*) FROM information_schema.processlist WHERE db = '{NAME}'",
}


@dataclass(frozen=True)
class Wanted:
    """What to measure; `make benchmark-workers name=value` sets each."""

    rounds: int = 3
    seconds: int = 2
    clients: int = 64
    docs: str = "yes"


@dataclass(frozen=True)
class Place:
    """Where the service has its database."""

    settings: dict[str, str]
    servers: list[str]
    """The URLs of the servers, whose connections are counted."""
    prepare: str
    """The URL through which to prepare it."""


@contextlib.contextmanager
def postgresql(*, replicas: bool = False, bouncer: bool = False) -> Iterator[Place]:
    """Yield a PostgreSQL primary, with two standbys to read from if asked for, or behind PgBouncer."""
    with running(Cluster()) as cluster, contextlib.ExitStack() as stack:
        servers = [cluster.primary, *(cluster.standbys if replicas else ())]
        url = cluster.primary.url(NAME)
        settings = {"DATABASE_URL": url}
        if replicas:
            settings = cluster.urls(NAME)
            settings["DATABASE_READ_URL"] += "&load_balance_hosts=random"
        if bouncer:
            address = stack.enter_context(pgbouncer(url, POOL))
            settings = {"DATABASE_URL": address, "DATABASE_PGBOUNCER": "true"}
        yield Place(settings, [server.url() for server in servers], url)


@contextlib.contextmanager
def mariadb() -> Iterator[Place]:
    """Yield a MariaDB primary, with a replica to read from."""
    with running(Replication()) as cluster:
        settings = cluster.urls(NAME)
        yield Place(settings, [server.url for server in cluster.servers], settings["DATABASE_URL"])


@contextlib.contextmanager
def galera() -> Iterator[Place]:
    """Yield three Galera nodes behind HAProxy."""
    with running(Galera()) as cluster:
        urls = [node.url for node in cluster.nodes]
        write, prepare = (str(make_url(url).set(database=NAME)) for url in (cluster.url, urls[0]))
        yield Place({"DATABASE_URL": write}, urls, prepare)


PLACES: dict[str, tuple[str, Callable[[], contextlib.AbstractContextManager[Place]]]] = {
    "PostgreSQL": ("postgresql", postgresql),
    f"PgBouncer, {POOL} connections": ("postgresql", lambda: postgresql(bouncer=True)),
    "PostgreSQL, 2 standbys to read": ("postgresql", lambda: postgresql(replicas=True)),
    "MariaDB, a replica to read": ("mysql", mariadb),
    "Galera, 3 nodes": ("mysql", galera),
}


@contextlib.contextmanager
def counting(database: str, servers: list[str]) -> Iterator[list[int]]:
    """Yield the most connections that each server has had at once."""
    most = [0] * len(servers)
    stop = threading.Event()

    def count() -> None:
        while not stop.wait(0.2):
            most[:] = [max(known, sql(url, COUNTS[database])) for known, url in zip(most, servers, strict=True)]

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def wait_for_all(service: Service, processes: int) -> None:
    """Wait until all processes of a service have started. Or raise WrongError."""
    deadline = time.monotonic() + 60
    while service.log.read_text(encoding="utf-8").count("startup complete") < processes:
        if time.monotonic() > deadline:
            raise WrongError(f"{processes} processes do not start; the log ends:\n{service.tail()}")
        time.sleep(0.05)


def measure(place: Place, database: str, folder: Path, wanted: Wanted) -> list[list[str]]:
    """Return rows of the table: for each number of processes, what it brought, and the connections it took."""
    found: dict[int, dict[str, list[Figures]]] = {number: {name: [] for name in OPERATIONS} for number in PROCESSES}
    most: dict[int, list[int]] = {}
    python("-m", "app.database", "prepare", folder=folder, DATABASE_URL=place.prepare)
    for round_ in range(wanted.rounds):
        turn = round_ % len(PROCESSES)
        for number in PROCESSES[turn:] + PROCESSES[:turn]:
            settings = place.settings | {
                "DATABASE_POOL_SIZE": str(POOL),
                "WEB_CONCURRENCY": str(number),
                "UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "60",
            }
            with (
                serve(f"{number} processes", "app.main:app", folder, **settings) as service,
                counting(database, place.servers) as peak,
            ):
                wait_for_all(service, number)
                for name in reversed(OPERATIONS):  # warms up, and stores what is listed
                    service.measure(name, wanted.clients, 1)
                for name in OPERATIONS:
                    found[number][name].append(service.measure(name, wanted.clients, wanted.seconds, round_))
            most[number] = [max(pair) for pair in zip(peak, most.get(number, peak), strict=True)]
    first = found[PROCESSES[0]]
    rows = []
    for number, figures in found.items():
        row = [str(number)]
        for name in OPERATIONS:
            rate, p99 = ([getattr(one, what) for one in figures[name]] for what in ("rate", "p99"))
            row += [f"{median(rate):.0f}", f"{spread(rate, [one.rate for one in first[name]])[1]:.2f}"]
            row += [f"{median(p99):.0f}"]
        rows.append([*row, " + ".join(map(str, most[number]))])
    return rows


def run(words: dict[str, str]) -> None:
    """Measure; show the table, and keep it in docs/."""
    wanted = parse(Wanted, words)
    heads = [head for name in OPERATIONS for head in (f"{TITLES[name]}, requests/s", "times 1", "p99 ms")]
    cells = [["", "processes", *heads, "connections"]]
    for title, (database, make) in PLACES.items():
        options = Options(database=database)
        try:
            with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, make() as place:
                rows = measure(place, database, project(options, Path(folder)), wanted)
        except OutcomeException as error:  # as the tests say it
            print(f"{title} is left out: {error}", flush=True)
            continue
        cells += [[title, *row] for row in rows]
        print(f"{title}: done", flush=True)
    text = table(cells)
    print(f"\n{text}")
    if wanted.docs == "yes":
        head = f"`make benchmark-workers`, {date.today().isoformat()}: {wanted.rounds} rounds of {wanted.seconds} s, "
        head += f"{wanted.clients} clients, pools of {POOL}. {packages(Options())}"
        keep(ROOT / "docs" / "workers.md", "Processes", f"{head}\n\n{text}")


if __name__ == "__main__":
    raise SystemExit(main(run))
