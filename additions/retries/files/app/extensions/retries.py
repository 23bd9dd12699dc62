{% set pg = cookiecutter.database == "postgresql" %}
"""Requests that run again when the database asks for it: `app.dependencies.retries`."""

import asyncio
import random
import time
from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.database import dialect
from app.database.errors import cause_of
from app.web.problems import on_database_error

CONFLICTS = {{ '{"40001", "40P01"}' if pg else "{1020, 1213, 1412, 3101}" }}
"""The server's codes for {{ "serialization failures and deadlocks" if pg else "deadlocks, and rows that have changed since they were read" }}."""

MOST = 20
"""Times that a request runs, at most."""

PATIENCE = 10
"""Seconds after which a request does not run again."""

KEPT = 2**20
"""Bytes of a body that are kept: a request with a larger one runs once."""

LONGEST = 0.5
"""Seconds between two of them, at most."""


async def note_conflict(request: Request, error: DBAPIError) -> Response:
    """Answer what the database reported; note whether it asks to do it all again."""
    request.state.is_conflict = dialect.code(cause_of(error)) in CONFLICTS
    return await on_database_error(request, error)


async def run(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    is_last: Callable[[], bool],
) -> bool:
    """Run a request. Tell whether it is to run again: nothing was sent then."""
    state = {**scope.get("state", {})}
    runs_again = False

    async def send_the_last(message: Message) -> None:
        nonlocal runs_again
        if message["type"] == "http.response.start" and not is_last():
            is_conflict = state.get("is_conflict", False)
            runs_again = is_conflict and state.get("is_safe_to_retry", False)
        if not runs_again:
            await send(message)

    inner = {**scope, "state": state}
    await app(inner, receive, send_the_last)
    if not runs_again:
        scope.update(inner)  # such as the route, for middleware around this one
    return runs_again


def retries(app: ASGIApp) -> ASGIApp:
    """Run a request again, instead of sending the answer that it met a conflict."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        received: list[Message] = []
        position = number = size = 0
        end = time.monotonic() + PATIENCE

        async def receive_again() -> Message:
            nonlocal position, size
            if position < len(received):
                position += 1
                return received[position - 1]
            message = await receive()
            size += len(message.get("body", b""))
            if size > KEPT:
                received.clear()
                position = 0
            else:
                received.append(message)
                position += 1
            return message

        def is_last() -> bool:
            return number == MOST - 1 or size > KEPT or time.monotonic() > end

        while await run(app, scope, receive_again, send, is_last):
            position, number = 0, number + 1
            # At random, so that those who met do not meet again.
            longest = min(LONGEST, 2**number / 500)
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311  (no secret)

    return handle


def install(app: FastAPI) -> None:
    """Add it to the service."""
    app.exception_handler(DBAPIError)(note_conflict)
    app.add_middleware(retries)
