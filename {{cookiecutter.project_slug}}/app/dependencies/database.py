{% set is_async = cookiecutter.engine == "async" %}
{% set session = "AsyncSession" if is_async else "Session" %}
"""The sessions of a request, and of what runs outside of one."""

from collections.abc import AsyncIterator{{ ", Iterator" if not is_async }}
from contextlib import {{ "AbstractAsyncContextManager, asynccontextmanager" if is_async else "closing, contextmanager" }}
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection
from sqlalchemy.exc import InvalidRequestError
from {{ "sqlalchemy.ext.asyncio" if is_async else "sqlalchemy.orm" }} import {{ session }}

from app.database.limiter import place_for{{ ", place_in_thread" if not is_async }}
from app.database.session import get_read_session_factory, get_session_factory
from app.database.transaction import close, commit, {{ "let_others_write, " if cookiecutter.database == "sqlite" }}roll_back{{ ", undo" if not is_async }}


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
            if connection.scope.get("method") == "GET":  # it reads
                await let_others_write(session)
{% endif %}
            yield session
            await commit(session{{ ", is_request=connection is not NO_REQUEST" if is_async }})
        except BaseException:
            await roll_back(session)
            raise
        finally:
            await close(session)


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
            session.{{ "sync_session." if is_async }}flush()  # what it would lose, it refuses
        finally:
            await close(session)


{% if is_async %}
NO_REQUEST = HTTPConnection({"type": "http"})


def open_session() -> AbstractAsyncContextManager[AsyncSession]:
    """Open a session for what no request waits for; commit at the end."""
    return asynccontextmanager(get_database_session)(NO_REQUEST)


def open_read_session() -> AbstractAsyncContextManager[AsyncSession]:
    """Open a session that only reads, for what no request waits for."""
    return asynccontextmanager(get_read_session)(NO_REQUEST)
{% else %}
@contextmanager
def open_session() -> Iterator[Session]:
    """Open a session for what no request waits for, in a thread; commit at the end."""
    with place_in_thread("write"), closing(get_session_factory()()) as session:
        try:
            yield session
            session.commit()
        except BaseException:
            undo(session)
            raise


@contextmanager
def open_read_session() -> Iterator[Session]:
    """Open a session that only reads, in a thread: each statement by itself."""
    with place_in_thread("read"), closing(get_read_session_factory()()) as session:
        yield session
        session.flush()
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
