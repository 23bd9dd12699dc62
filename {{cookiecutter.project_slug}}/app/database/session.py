{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% set base = "OneTaskSession" if is_async else "TrackingSession" %}
{% call engine() %}
"""The factory of sessions."""

{% if is_async %}
import asyncio
{% endif %}
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

{% if is_async %}
from sqlalchemy import Connection, Engine
{% endif %}
from sqlalchemy.exc import InvalidRequestError, SAWarning
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.database.engine import get_engine, get_read_engine
from app.database.pool import ONLY_READS
from app.models.tracking import SEEN, TrackingSession

LOSSES = (
    "Attribute history events accumulated",
    "Connection is already established",
    "Object of type .* not in session, add",
    "Session's state has been changed",
)
"""How SQLAlchemy begins to warn of what it will not store, or not isolate."""

for words in LOSSES:
    warnings.filterwarnings("error", words, SAWarning)

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
            what = "tasks open theirs, open_session(), where none is open"
            raise InvalidRequestError(f"another task uses this session: {what}")
        return super().get_bind(*args, **kwargs)

{% endif %}

class ReadSession({{ base }}):
    """A session that refuses to write."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Nobody stores what rows that are gone have held: it need not hold them.
        self.info[SEEN] = WeakValueDictionary()

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Refuse what the server would refuse, too: in tests, both sessions are one.

        Raises:
            InvalidRequestError: There is something to write.
        """
        if self.new or self.deleted or any(map(self.is_modified, self.dirty)):
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
        sync_session_class={{ base }},
        **OPTIONS,
    )


@lru_cache
def get_read_session_factory() -> async_sessionmaker[AsyncSession]:
    """Return the factory of sessions that only read: a `DatabaseReadSession`."""
    return async_sessionmaker(
        get_read_engine(),
        sync_session_class=ReadSession,
        **OPTIONS,
    )
{% endcall %}
