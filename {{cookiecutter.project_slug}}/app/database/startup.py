{% from "engine.jinja" import engine, run_sync with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% set alembic = cookiecutter.migrations == "alembic" %}
{% set has_server = cookiecutter.database != "sqlite" %}
{% call engine() %}
"""What happens to the database when the service starts and stops."""

{% if cookiecutter.engine == "async" %}
import asyncio
{% endif %}
import logging
import time

from sqlalchemy import {{ "URL, " if has_server }}{{ "Engine, " if not is_async }}text
from sqlalchemy.exc import DBAPIError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncEngine
{% endif %}

from app.database import dialect, errors
from app.database.creation import create_database, try_connection
from app.database.diagnosis import diagnose
{% if has_server %}
from app.database.engine import build_unpooled_engine, get_probe_engine
{% endif %}
from app.database.not_ready import (
    DatabaseNotReadyError,
    one_line_errors,
{% if alembic %}
    one_line_exceptions,
{% endif %}
)
from app.database.schema import compare_schema, prepare_schema, verify_schema
{% if has_server %}
from app.settings import DAY, get_settings
{% endif %}

logger = logging.getLogger(__name__)

FIRST_DELAY = 0.1
LONGEST_DELAY = 2.0
"""Seconds between two attempts to connect."""

UNUSABLE = (AttributeError, OSError, TypeError, ValueError)
"""What drivers raise for an option that they do not know, or a file that is missing."""


async def open_database(engine: AsyncEngine, *, prepare: bool, patience: float) -> None:
    """Connect, create what is missing if `prepare` says so, and verify.

    Waits for a server that does not answer yet, for `patience` seconds.

    Raises:
        DatabaseNotReadyError: The service cannot work with the database as it is.
    """
    started = time.monotonic()
    logger.info("Database: %r", engine.url)
{% if cookiecutter.database == "postgresql" %}
    if doubt := dialect.find_doubt(engine.url):
        logger.warning("Database: %s", doubt)
{% endif %}
    with {{ "one_line_exceptions(), " if alembic }}one_line_errors():
        outcome = await wait_for_database(engine, patience, create=prepare)
        logger.info("Database: server: %s", outcome)
        if prepare:
            outcome = await prepare_database(engine)
            logger.info("Database: schema: %s", outcome)
        await verify_database(engine{{ ", catch_up=True" if cookiecutter.database == "mysql" }})
        logger.info("Database: verify: it answers, and has what this code needs")
        # As above, this only reads.
        reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with reader.connect() as connection:
            differences = {{ run_sync("compare_schema") }}
        if differences:
            change = "; ".join(differences)
            logger.warning("Database: differs from the models: %s", change)
{% if has_server %}
    if url := get_settings().database_read_url:
        await look_at_replica(url)
{% endif %}
    logger.info("Database: ready in %.2f s", time.monotonic() - started)


{% if has_server %}
async def look_at_replica(url: URL) -> None:
    """Say in the log whether a replica can be read; the service can do without."""
    engine = get_probe_engine(url)
    try:
        with one_line_errors():
            await reach_database(engine, create=False)
            await verify_database(engine)
    except DatabaseNotReadyError as error:
        fault = str(error).replace("DATABASE_URL", "DATABASE_READ_URL")
        logger.warning("Database: to read, the primary stands in: %s", fault)
    else:
        logger.info("Database: to read: %r", url)


{% endif %}
async def wait_for_database(
    engine: AsyncEngine,
    patience: float,
    *,
    create: bool,
) -> str:
    """Connect, again and again while the server is away. Return what was done.

    Raises:
        DBAPIError: The server is still away after `patience` seconds, or what is
            wrong does not heal by itself.
    """
    deadline = time.monotonic() + patience
    delay = FIRST_DELAY
    while True:
        try:
            return await reach_database(engine, create=create)
        except errors.FAILURES as error:
            fault = diagnose(error)
            late = time.monotonic() + delay > deadline
            if late or fault not in {errors.AWAY, errors.FULL, errors.BUSY}:
                raise
            if fault is not errors.BUSY and delay == FIRST_DELAY:
                reason = dialect.describe(error)
                logger.warning("Database: waiting %g s at most: %s", patience, reason)
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


async def reach_database(engine: AsyncEngine, *, create: bool) -> str:
    """Connect to the database; create it if it is missing and `create` says so."""
    try:
        await try_connection(engine)
    except UNUSABLE as error:
        raise DatabaseNotReadyError(f"{error} - correct DATABASE_URL") from None
    except DBAPIError as error:
        if not create or diagnose(error) is not errors.MISSING:
            raise
    else:
{% if not has_server %}
        if create:  # somebody else may have made the file
            await create_database(engine.url)
{% endif %}
        return "the database is there"
    await create_database(engine.url)
    await try_connection(engine)
    return "the database was created"


async def prepare_database(engine: AsyncEngine) -> str:
    """Create or upgrade the tables. Return what was done."""
{% if has_server %}
    engine = build_unpooled_engine(engine.url, DAY)  # a statement may take long
{% endif %}
    async with engine.connect() as connection:  # the lock ends with it
        return {{ run_sync("prepare_schema") }}


{% if cookiecutter.database == "mysql" %}
async def verify_database(
    engine: AsyncEngine,
    *,
    writes: bool = False,
    catch_up: bool = False,
) -> None:
    """Ask the database whether it works and has what this code needs.

    On Galera, it may first `catch_up` with what has been prepared at another node.
{% else %}
async def verify_database(engine: AsyncEngine, *, writes: bool = False) -> None:
    """Ask the database whether it works and has what this code needs.
{% endif %}

    Raises:
        DatabaseNotReadyError: It lacks something, or only reads though it `writes`.
        DBAPIError: It does not work.
    """
    # This only reads: it needs no transaction and, on SQLite, no lock.
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
{% if cookiecutter.database == "mysql" %}
        if catch_up:  # a proxy may lead another connection to another node
            {{ run_sync("dialect.catch_up") }}
{% endif %}
        difference = {{ run_sync("verify_schema") }}
        if writes and not difference:
            difference = {{ run_sync("dialect.why_read_only") }}
    if difference:
        raise DatabaseNotReadyError(difference)
{% endcall %}
