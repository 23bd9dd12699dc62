{% from "engine.jinja" import await with context %}
"""The start and the end of the service."""

import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.database.engine import get_engine, get_read_engine
from app.database.startup import DatabaseNotReadyError, open_database
from app.logs import configure_logging
from app.settings import get_settings
from app.web import telemetry

logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database before the first request; close it after the last."""
    configure_logging()
    settings = get_settings()
    engine = get_engine()
    try:
        {{ await }}open_database(
            engine,
            prepare=settings.database_prepare_on_startup,
            patience=settings.database_startup_timeout,
        )
        if telemetry.is_on():
            engines = {"app": engine{{ ".sync_engine" if cookiecutter.engine == "async" else "" }}, "read": get_read_engine(){{ ".sync_engine" if cookiecutter.engine == "async" else "" }}}
            telemetry.observe_database(engines)
        spare_garbage_collection()
        yield
    finally:
        {{ await }}engine.dispose()
        {{ await }}get_read_engine().dispose()
        logger.info("Database: closed")


def spare_garbage_collection() -> None:
    """Never look through what the start has made, and seldom through the rest.

    Most of what a request makes ends with it, by counting references; looking for
    cycles every 700 objects would take a seventh of its time.
    """
    gc.freeze()
    gc.set_threshold(10_000, *gc.get_threshold()[1:])


class OneLineStartupError:
    """Says in one line that the database is not ready, instead of a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or the start and the end."""

        async def send_one_line(message: Message) -> None:
            error = sys.exception()
            if isinstance(error, DatabaseNotReadyError) and "message" in message:
                line = f"The database is not ready: {error}"
                message = {**message, "message": line}
            await send(message)

        is_lifespan = scope["type"] == "lifespan"
        await self.app(scope, receive, send_one_line if is_lifespan else send)
