{% set is_async = cookiecutter.engine == "async" %}
{% set session = "AsyncSession" if is_async else "Session" %}
{% set is_bound = is_async and cookiecutter.database != "sqlite" %}
"""The sessions of a request, and of what runs outside of one."""

import asyncio
from collections.abc import AsyncIterator{{ ", Iterator" if not is_async }}
from contextlib import {{ "AbstractAsyncContextManager, " if is_async }}asynccontextmanager, {{ "closing, contextmanager, " if not is_async }}suppress
{% if not is_async %}
from contextvars import ContextVar
{% endif %}
from functools import lru_cache
from typing import Annotated{{ ", Any" if is_async }}
from weakref import WeakKeyDictionary

{% if is_async %}
from anyio import CancelScope
{% else %}
from anyio import NoEventLoopError, from_thread
from anyio.to_thread import current_default_thread_limiter
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
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncSession
{% endif %}
{% if not is_async or cookiecutter.database == "postgresql" %}
from sqlalchemy.orm import Session
{% endif %}

from app.database.engine import get_capacity{{ ", get_engine, get_read_engine" if is_bound }}
{% if is_async %}
from app.database.pool import UnknownOutcomeError
{% endif %}
from app.database.session import get_read_session_factory, get_session_factory
{% if not is_async %}
from app.dependencies.cut_short import stop_if_cut_short
{% endif %}
from app.settings import get_settings


class Turns:
    """Lets as many requests to the database as there are connections, in order.

    Who waits has no connection and no thread. If requests waited in the pool, each
    with a thread, those that own the connections could not get a thread to go on.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.waiting = 0
        self.of_loops: WeakKeyDictionary[
            asyncio.AbstractEventLoop,
            asyncio.Semaphore,
        ] = WeakKeyDictionary()

    @property
    def free(self) -> asyncio.Semaphore:
        """Return those of the event loop; each `asyncio.run` has one of its own."""
        loop = asyncio.get_running_loop()
        if loop not in self.of_loops:
{% if is_bound %}
            if self.of_loops:  # connections belong to a loop: leave them to the other
                get_engine().sync_engine.dispose(close=False)
                get_read_engine().sync_engine.dispose(close=False)
{% endif %}
            self.of_loops[loop] = asyncio.Semaphore(self.number)
        return self.of_loops[loop]

    async def take(self, patience: float) -> None:
        """Wait for a turn, `patience` seconds at most.

        Raises:
            TimeoutError: SQLAlchemy's own, as if the request had waited in the pool.
        """
        free = self.free
        if not free.locked():
            await free.acquire()
            return
        self.waiting += 1
        try:
            async with asyncio.timeout(patience):
                await free.acquire()
        except TimeoutError:
            raise PoolTimeoutError("too many requests wait for a connection") from None
        finally:
            self.waiting -= 1


@lru_cache
def get_turns() -> Turns:
    """Return the turns of this process, made on first use."""
    return Turns(get_capacity())


{% if is_async %}
OF_TASKS: WeakKeyDictionary[asyncio.Task[Any], set[str]] = WeakKeyDictionary()


def open_here() -> set[str]:
    """Return which kinds of sessions this task has open."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  (tells the type checker)
    return OF_TASKS.setdefault(task, set())
{% else %}
OPEN: ContextVar[set[str]] = ContextVar("open")


def open_here() -> set[str]:
    """Return which kinds of sessions are open for a request, in any thread of it."""
    kinds = OPEN.get(None)
    if kinds is None:
        kinds = set()
        OPEN.set(kinds)
    return kinds
{% endif %}


def refuse_second(kinds: set[str], kind: str) -> None:
    """Refuse a session that would wait for what the first one holds.

    Raises:
        InvalidRequestError: There is one of this kind.
    """
    if kind in kinds:
        what = "pass it on, instead of opening another one"
        raise InvalidRequestError(f"there is a session to {kind} already: {what}")


@asynccontextmanager
async def turn(kind: str) -> AsyncIterator[None]:
    """Hold a turn: one for all, a session to write and one to read."""
    kinds = open_here()
    refuse_second(kinds, kind)
    if is_first := not kinds:
        await get_turns().take(get_settings().database_pool_timeout)
    kinds.add(kind)
    try:
        yield
    finally:
        kinds.remove(kind)
        if is_first:
            get_turns().free.release()


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
async def take_for_thread() -> None:
    """Wait for a turn; meanwhile, those that have one may use one more thread."""
    threads = current_default_thread_limiter()
    threads.total_tokens += 1
    try:
        await get_turns().take(get_settings().database_pool_timeout)
    finally:
        threads.total_tokens -= 1


def release_for_thread() -> None:
    """Give the turn back."""
    get_turns().free.release()


@contextmanager
def turn_in_thread(kind: str) -> Iterator[None]:
    """Hold a turn in a thread; that of a script waits in the pool instead.

    Raises:
        InvalidRequestError: It is the thread of the event loop.
    """
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        what = "give what opens it to run_in_threadpool()"
        raise InvalidRequestError(f"a session would stop the event loop: {what}")
    kinds = open_here()
    refuse_second(kinds, kind)
    has_taken = False
    if not kinds:
        with suppress(NoEventLoopError):
            from_thread.run(take_for_thread)
            has_taken = True
    kinds.add(kind)
    try:
        yield
    finally:
        kinds.remove(kind)
        if has_taken:
            from_thread.run_sync(release_for_thread)


@contextmanager
def open_session() -> Iterator[Session]:
    """Open a session for what no request waits for, in a thread; commit at the end.

    Any exception, an `HTTPException` too, rolls everything back. The rollback also
    serves a COMMIT that failed: SQLite would keep that transaction open and hand
    it to whoever is next.
    """
    with turn_in_thread("write"):
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
    with turn_in_thread("read"), closing(get_read_session_factory()()) as session:
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
    async with turn("write"):
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
    async with turn("read"):
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
