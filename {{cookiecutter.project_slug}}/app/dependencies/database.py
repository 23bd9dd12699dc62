{% set is_async = cookiecutter.engine == "async" %}
{% set session = "AsyncSession" if is_async else "Session" %}
"""The sessions of a request, and of what runs outside of one."""

{% if is_async %}
import asyncio
{% endif %}
from collections.abc import AsyncIterator{{ ", Iterator" if not is_async }}
from contextlib import {{ "AbstractAsyncContextManager, asynccontextmanager, suppress" if is_async else "closing, contextmanager" }}
from typing import Annotated{{ ", Any" if is_async }}

{% if is_async %}
from anyio import CancelScope
{% endif %}
from fastapi import Depends
{% if not is_async %}
from fastapi.concurrency import run_in_threadpool
{% endif %}
from fastapi.requests import HTTPConnection
{% if cookiecutter.database == "postgresql" %}
from sqlalchemy import text
{% endif %}
from sqlalchemy.exc import InvalidRequestError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncSession
{% endif %}
{% if not is_async or cookiecutter.database == "postgresql" %}
from sqlalchemy.orm import Session
{% endif %}

from app.database.limiter import place_for{{ ", place_in_thread" if not is_async }}
{% if is_async %}
from app.database.pool import UnknownOutcomeError
{% endif %}
from app.database.session import get_read_session_factory, get_session_factory
{% if not is_async %}
from app.dependencies.cut_short import stop_if_cut_short
{% endif %}


{% if is_async %}
async def commit(session: AsyncSession) -> None:
    """Commit. A shield around it would take a task, and a tenth of all writing.

    Raises:
        UnknownOutcomeError: It was cancelled, and the server may have stored it.
    """
    try:
        await session.commit()
    except asyncio.CancelledError as error:
        raise UnknownOutcomeError("it was cut short in COMMIT") from error


async def roll_back(session: AsyncSession) -> None:
    """Roll back to the end, even if cancelled again and again."""
    user: asyncio.Task[Any] | None = getattr(session.sync_session, "user", None)
    # In the middle of a statement of another task, only to close a connection helps.
    is_free = user is None or user.done() or user is asyncio.current_task()
    ending = session.rollback() if is_free else session.invalidate()
    task = asyncio.ensure_future(ending)
    with CancelScope(shield=True):  # of anyio: it cancels each await
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
    task.result()
{% else %}
@contextmanager
def open_session() -> Iterator[Session]:
    """Open a session for what no request waits for, in a thread; commit at the end.

    Any exception, an `HTTPException` too, rolls everything back. The rollback also
    serves a COMMIT that failed: SQLite would keep that transaction open and hand
    it to whoever is next.
    """
    with place_in_thread("write"):
        session = get_session_factory()()
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()


def refuse_changes(session: Session) -> None:
    """Refuse what a session that only reads would lose.

    Raises:
        InvalidRequestError: There is something to write.
    """
    if session.new or session.dirty or session.deleted:
        session.flush()  # which refuses


@contextmanager
def open_read_session() -> Iterator[Session]:
    """Open a session that only reads, in a thread: each statement by itself."""
    with place_in_thread("read"), closing(get_read_session_factory()()) as session:
        yield session
        refuse_changes(session)
{% endif %}


def refuse_websocket(connection: HTTPConnection) -> None:
    """Refuse a session that would last as long as a WebSocket.

    Raises:
        InvalidRequestError: It is one.
    """
    if connection.scope["type"] == "websocket":
        what = "open_session() of app.dependencies.database, for each message"
        raise InvalidRequestError(f"a WebSocket has no session of its own: use {what}")


async def get_database_session(
    connection: HTTPConnection,
) -> AsyncIterator[{{ session }}]:
    """Give a request its session; commit when the route returns.

    Any exception, an `HTTPException` too, rolls everything back. The rollback also
    serves a COMMIT that failed: SQLite would keep that transaction open and hand
    it to whoever is next.
    """
    refuse_websocket(connection)
    async with place_for("write"):
        session = get_session_factory()()
        try:
{% if cookiecutter.database == "sqlite" %}
            if connection.scope.get("method") == "GET":  # it reads: let others write
                options = {"sqlite_begin": "DEFERRED"}
                {{ "await session.connection(execution_options=options)" if is_async else "await run_in_threadpool(session.connection, None, options)" }}
{% endif %}
            yield session
{% if is_async %}
            await commit(session)
        except BaseException:
            await roll_back(session)
            raise
        finally:
            await session.close()
{% else %}
            stop_if_cut_short(connection)
            await run_in_threadpool(session.commit)
        except BaseException:
            await run_in_threadpool(session.rollback)
            raise
        finally:
            session.close()  # its connection is back already
{% endif %}


async def get_read_session(connection: HTTPConnection) -> AsyncIterator[{{ session }}]:
    """Give a request a session that only reads: each statement by itself.

    Raises:
        InvalidRequestError: There is something to write.
    """
    refuse_websocket(connection)
    async with place_for("read"):
        session = get_read_session_factory()()
        try:
            yield session
{% if is_async %}
            if session.new or session.dirty or session.deleted:
                await session.flush()  # which refuses
        finally:
            await session.close()
{% else %}
            refuse_changes(session)
        finally:
{% if cookiecutter.database == "postgresql" %}
            if session.info.get("local"):  # it sends ROLLBACK
                await run_in_threadpool(session.close)
{% endif %}
            session.close()  # sends nothing: there is no transaction
{% endif %}
{% if is_async %}


NO_REQUEST = HTTPConnection({"type": "http"})


def open_session() -> AbstractAsyncContextManager[AsyncSession]:
    """Open a session for what no request waits for; commit at the end."""
    return asynccontextmanager(get_database_session)(NO_REQUEST)


def open_read_session() -> AbstractAsyncContextManager[AsyncSession]:
    """Open a session that only reads, for what no request waits for."""
    return asynccontextmanager(get_read_session)(NO_REQUEST)
{% endif %}
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
{% if not is_async %}
        session.info["local"] = True
{% endif %}
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
