{% set is_async = cookiecutter.engine == "async" %}
{% set is_bound = is_async and cookiecutter.database != "sqlite" %}
"""As many sessions at once as there are connections: the others wait in line."""

import asyncio
from collections.abc import AsyncIterator{{ ", Iterator" if not is_async }}
from contextlib import asynccontextmanager{{ ", contextmanager, suppress" if not is_async }}
from contextvars import ContextVar
from functools import lru_cache
from weakref import WeakKeyDictionary

{% if not is_async %}
from anyio import NoEventLoopError, from_thread
from anyio.to_thread import current_default_thread_limiter
{% endif %}
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.database.engine import get_capacity{{ ", get_engine, get_read_engine" if is_bound }}
from app.settings import get_settings


class Limiter:
    """Lets as many in as there are connections, in order.

    Who waits has no connection and no thread. If requests waited in the pool, each
    with a thread, those that own the connections could not get a thread to go on.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.waiting = 0
        self.semaphores: WeakKeyDictionary[
            asyncio.AbstractEventLoop,
            asyncio.Semaphore,
        ] = WeakKeyDictionary()

    @property
    def semaphore(self) -> asyncio.Semaphore:
        """Return that of the event loop; each `asyncio.run` has one of its own."""
        loop = asyncio.get_running_loop()
        if loop not in self.semaphores:
{% if is_bound %}
            if any(other.is_running() for other in self.semaphores):
                what = "run it there, with asyncio.run_coroutine_threadsafe()"
                raise InvalidRequestError(f"another event loop has the pool: {what}")
            if self.semaphores:  # connections belong to a loop, which is over
                get_engine().sync_engine.dispose(close=False)
                get_read_engine().sync_engine.dispose(close=False)
{% endif %}
            self.semaphores[loop] = asyncio.Semaphore(self.number)
        return self.semaphores[loop]

    async def acquire(self, timeout: float) -> None:  # noqa: ASYNC109  (tells a client)
        """Wait for a place, `timeout` seconds at most.

        Raises:
            TimeoutError: SQLAlchemy's own, as if the request had waited in the pool.
        """
        semaphore = self.semaphore
        if not semaphore.locked():
            await semaphore.acquire()
            return
        self.waiting += 1
        try:
            async with asyncio.timeout(timeout):
                await semaphore.acquire()
        except TimeoutError:
            raise PoolTimeoutError("too many requests wait for a connection") from None
        finally:
            self.waiting -= 1

    def release(self) -> None:
        """Let the next one in."""
        self.semaphore.release()


@lru_cache
def get_limiter() -> Limiter:
    """Return the limiter of this process, made on first use."""
    return Limiter(get_capacity())


OPEN: ContextVar[set[str] | None] = ContextVar("open", default=None)


def get_open_kinds(kind: str) -> set[str]:
    """Return which kinds of sessions are open here, or in what has started this.

    A task that opened another one would wait for a place, or a lock, while it is
    waited for by who holds that.

    Raises:
        InvalidRequestError: There is one of this kind.
    """
    kinds = OPEN.get()
    if not kinds:
        kinds = set()
        OPEN.set(kinds)
    if kind in kinds:
        what = "pass it on; tasks and threads open theirs where none is open"
        raise InvalidRequestError(f"there is a session to {kind} already: {what}")
    return kinds


@asynccontextmanager
async def place_for(kind: str) -> AsyncIterator[None]:
    """Hold a place: one for both, a session to write and one to read."""
    kinds = get_open_kinds(kind)
    if is_first := not kinds:
        await get_limiter().acquire(get_settings().database_pool_timeout)
    kinds.add(kind)
    try:
        yield
    finally:
        kinds.remove(kind)
        if is_first:
            get_limiter().release()
{% if not is_async %}


async def acquire_for_thread() -> asyncio.AbstractEventLoop:
    """Wait for a place; meanwhile, those that have one may use one more thread."""
    threads = current_default_thread_limiter()
    threads.total_tokens += 1
    try:
        await get_limiter().acquire(get_settings().database_pool_timeout)
    finally:
        threads.total_tokens -= 1
    return asyncio.get_running_loop()


@contextmanager
def place_in_thread(kind: str) -> Iterator[None]:
    """Hold a place in a thread; that of a script waits in the pool instead.

    Raises:
        InvalidRequestError: It is the thread of the event loop.
    """
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        what = "give what opens it to run_in_threadpool()"
        raise InvalidRequestError(f"a session would stop the event loop: {what}")
    kinds = get_open_kinds(kind)
    loop: asyncio.AbstractEventLoop | None = None
    if not kinds:
        with suppress(NoEventLoopError):
            loop = from_thread.run(acquire_for_thread)
    kinds.add(kind)
    try:
        yield
    finally:
        kinds.remove(kind)
        if loop is not None:  # a generator may end in another thread
            with suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(get_limiter().release)
{% endif %}
