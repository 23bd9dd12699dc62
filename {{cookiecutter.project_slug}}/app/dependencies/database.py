{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""The session of a request."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.database.engine import get_capacity
from app.database.session import get_session_factory


async def get_database_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session; commit when the route returns.

    Any exception, an `HTTPException` too, rolls everything back. The rollback also
    serves a COMMIT that failed: SQLite would keep that transaction open and hand
    it to the next request.
    """
    session = get_session_factory()()
    try:
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
