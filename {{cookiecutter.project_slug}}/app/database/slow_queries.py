"""A warning for each statement that takes long."""

import logging
import re
import time
from typing import Any

from sqlalchemy import Engine, ExceptionContext, event

from app.settings import Settings

logger = logging.getLogger(__name__)

LONGEST = 2_000
"""Characters of a statement, or of its values, in a line of the log."""


def log_slow_queries(engine: Engine, settings: Settings) -> None:
    """Log each statement that takes as long as the settings say, a failed one too."""

    def report(context: Any, statement: str, parameters: Any) -> None:
        seconds = time.perf_counter() - context.started
        if seconds < settings.database_slow_query:
            return
        text = re.sub(r"\s+", " ", statement).strip()[:LONGEST]
        if not settings.database_hide_parameters:
            text += f" {parameters!r}"[:LONGEST]
        logger.warning("Database: slow query, %.3f s: %s", seconds, text)

    @event.listens_for(engine, "before_cursor_execute", named=True)
    def start(context: Any, **others: Any) -> None:
        context.started = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute", named=True)
    def end(context: Any, statement: str, parameters: Any, **others: Any) -> None:
        report(context, statement, parameters)

    @event.listens_for(engine, "handle_error")
    def fail(error: ExceptionContext) -> None:
        if hasattr(error.execution_context, "started"):
            report(error.execution_context, str(error.statement), error.parameters)
