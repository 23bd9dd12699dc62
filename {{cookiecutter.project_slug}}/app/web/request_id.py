"""The id of a request: in its answer, in each line of the log, and in problems."""

import random
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import request_id
from app.web import telemetry

HEADER = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._=+/:-]{1,128}")
"""What is taken over from a client: it ends up in logs and headers."""


def new_id() -> str:
    """Return an id that no other request has, made as OpenTelemetry makes a trace's.

    It is no secret. `uuid4` asks the system, and while it waits another thread runs.
    """
    return f"{random.getrandbits(128):032x}"


class RequestID:
    """Gives each request an id: the one that it brings, if that is sane, or a new one.

    Nothing takes the id away again: the server logs failures after this has returned.
    Each request is handled in a task of its own, and the id ends with that.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.is_traced = telemetry.is_on()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        current = b""
        for name, value in scope["headers"]:
            if name == HEADER:
                current = value
        if not SANE.fullmatch(current):
            # That of its trace leads from an answer to the trace.
            trace = telemetry.current_trace_id() if self.is_traced else None
            current = (trace or new_id()).encode()
        request_id.set(current.decode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, current)]
            await send(message)

        await self.app(scope, receive, send_with_id)
