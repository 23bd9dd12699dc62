"""What happens to connections beside the requests that use them."""

import time
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.exc import InvalidatePoolError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from app.database.dialects import Dialect, describe

ONLY_READS = "a DatabaseReadSession only reads: take a DatabaseSession to write"

IDLE = 1
"""Seconds without use after which a connection is tested before it is lent."""


def replace_broken_connections(engine: Engine) -> None:
    """Test each connection of a pool that has been idle, before it is lent.

    SQLAlchemy's own `pool_pre_ping` tests each time, which costs a busy service up
    to three round trips in each request. The price is that of connections which
    broke less than a second ago one request finds out, with a 503.
    """

    @event.listens_for(engine, "checkin")
    def note_time(connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def test(connection: Any, record: Any, proxy: Any) -> None:
        used = record.info.get("used")
        if used is None or time.monotonic() - used < IDLE:
            return
        try:
            works = engine.dialect.do_ping(connection)
        except Exception:  # noqa: BLE001  (a new connection will say what is wrong)
            works = False
        if not works:
            raise InvalidatePoolError


class UnknownOutcomeError(SQLAlchemyError):
    """COMMIT was sent, and the connection has broken: it may have been done."""


def report_unknown_outcomes(engine: Engine, dialect: Dialect) -> None:
    """Raise an error of its own when nobody knows whether COMMIT was done."""

    @event.listens_for(engine, "begin")
    def forget(connection: Connection) -> None:
        connection.info.pop("commits", None)

    @event.listens_for(engine, "commit")
    def note(connection: Connection) -> None:
        connection.info["commits"] = True

    @event.listens_for(engine, "handle_error")
    def report(context: ExceptionContext) -> UnknownOutcomeError | None:
        error = context.original_exception
        if context.statement is not None or not isinstance(error, Exception):
            return None
        if context.connection is None or not context.is_disconnect:
            return None
        commits = "commits" in context.connection.info
        known = dialect.code(error) in dialect.ended
        return UnknownOutcomeError(describe(error)) if commits and not known else None


def close_changed_connections(engine: Engine, dialect: Dialect) -> None:
    """Close a connection that may not be as it was, instead of lending it again.

    To ask, or to reset, each one would cost a round trip in each request.
    """
    leaves_no_trace = lru_cache(dialect.leaves_no_trace)

    # The event of connections, before_cursor_execute, would cost more in each request.
    @event.listens_for(engine, "do_execute")
    @event.listens_for(engine, "do_execute_no_params")
    @event.listens_for(engine, "do_executemany")
    def note(cursor: Any, statement: str, *others: Any) -> None:
        if not leaves_no_trace(statement):
            others[-1].root_connection.info["changed"] = True

    @event.listens_for(engine, "checkin")
    def close(connection: Any, record: ConnectionPoolEntry) -> None:
        if "changed" in record.info:
            record.invalidate()


def close_read_only_connections(engine: Engine, dialect: Dialect) -> None:
    """Keep no connection from a time in which the server only reads, as a standby.

    It would be in the way of those who write when that time is over.
    """

    @event.listens_for(engine, "connect")
    def note(connection: Any, record: ConnectionPoolEntry) -> None:
        if dialect.opened_read_only(record.driver_connection):
            record.info["changed"] = True

    @event.listens_for(engine, "handle_error")
    def close(context: ExceptionContext) -> None:
        if dialect.code(context.original_exception) not in dialect.refusals:
            return
        context.is_disconnect = True
        if context.connection is not None and "changed" in context.connection.info:
            context.invalidate_pool_on_disconnect = False  # nor are others


def execute_on_connect(engine: Engine, statement: str) -> None:
    """Execute a statement on each new connection."""

    @event.listens_for(engine, "connect")
    def execute(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()


def explain_refusals(engine: Engine, dialect: Dialect) -> None:
    """Say whose fault it is that the server refuses a write: not the server's."""

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> InvalidRequestError | None:
        code = dialect.code(context.original_exception)
        return InvalidRequestError(ONLY_READS) if code in dialect.refusals else None
