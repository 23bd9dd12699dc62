"""What happens to connections beside the requests that use them."""

import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

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


def execute_on_connect(engine: Engine, statement: str) -> None:
    """Execute a statement on each new connection."""

    @event.listens_for(engine, "connect")
    def execute(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
