{% from "engine.jinja" import await with context %}
"""The start and the end of the service."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import telemetry
from app.database.engine import get_engine
from app.database.startup import DatabaseNotReadyError, open_database
from app.logs import configure_logging
from app.settings import get_settings

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
            telemetry.observe_database(engine{{ ".sync_engine" if cookiecutter.engine == "async" }})
        yield
    finally:
        {{ await }}engine.dispose()
        logger.info("Database: closed")


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
