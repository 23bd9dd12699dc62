{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% set is_sqlite = cookiecutter.database == "sqlite" %}
"""The session of a request."""

import asyncio
{% if is_async %}
from collections.abc import AsyncIterator
{% else %}
from collections.abc import AsyncIterator, Iterator
{% endif %}
from typing import Annotated

{% if not is_async %}
from anyio import from_thread
{% endif %}
from fastapi import Depends{{ ", Request" if is_sqlite }}
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncSession
{% else %}
from sqlalchemy.orm import Session
{% endif %}

from app.database.engine import get_capacity
from app.database.session import get_session_factory
from app.settings import get_settings

places: set[asyncio.Timeout] = set()
"""One for each request that has a session, or waits for it."""


def count_waiting() -> int:
    """Return how many requests wait for their session."""
    return sum(place.when() is not None for place in list(places))


async def get_queue_timeout() -> AsyncIterator[asyncio.Timeout]:
    """Limit the time that a request waits for its session.

    Raises:
        TimeoutError: SQLAlchemy's own, as if it had waited in the pool.
    """
    timeout = asyncio.timeout(get_settings().database_pool_timeout)
    places.add(timeout)
    try:
        async with timeout:
            yield timeout
    except TimeoutError:
        if not timeout.expired():
            raise
        raise PoolTimeoutError("too many requests wait for a connection") from None
    finally:
        places.discard(timeout)


QueueTimeout = Annotated[asyncio.Timeout, Depends(get_queue_timeout, scope="function")]

{% call engine() %}

{% if is_sqlite %}
async def get_database_session(
    queue: QueueTimeout,
    request: Request,
) -> AsyncIterator[AsyncSession]:
{% else %}
async def get_database_session(queue: QueueTimeout) -> AsyncIterator[AsyncSession]:
{% endif %}
    """Give a request its session; commit when the route returns.

    Any exception, an `HTTPException` too, rolls everything back. The rollback also
    serves a COMMIT that failed: SQLite would keep that transaction open and hand
    it to the next request.
    """
    {{ "queue.reschedule(None)" if is_async else "from_thread.run_sync(queue.reschedule, None)" }}  # its turn has come
    session = get_session_factory()()
    try:
{% if is_sqlite %}
        if request.method == "GET":  # it reads: let others write meanwhile
            options = {"sqlite_begin": "DEFERRED"}
            await session.connection(execution_options=options)
{% endif %}
        yield session
        await session.commit()
    except BaseException:
        await session.rollback()
        raise
    finally:
        await session.close()


# scope="function": COMMIT comes before the response, so that a 2xx means stored.
# max_concurrency: requests beyond the pool's capacity wait here, without a thread
# and without a connection; if they waited in the pool, each with a thread, those
# that own the connections could not get a thread to go on with. There is one
# limit for each Depends object: every route and dependency uses this alias.
DatabaseSession = Annotated[
    AsyncSession,
    Depends(get_database_session, scope="function", max_concurrency=get_capacity()),
]
{% endcall %}
