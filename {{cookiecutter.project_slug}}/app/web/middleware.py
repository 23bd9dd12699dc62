"""What each request passes: its id, the bound of its body, the end of a WebSocket."""

import random
import re
from contextlib import suppress

from fastapi import HTTPException, WebSocketDisconnect, status
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import request_id
from app.web.lifespan import collect_soon

HEADER = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._=+/:-]{1,128}")
"""What is taken over from a client: it ends up in logs and headers."""

BODY = "app.body"
"""Where a request has the parts of its body: nobody can receive them twice."""

KEPT = 2**20
"""Bytes of it that are kept, at most."""

ANSWER = "websocket.http.response."


def new_id() -> str:
    """Return the id of the trace, where there is one, or what looks the same.

    It is no secret. `uuid4` asks the system, and while it waits another thread runs.
    """
    trace_id = trace.get_current_span().get_span_context().trace_id
    return f"{trace_id or random.getrandbits(128):032x}"


def request_ids(app: ASGIApp) -> ASGIApp:
    """Give each request an id: the one that it brings, if that is sane, or a new one.

    Nothing takes the id away again: the server logs failures after this has returned.
    Each request is handled in a task of its own, and the id ends with that.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        current = dict(scope["headers"]).get(HEADER, b"")
        if not SANE.fullmatch(current):
            current = new_id().encode()
        request_id.set(current.decode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, current)]
            await send(message)

        await app(scope, receive, send_with_id)

    return handle


def body_limit(app: ASGIApp, most: int) -> ASGIApp:
    """Refuse a body of more bytes; clean up after clients that have gone.

    FastAPI's own limit may answer in plain text.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        received = 0
        is_gone = False
        parts: list[bytes] = []
        scope[BODY] = parts

        async def receive_a_part() -> Message:
            nonlocal received, is_gone
            message = await receive()
            is_gone = is_gone or message["type"] == "http.disconnect"
            part = message.get("body", b"")
            received += len(part)
            if received > most:
                detail = f"The body has more than {most} bytes."
                raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, detail)
            if received <= KEPT:
                parts.append(part)
            return message

        try:
            await app(scope, receive_a_part, send)
        finally:
            if is_gone:
                collect_soon()

    return handle


def close_on_error(app: ASGIApp) -> ASGIApp:
    """Close a WebSocket on which something fails, with a code.

    Until it is accepted, the answer is that to a request. Then it becomes a code:
    1008 for a fault of the client, 1011 for one of the service, which is logged.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await app(scope, receive, send)
            return
        sent = set()

        async def send_or_close(message: Message) -> None:
            if "websocket.accept" in sent and message["type"].startswith(ANSWER):
                if "websocket.close" in sent:
                    return
                is_ours = message["status"] >= status.HTTP_500_INTERNAL_SERVER_ERROR
                code = status.WS_1011_INTERNAL_ERROR
                code = code if is_ours else status.WS_1008_POLICY_VIOLATION
                message = {"type": "websocket.close", "code": code}
            sent.add(message["type"])
            await send(message)

        try:
            await app(scope, receive, send_or_close)
        except WebSocketDisconnect:  # the client has closed it
            return
        except Exception:
            if "websocket.accept" in sent:
                with suppress(OSError):  # the client has gone
                    await send_or_close({"type": f"{ANSWER}start", "status": 500})
            raise

    return handle
