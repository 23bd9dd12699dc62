{% set is_async = cookiecutter.engine == "async" %}
"""Health, for whoever starts, stops and balances the service."""

import asyncio
import logging
from typing import Literal

from fastapi import APIRouter, HTTPException, status
from pydantic import BaseModel

from app.database.engine import PROBE_TIMEOUT, get_probe_engine
from app.database.not_ready import DatabaseNotReadyError, one_line_errors
from app.database.startup import verify_database
from app.settings import get_settings
from app.web.problems import RETRY_AFTER, problems

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    """The answer of a service that is well."""

    status: Literal["ok"] = "ok"


class Probe:
    """A question to the database that is asked once at a time.

    When the database hangs, more questions would only take more connections.
    """

    def __init__(self) -> None:
        self.task: asyncio.Task[str | None] | None = None

    async def ask(self) -> str | None:
        """Return what is wrong with the database, or None."""
        if self.task is None or self.task.done():
            self.task = asyncio.create_task({{ "find_fault()" if is_async else "asyncio.to_thread(find_fault)" }})
        task = self.task  # the next request may put another one in its place
        done, _ = await asyncio.wait({task}, timeout=PROBE_TIMEOUT)
        return task.result() if done else f"no answer within {PROBE_TIMEOUT} s"


{{ "async " if is_async }}def find_fault() -> str | None:
    """Return what is wrong with the database, or None."""
    try:
        # Without a replica, the service can write, and reads from the primary.
        engine = get_probe_engine(get_settings().database_url)
        with one_line_errors():
            {{ "await " if is_async }}verify_database(engine, writes=True)
    except DatabaseNotReadyError as error:
        return str(error)
    return None


probe = Probe()


@router.head("/live", include_in_schema=False)
@router.get("/live")
async def live() -> Health:
    """Tell that the process handles requests; restart it when this fails."""
    return Health()


@router.head("/ready", include_in_schema=False)
@router.get("/ready", responses=problems(503))
async def ready() -> Health:
    """Tell whether the database does its part; send requests only while it does."""
    fault = await probe.ask()
    if fault is not None:
        logger.warning("Not ready: %s", fault)
        detail = "The database is not ready; the log says why."
        code = status.HTTP_503_SERVICE_UNAVAILABLE
        raise HTTPException(code, detail, headers=RETRY_AFTER)
    return Health()
