{% from "engine.jinja" import await with context %}
"""The start and the end of the service."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager{{ ", suppress" if cookiecutter.engine == "async" }}

from fastapi import FastAPI

from app.database.engine import get_engine, get_read_engine
from app.database.startup import open_database
from app.logs import configure_logging
from app.settings import get_settings

logger = logging.getLogger(__name__)

{% if cookiecutter.engine == "async" %}
PATIENCE = 2
"""Seconds to close the connections of a pool."""

{% endif %}
SOON = 0.5
"""Seconds after a client has gone."""

planned: list[asyncio.TimerHandle] = []
"""When that will be."""


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
        spare_garbage_collection()
        yield
    finally:
        for one in (engine, get_read_engine()):
{% if cookiecutter.engine == "async" %}
            with suppress(TimeoutError):  # a silent server: each would be waited for
                async with asyncio.timeout(PATIENCE):
                    await one.dispose()
{% else %}
            one.dispose()
{% endif %}
        logger.info("Database: closed")


def spare_garbage_collection() -> None:
    """Never look through what the start has made, and seldom through the rest.

    Most of what a request makes ends with it, by counting references; looking for
    cycles every 700 objects would take a seventh of its time.
    """
    gc.freeze()
    gc.set_threshold(10_000, *gc.get_threshold()[1:])


def collect_soon() -> None:
    """Let go of what a client who has gone has left half done.

    The generator of a stream keeps its session until it is collected, which may take
    long: see above.
    """
    loop = asyncio.get_running_loop()
    if not planned or planned[0].when() < loop.time() + SOON / 2:
        planned[:] = [loop.call_later(SOON, gc.collect)]
