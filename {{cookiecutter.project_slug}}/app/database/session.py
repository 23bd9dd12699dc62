{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% call engine() %}
"""The factory of sessions."""

{% if is_async %}
import asyncio
{% endif %}
from functools import lru_cache
from typing import Any

from sqlalchemy import {{ "Connection, Engine, " if is_async }}event
from sqlalchemy.exc import InvalidRequestError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
{% else %}
from sqlalchemy.orm import Session, sessionmaker
{% endif %}

from app.database.engine import get_engine, get_read_engine
from app.database.pool import ONLY_READS
from app.models.tracking import TrackingSession


{% if is_async %}
class OneTaskSession(TrackingSession):
    """A session that refuses to serve a second task.

    Drivers differ in what they make of it, from an error to a silent loss of rows.
    """

    user: asyncio.Task[Any] | None = None

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        """Return where to send a statement: each one asks."""
        task = asyncio.current_task()
        self.user = self.user or task
        if self.user is not task:
            what = "give each task a session of its own: open_session()"
            raise InvalidRequestError(f"another task uses this session: {what}")
        return super().get_bind(*args, **kwargs)


{% endif %}
class ReadSession({{ "OneTaskSession" if is_async else "TrackingSession" }}):
    """A session that refuses to write."""


@event.listens_for(ReadSession, "before_flush")
def refuse_flush(*_: object) -> None:
    """Refuse what the server would refuse, too: in tests, both sessions are one.

    Raises:
        InvalidRequestError: Always.
    """
    raise InvalidRequestError(ONLY_READS)


OPTIONS: dict[str, Any] = {
    # Statements are sent when the code says so, with flush() or at COMMIT.
    "autoflush": False,
    # Rows stay readable after COMMIT: reading one opens no new transaction.
    "expire_on_commit": False,
    # A session used after its request raises, instead of taking a connection
    # that nobody would give back.
    "close_resets_only": False,
}


@lru_cache
def get_session_factory() -> async_sessionmaker[AsyncSession]:
    """Return the factory of this process, made on first use.

    Routes do not call it: they ask for a `DatabaseSession`.
    """
    return async_sessionmaker(
        get_engine(),
        {{ "sync_session_class=OneTaskSession" if is_async else "class_=TrackingSession" }},
        **OPTIONS,
    )


@lru_cache
def get_read_session_factory() -> async_sessionmaker[AsyncSession]:
    """Return the factory of sessions that only read: a `DatabaseReadSession`."""
    return async_sessionmaker(
        get_read_engine(),
        {{ "sync_session_class=ReadSession" if is_async else "class_=ReadSession" }},
        **OPTIONS,
    )
{% endcall %}
