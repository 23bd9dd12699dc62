"""Clusters: started once, and whole again before each test."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from tests.cluster.galera import Galera
from tests.cluster.mariadb import Replication
from tests.cluster.postgresql import Cluster
from tests.databases import sql
from tests.faults.conftest import stressed
from tests.variants import Variant

__all__ = ["stressed"]
T = TypeVar("T", Cluster, Galera, Replication)


@pytest.fixture(scope="session")
def galera_of_session() -> Iterator[Galera]:
    """Return a Galera cluster."""
    with running(Galera()) as cluster:
        yield cluster


@pytest.fixture
def galera(galera_of_session: Galera) -> Galera:
    """Return a Galera cluster of which all nodes are well."""
    galera_of_session.heal()
    return galera_of_session


@pytest.fixture
def galera_database(galera: Galera) -> Iterator[str]:
    """Return the name of a database that does not exist yet on the cluster; drop it at the end."""
    name = f"verify_{uuid.uuid4().hex[:16]}"
    yield name
    galera.heal()
    sql(galera.nodes[0].url, f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a PostgreSQL primary with two standbys."""
    with running(Cluster()) as cluster:
        yield cluster


@pytest.fixture
def replicated(variant: Variant) -> Iterator[Cluster | Replication]:
    """Return a primary, and those that can be read in its place, of the database of the variant."""
    with running({"postgresql": Cluster, "mysql": Replication}[variant.database]()) as cluster:
        yield cluster


@contextmanager
def running(cluster: T) -> Iterator[T]:
    """Start a cluster; stop it at the end."""
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
