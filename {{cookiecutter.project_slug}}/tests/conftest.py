{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% call engine() %}
"""Fixtures: a started service, a transaction around each test, a client."""

import re
from collections.abc import AsyncIterator{{ ", Iterator" if is_async }}
from typing import Any

import pytest
from fastapi import FastAPI
{% if is_async %}
from httpx2 import ASGITransport
{% endif %}
from sqlalchemy import URL, Connection, {{ "Engine, QueuePool, create_engine, event, " if not is_async else "QueuePool, event, " }}text
from sqlalchemy.exc import InvalidRequestError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
{% endif %}
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.pool import NullPool

from app.database import dialect
from app.database.engine import build_engine, get_engine, get_read_engine
from app.database.pool import ONLY_READS
from app.database.session import (
    ReadSession,
    get_read_session_factory,
    get_session_factory,
)
from app.main import create_app
from app.settings import get_settings
from tests.client import HEADERS, Client, journaled
from tests.server import DROP, {{ "NOTE, " if cookiecutter.database == "mysql" }}new_url
{% if cookiecutter.database == "mysql" %}
from tests.sqlite import LEFT_OUT
{% endif %}

# What they assert is shown as in a test.
pytest.register_assert_rewrite("tests.resource")

WRITES = re.compile(r"(?i)^\s*(INSERT|UPDATE|DELETE|MERGE|REPLACE)\b{{ "|\\bFOR UPDATE\\b" if cookiecutter.database != "sqlite" }}")


{% if cookiecutter.database == "mysql" %}
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so when the results do not mean what they seem to."""
    if NOTE:
        terminalreporter.write_line(f"NOTE: these tests ran {NOTE}", yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Skip what SQLite cannot stand in for."""
    for item in items:
        if NOTE and item.originalname in LEFT_OUT:
            item.add_marker(pytest.mark.skip(reason="needs MySQL"))


{% endif %}
async def drop(url: URL) -> None:
    """Drop a database of the tests, but for files: they go with their folder."""
    if DROP is None:
        return
    server_url, _ = dialect.creation(url)
    options = {"isolation_level": "AUTOCOMMIT", "poolclass": NullPool}
    engine = create_async_engine(server_url, **options)
    async with engine.connect() as connection:
        await connection.execute(text(DROP.format(url.database)))
    await engine.dispose()
{% if is_async %}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run the whole session in one event loop: connections belong to theirs."""
    return "asyncio"
{% endif %}


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """Return the service."""
    return create_app()


@pytest.fixture(scope="session")
async def started_client(app: FastAPI) -> AsyncIterator[Client]:
    """Start the service as a server does, on an empty database; stop it at the end."""
    # What a route raises is to be seen as a client sees it.
{% if is_async %}
    transport = ASGITransport(journaled(app), raise_app_exceptions=False)
    address = "http://testserver"
    async with (
        app.router.lifespan_context(app),
        Client(transport=transport, base_url=address, headers=HEADERS) as client,
    ):
        yield client
{% else %}
    heard = journaled(app)
    with Client(heard, raise_server_exceptions=False, headers=HEADERS) as client:
        yield client
{% endif %}
    await drop(get_settings().database_url)


def refuse_writes(state: ORMExecuteState) -> None:
    """Refuse what the server would: here, a session that reads could write, too."""
    if state.is_insert or WRITES.search(str(state.statement)):
        raise InvalidRequestError(ONLY_READS)


def forget_isolation(_: Connection, options: dict[str, Any]) -> None:
    """Let a route ask for an isolation level: that of the one transaction stays."""
    options.pop("isolation_level", None)


@pytest.fixture
async def client(
    started_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Client]:
    """Return a client of the service; what it stores is gone after the test.

    All sessions use one connection, in a transaction that is rolled back. What they
    call a transaction is a savepoint in it, so that they may commit and roll back.
    So it takes one request after another: `started_client` takes several at once, and
    keeps what they store.
    """
    event.listen(ReadSession, "do_orm_execute", refuse_writes)
    async with get_engine().connect() as connection:
        transaction = await connection.begin()
        event.listen(
            connection.sync_connection,
            "set_connection_execution_options",
            forget_isolation,
        )
        own = {"bind": connection, "join_transaction_mode": "create_savepoint"}
        for factory in (get_session_factory(), get_read_session_factory()):
            monkeypatch.setattr(factory, "kw", factory.kw | own)
        yield started_client
        await transaction.rollback()
    event.remove(ReadSession, "do_orm_execute", refuse_writes)


@pytest.fixture(autouse=True)
def leak_check() -> Iterator[None]:
    """Fail a test that leaves a connection behind."""
    yield
    for engine in (get_engine(), get_read_engine()):
        assert isinstance(engine.pool, QueuePool)
        assert engine.pool.checkedout() == 0, "a connection was not given back"


@pytest.fixture
async def empty_engine() -> AsyncIterator[AsyncEngine]:
    """Return an engine for a database of its own, which does not exist yet."""
    settings = get_settings().model_copy(update={"database_url": new_url()})
    engine = build_engine(settings)
    yield engine
    await engine.dispose()
    await drop(settings.database_url)
{% endcall %}
