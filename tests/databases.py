"""The databases of the tests, as an administrator sees them: beside the services, through synchronous drivers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "sqlite": "sqlite"}
SESSIONS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND query LIKE :doing",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
    " AND coalesce(info, '') LIKE :doing",
}
KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}
DATABASES = {"postgresql": "SELECT datname FROM pg_database", "mysql": "SHOW DATABASES"}
DROP = {"postgresql": "DROP DATABASE IF EXISTS {} WITH (FORCE)", "mysql": "DROP DATABASE IF EXISTS {}"}
NO_SUCH_THREAD = 1094


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """Yield a connection on which each statement is committed by itself."""
    address = make_url(url)
    driver = DRIVERS[address.get_backend_name()]
    engine = create_engine(address.set(drivername=driver), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def sql(url: str, *statements: str) -> Any:
    """Execute statements; return the first value of the last one's result, if it has one."""
    with connect(url) as connection:
        results = [connection.execute(text(statement)) for statement in statements]
        return results[-1].scalar() if results[-1].returns_rows else None


def kill_sessions(url: str, doing: str = "%") -> None:
    """End the other connections to a database: all, or those whose statement is like `doing`."""
    with connect(url) as connection:
        name = connection.dialect.name
        for session in connection.scalars(text(SESSIONS[name]), {"doing": doing}).all():
            try:
                connection.execute(text(KILL[name].format(session)))
            except OperationalError as error:
                if error.orig.args[0] != NO_SUCH_THREAD:  # it has ended by itself
                    raise


def drop_databases(server: str, prefix: str) -> None:
    """Drop the databases whose names begin so."""
    with connect(server) as connection:
        name = connection.dialect.name
        for database in connection.scalars(text(DATABASES[name])).all():
            if database.startswith(prefix):
                connection.execute(text(DROP[name].format(database)))
