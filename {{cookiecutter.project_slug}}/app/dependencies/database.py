{% set is_async = cookiecutter.engine == "async" %}
{% set session = "AsyncSession" if is_async else "Session" %}
"""The sessions of a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated

from fastapi import Depends
{% if not is_async %}
from fastapi.concurrency import run_in_threadpool
{% endif %}
from fastapi.requests import HTTPConnection
{% if cookiecutter.database == "postgresql" %}
from sqlalchemy import text
{% endif %}
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncSession
{% endif %}
{% if not is_async or cookiecutter.database == "postgresql" %}
from sqlalchemy.orm import Session
{% endif %}

from app.database.engine import get_capacity
from app.database.session import get_read_session_factory, get_session_factory
from app.settings import get_settings


class Turns:
    """Lets as many requests to the database as there are connections, in order.

    Who waits has no connection and no thread. If requests waited in the pool, each
    with a thread, those that own the connections could not get a thread to go on.
    """

    def __init__(self, number: int) -> None:
        self.free = asyncio.Semaphore(number)
        self.waiting = 0

    async def take(self, patience: float) -> None:
        """Wait for a turn, `patience` seconds at most.

        Raises:
            TimeoutError: SQLAlchemy's own, as if the request had waited in the pool.
        """
        if not self.free.locked():
            await self.free.acquire()
            return
        self.waiting += 1
        try:
            async with asyncio.timeout(patience):
                await self.free.acquire()
        except TimeoutError:
            raise PoolTimeoutError("too many requests wait for a connection") from None
        finally:
            self.waiting -= 1


@lru_cache
def get_turns() -> Turns:
    """Return the turns of this process, made on first use."""
    return Turns(get_capacity())


@asynccontextmanager
async def turn(request: HTTPConnection) -> AsyncIterator[None]:
    """Hold a turn; a request has one, whichever sessions it asks for."""
    if request.scope.get("has_turn"):
        yield
        return
    turns = get_turns()
    await turns.take(get_settings().database_pool_timeout)
    request.scope["has_turn"] = True
    try:
        yield
    finally:
        request.scope["has_turn"] = False
        turns.free.release()


async def get_database_session(request: HTTPConnection) -> AsyncIterator[{{ session }}]:
    """Give a request its session; commit when the route returns.

    Any exception, an `HTTPException` too, rolls everything back. The rollback also
    serves a COMMIT that failed: SQLite would keep that transaction open and hand
    it to the next request.
    """
    async with turn(request):
        session = get_session_factory()()
        try:
{% if cookiecutter.database == "sqlite" %}
            if request.scope.get("method") == "GET":  # it reads: let others write
                options = {"sqlite_begin": "DEFERRED"}
                {{ "await session.connection(execution_options=options)" if is_async else "await run_in_threadpool(session.connection, None, options)" }}
{% endif %}
            yield session
            {{ "await session.commit()" if is_async else "await run_in_threadpool(session.commit)" }}
        except BaseException:
            {{ "await session.rollback()" if is_async else "await run_in_threadpool(session.rollback)" }}
            raise
        finally:
            {{ "await session.close()" if is_async else "session.close()  # its connection is back already" }}


async def get_read_session(request: HTTPConnection) -> AsyncIterator[{{ session }}]:
    """Give a request a session that only reads: each statement by itself.

    Raises:
        InvalidRequestError: There is something to write.
    """
    async with turn(request):
        session = get_read_session_factory()()
        try:
            yield session
            if session.new or session.dirty or session.deleted:
                {{ "await " if is_async }}session.flush()  # which refuses
        finally:
            {{ "await session.close()" if is_async else "session.close()  # sends nothing: there is no transaction" }}
{% if cookiecutter.database == "postgresql" %}


{{ "async " if is_async }}def set_local(session: {{ session }}, name: str, value: str) -> None:
    """Set a variable until the transaction ends, for row-level security, say.

    A session that only reads is in none, and gets one.
    """
{% if is_async %}
    connection = await session.run_sync(Session.connection)
{% else %}
    connection = session.connection()
{% endif %}
    options = connection.get_execution_options()
    if options.get("read_only") and "isolation_level" not in options:
        {{ "await " if is_async }}session.commit()  # what it has read so far
        isolation = {"isolation_level": "READ COMMITTED"}
        {{ "await " if is_async }}session.connection(execution_options=isolation)
    statement = text("SELECT set_config(:name, :value, true)")
    {{ "await " if is_async }}session.execute(statement, {"name": name, "value": value})
{% endif %}


# scope="function": COMMIT comes before the response, so that a 2xx means stored.
DatabaseSession = Annotated[
    {{ session }},
    Depends(get_database_session, scope="function"),
]
DatabaseReadSession = Annotated[
    {{ session }},
    Depends(get_read_session, scope="function"),
]
