"""Migrations under traffic: what waits for a lock holds nobody up for long, tries again, and gives up in one line."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import text

from tests.conftest import SERVERS, Project, only
from tests.databases import connect, sql
from tests.variants import Variant

pytestmark = pytest.mark.faults

PREPARE = ("python", "-m", "app.database", "prepare")
UPGRADE = ("alembic", "upgrade", "head")
LOCK_WAIT = 3
PAUSES = "PAUSES = (1, 2, 4, 8)"
"""How long the service waits for a lock, and how it says when it tries again."""

MIGRATION = '''"""One of several."""
import sqlalchemy as sa
from alembic import op
revision = "{revision}"
down_revision = "{down}"
def upgrade():
'''
ADD = "op.add_column('{}', sa.Column('{}', sa.Integer()))"
CHAIN = [
    [ADD.format("users", "first")],
    [ADD.format("users", "second"), ADD.format("products", "second")],
    [ADD.format("products", "third")],
]
READ = "SELECT count(*) FROM products"
ONE_PRODUCT = "INSERT INTO products (name, price, quantity) VALUES ('Lamp', 1, 1)"


def add_migrations(project: Project, *bodies: list[str]) -> None:
    """Add migrations after the first one, each with these lines."""
    for number, lines in enumerate(bodies, 2):
        head = MIGRATION.format(revision=f"{number:04}", down=f"{number - 1:04}")
        body = "".join(f"    {line}\n" for line in lines)
        (project.path / "migrations" / "versions" / f"{number:04}_added.py").write_text(head + body)


@contextmanager
def held(url: str, statement: str) -> Iterator[None]:
    """Execute a statement in a transaction, which is not over meanwhile."""
    with connect(url) as connection:
        connection.execute(text("BEGIN"))
        connection.execute(text(statement)).close()
        yield
        connection.execute(text("ROLLBACK"))


def longest(url: str, stop: threading.Event, statement: str) -> float:
    """Execute a statement again and again; return how long the slowest one took."""
    slowest = 0.0
    with connect(url) as connection:
        while not stop.is_set():
            started = time.monotonic()
            connection.execute(text(statement)).close()
            slowest = max(slowest, time.monotonic() - started)
            time.sleep(0.05)
    return slowest


def use(url: str, seconds: float, change: Callable[[], str], holder: str = READ) -> tuple[list[float], str]:
    """Use two tables during a change, and hold one for some seconds; return the slowest uses, and the output."""
    statements = [READ, ONE_PRODUCT, "SELECT count(*) FROM users"]
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        with held(url, holder):
            users = [pool.submit(longest, url, stop, statement) for statement in statements]
            changing = pool.submit(change)
            time.sleep(seconds)
            is_over = changing.done()
        try:
            output = changing.result()
        finally:
            stop.set()
    assert not is_over, output
    return [user.result() for user in users], output


def columns(url: str) -> set[str]:
    """Return which of the columns of the chain there are."""
    found = set()
    for table, column in (("users", "first"), ("users", "second"), ("products", "second"), ("products", "third")):
        query = (
            f"SELECT count(*) FROM information_schema.columns WHERE table_name = '{table}' AND column_name = '{column}'"
        )
        schema = "current_schema()" if url.startswith("postgresql") else "database()"
        if sql(url, f"{query} AND table_schema = {schema}"):
            found.add(f"{table}.{column}")
    return found


@only(database=SERVERS, migrations=("alembic",))
def test_waiting(stressed: Project, database_url: str, variant: Variant) -> None:
    """The second of three migrations waits for a table: nobody else waits for long, and all three are applied."""
    stressed.run(*PREPARE, DATABASE_URL=database_url)
    add_migrations(stressed, *CHAIN)
    command = PREPARE if variant.engine == "async" else UPGRADE
    slowest, output = use(database_url, 12, lambda: stressed.run(*command, DATABASE_URL=database_url))
    assert max(slowest) < 2 * LOCK_WAIT, slowest
    assert slowest[2] < LOCK_WAIT or variant.database == "postgresql", slowest
    assert output.count("again in ") >= 2
    assert len(columns(database_url)) == 4
    assert sql(database_url, "SELECT version_num FROM alembic_version") == "0004"


@only(database=SERVERS, migrations=("alembic",))
@pytest.mark.parametrize("command", [PREPARE, UPGRADE], ids=["prepare", "upgrade"])
def test_never_free(stressed: Project, database_url: str, variant: Variant, command: tuple[str, ...]) -> None:
    """A table that stays in use: one line names the migration, which is undone where the database can."""
    stressed.run(*PREPARE, DATABASE_URL=database_url)
    add_migrations(stressed, *CHAIN)
    lock = stressed.path / "app" / "database" / "lock.py"
    assert PAUSES in lock.read_text()
    lock.write_text(lock.read_text().replace(PAUSES, "PAUSES = (0, 0)"))
    with held(database_url, READ):
        output = stressed.run(*command, status=1, DATABASE_URL=database_url)
    [line] = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    assert re.search(r"migration 0003_added\.py, line 8: .*lock.*try again", line, re.IGNORECASE)
    assert "Traceback" not in output
    assert sql(database_url, "SELECT version_num FROM alembic_version") == "0002"
    if variant.database == "postgresql":
        assert "nothing of it was changed" in line
        assert columns(database_url) == {"users.first"}
        stressed.run(*command, DATABASE_URL=database_url)
        assert len(columns(database_url)) == 4
    else:
        assert "up to the last change of a table, MySQL has kept all" in line
        assert columns(database_url) == {"users.first", "users.second"}


CONCURRENTLY = [
    "with op.get_context().autocommit_block():",
    "    op.create_index('ix_users_name', 'users', ['name'], postgresql_concurrently=True)",
]


@only(database=("postgresql",), migrations=("alembic",))
def test_concurrently(stressed: Project, database_url: str, variant: Variant) -> None:
    """An index that is made beside the traffic waits for as long as it must; what was committed is not repeated."""
    stressed.run(*PREPARE, DATABASE_URL=database_url)
    add_migrations(stressed, CONCURRENTLY)
    prepare = partial(stressed.run, *PREPARE, DATABASE_URL=database_url)
    slowest, output = use(database_url, LOCK_WAIT + 4, prepare, "UPDATE users SET name = 'Ada'")
    assert max(slowest) < LOCK_WAIT
    assert "again in " not in output
    assert sql(database_url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0
    sql(database_url, "UPDATE alembic_version SET version_num = '0001'", "DROP INDEX ix_users_name")
    add_migrations(stressed, [*CONCURRENTLY, ADD.format("products", "second")])
    with held(database_url, READ):
        output = prepare(status=1)
    assert "again in " not in output
    assert re.search(r"ERROR: migration 0002_added\.py, line 9: .*lock", output)
