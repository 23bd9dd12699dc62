{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""The factory of sessions."""

from functools import lru_cache

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.database.engine import get_engine


@lru_cache
def get_session_factory() -> async_sessionmaker[AsyncSession]:
    """Return the factory of this process, made on first use.

    Routes do not call it: they ask for a `DatabaseSession`.
    """
    return async_sessionmaker(
        get_engine(),
        # Statements are sent when the code says so, with flush() or at COMMIT.
        autoflush=False,
        # Rows stay readable after COMMIT: reading one opens no new transaction.
        expire_on_commit=False,
        # A session used after its request raises, instead of taking a connection
        # that nobody would give back.
        close_resets_only=False,
    )
{% endcall %}
