"""What happens to connections beside the requests that use them."""

import re
import time
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import InvalidatePoolError, InvalidRequestError
from sqlalchemy.pool import ConnectionPoolEntry

from app.database import dialect
from app.database.errors import {{ "UnknownOutcomeError, " if cookiecutter.database != "sqlite" }}connection_of

ONLY_READS = "a DatabaseReadSession only reads: take a DatabaseSession to write"

NOISE = re.compile(r"'[^']*'|--.*\n|/\*(?!M?!)[\s\S]*?\*/")
"""Texts, and comments, but those that MySQL executes."""

PLAIN = re.compile(
    r"[\s(]*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|REPLACE|VALUES|WITH|CALL|EXPLAIN|SHOW"
    r"|{{ "BEGIN|" if cookiecutter.database == "sqlite" }}SAVEPOINT|RELEASE|ROLLBACK)\b",
    re.IGNORECASE,
)
"""How a statement begins that changes rows, or nothing, but not its connection."""

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


{% if cookiecutter.database != "sqlite" %}
def report_unknown_outcomes(engine: Engine) -> None:
    """Raise an error of its own when nobody knows whether COMMIT was done."""

    # To note when COMMIT begins, by events, would cost more in each request.
    @event.listens_for(engine, "handle_error")
    def report(context: ExceptionContext) -> UnknownOutcomeError | None:
        error = context.original_exception
        if context.statement is not None or context.execution_context is not None:
            return None
        if connection_of(context) is None or not context.is_disconnect:
            return None
        if not isinstance(error, Exception) or dialect.code(error) in dialect.ENDED:
            return None
        # Nothing else tells what SQLAlchemy was about to do.
        trace = error.__traceback__
        if trace is not None and "rollback" in trace.tb_frame.f_code.co_name:
            return None
        return UnknownOutcomeError(dialect.describe(error))


{% endif %}
@lru_cache
def leaves_no_trace(statement: str) -> bool:
    """Tell whether a connection is, after its transaction, as it was before."""
{% if cookiecutter.database == "postgresql" %}
    statement = dialect.LOCAL.sub("SELECT", statement)
{% endif %}
    text = NOISE.sub(" ", statement).rstrip("; \n")
    if PLAIN.match(text) is None or ";" in text:
        return False
    return dialect.TRACES.search(text) is None


def close_changed_connections(engine: Engine) -> None:
    """Close a connection that may not be as it was, instead of lending it again.

    To ask, or to reset, each one would cost a round trip in each request.
    """

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


def close_read_only_connections(engine: Engine) -> None:
    """Keep no connection from a time in which the server only reads, as a standby.

    It would be in the way of those who write when that time is over.
    """

    @event.listens_for(engine, "handle_error")
    def close(context: ExceptionContext) -> None:
        if dialect.code(context.original_exception) not in dialect.REFUSALS:
            return
        context.is_disconnect = True
        connection = connection_of(context)
        if connection is not None and "changed" in connection.info:
            context.invalidate_pool_on_disconnect = False  # nor are others


def refuse_writes(engine: Engine) -> None:
    """Let the server refuse to write, and say whose fault that is: not the server's."""

    @event.listens_for(engine, "connect")
    def execute(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
{% if cookiecutter.database == "postgresql" and cookiecutter.engine == "async" %}
        try:
            cursor.execute(dialect.REFUSE_WRITES)
        except OSError as error:  # a time-out: asyncpg lets it through, as it is
            dbapi = engine.dialect.loaded_dbapi
            raise dbapi.OperationalError(str(error), error) from error
{% else %}
        cursor.execute(dialect.REFUSE_WRITES)
{% endif %}
        cursor.close()

    @event.listens_for(engine, "handle_error")
    def explain(context: ExceptionContext) -> InvalidRequestError | None:
        code = dialect.code(context.original_exception)
        return InvalidRequestError(ONLY_READS) if code in dialect.REFUSALS else None
