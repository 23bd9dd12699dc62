{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% call engine() %}
"""The factory of sessions."""

{% if is_async %}
import asyncio
{% endif %}
from functools import lru_cache{{ ", wraps" if is_async else "" }}
{% if is_async %}
from inspect import iscoroutinefunction
{% endif %}
from typing import Any

from sqlalchemy import event
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
ENDS = {"aclose", "close", "invalidate", "reset", "rollback"}
"""Methods that wait for another task, instead of refusing."""


class OneTaskSession(AsyncSession):
    """A session that refuses to serve two tasks at once.

    Drivers differ in what they make of it, from an error to a silent loss of rows.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lock = asyncio.Lock()
        self.user: asyncio.Task[Any] | None = None


def one_at_a_time(name: str, method: Any) -> Any:
    """Return a method of `AsyncSession` that raises while another one is under way.

    What ends the transaction waits instead: when one task has failed, another one
    may be in the middle of a statement.
    """

    @wraps(method)
    async def guarded(self: OneTaskSession, *args: Any, **kwargs: Any) -> Any:
        task = asyncio.current_task()
        if self.user is task:  # one of these methods calls another
            return await method(self, *args, **kwargs)
        if self.lock.locked() and name not in ENDS:
            what = "another task uses this session: give each task a session of its own"
            raise InvalidRequestError(f"{name}() while {what}")
        async with self.lock:
            self.user = task
            try:
                return await method(self, *args, **kwargs)
            finally:
                self.user = None

    return guarded


for name, method in vars(AsyncSession).items():
    if iscoroutinefunction(method) and not name.startswith("_"):
        setattr(OneTaskSession, name, one_at_a_time(name, method))


{% endif %}
{% if not is_async %}

{% endif %}
class ReadSession(TrackingSession):
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
{% if is_async %}
        class_=OneTaskSession,
        sync_session_class=TrackingSession,
{% else %}
        class_=TrackingSession,
{% endif %}
        **OPTIONS,
    )


@lru_cache
def get_read_session_factory() -> async_sessionmaker[AsyncSession]:
    """Return the factory of sessions that only read: a `DatabaseReadSession`."""
    return async_sessionmaker(
        get_read_engine(),
{% if is_async %}
        class_=OneTaskSession,
        sync_session_class=ReadSession,
{% else %}
        class_=ReadSession,
{% endif %}
        **OPTIONS,
    )
{% endcall %}
