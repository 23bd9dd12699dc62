{% from "engine.jinja" import engine, await with context %}
{% set pg = cookiecutter.database == "postgresql" %}
"""Requests that are done once, however often they are sent.

`APIRouter(..., route_class=IdempotentRoute)`: each POST and PATCH takes a header
`Idempotency-Key`, which the client makes up for each thing that it wants done. It
sends the same one again when it does not know what became of the first.
(draft-ietf-httpapi-idempotency-key-header)
"""

import hashlib
import json
import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Request, Response, status
from fastapi.routing import APIRoute
from sqlalchemy import delete, select{{ ", text" if pg }}
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.orm import object_session
from starlette.requests import ClientDisconnect

from app.dependencies.database import DatabaseSession, open_session
from app.models.idempotency_key import IdempotencyKey
from app.web.problems import RETRY_AFTER, OutcomeUnknownError, problems

METHODS = {"POST", "PATCH"}
"""Those of requests that do more when they are repeated."""

CALLER = ("Authorization", "X-API-Key")
"""The headers that say who asks: the key of one is not the key of another."""

LIFETIME = timedelta(days=1)
"""For how long a key is known."""
{% if pg %}

LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))")
{% endif %}


class AnsweredError(Exception):
    """The request was done before; this holds its answer."""


def digest(*parts: str | bytes | None) -> str:
    """Return a hash of some parts."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def without_boundary(request: Request) -> bytes:
    """Return the body; a form with files has another boundary each time it is sent."""
    body: bytes = request.state.body
    kind = request.headers.get("Content-Type", "")
    found = re.search(r'(?i)^multipart/.*boundary="?([^";,]+)', kind)
    return body.replace(found[1].encode(), b"") if found else body


def still_running() -> HTTPException:
    """Return what is raised where the first request with the key is not over yet."""
    detail = "A request with this Idempotency-Key is still running."
    return HTTPException(status.HTTP_409_CONFLICT, detail, headers=RETRY_AFTER)


{% call engine() %}
async def begin(
    request: Request,
    session: DatabaseSession,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> None:
    """Note the key of a request, or find what it was answered before.

    Raises:
        AnsweredError: It was done before.
        HTTPException: 409, it is still running; 422, the key was for another one.
        OutcomeUnknownError: It has failed after a commit of its own.
    """
    if idempotency_key is None or request.method not in METHODS:
        return
    caller = (request.headers.get(name) for name in CALLER)
    key = digest(idempotency_key, request.method, request.url.path, *caller)
    content = digest(request.url.query, without_boundary(request))
{% if pg %}
    if not await session.scalar(LOCK, {"key": key}):
        raise still_running()
{% endif %}
    query = select(IdempotencyKey).where(IdempotencyKey.key == key)
    known = await session.scalar(query)
    if known is not None and known.created_at < datetime.now(UTC) - LIFETIME:
        await session.delete(known)
        await session.flush()
        known = None
    if known is not None:
        if known.request != content:
            detail = "This Idempotency-Key was sent with another request."
            raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, detail)
        if not known.status:  # its route has committed before it failed
            raise OutcomeUnknownError("The first request has stored a part of it.")
        raise AnsweredError(known)
    request.state.idempotency_key = IdempotencyKey(key=key, request=content)
    session.add(request.state.idempotency_key)
    try:
        await session.flush()
    except IntegrityError:  # the other one was faster
        raise still_running() from None


async def forget_keys() -> None:
    """Delete the keys that are too old. For a job that runs once a day, say."""
    old = IdempotencyKey.created_at < datetime.now(UTC) - LIFETIME
    async with open_session() as session:
        await session.execute(delete(IdempotencyKey).where(old))


{% endcall %}
def answer_again(known: IdempotencyKey) -> Response:
    """Return the answer to the first request."""
    response = Response(known.body, known.status)
    for name, value in json.loads(known.headers):
        response.headers.append(name, value)
    return response


class IdempotentRoute(APIRoute):
    """A route that does a request once; one without a key is done each time."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if METHODS & {one.upper() for one in options.get("methods") or ()}:
            dependencies = options.get("dependencies") or ()
            options["dependencies"] = [*dependencies, Depends(begin)]
            known = options.get("responses") or {}
            options["responses"] = problems(409, 422) | known
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if not METHODS & set(self.methods or ()):
            return handle

        async def handle_once(request: Request) -> Response:
            if "Idempotency-Key" not in request.headers:
                return await handle(request)
            try:
                request.state.body = await request.body()
            except ClientDisconnect:
                detail = "The body is not complete."
                raise HTTPException(status.HTTP_400_BAD_REQUEST, detail) from None
            try:
                response = await handle(request)
            except AnsweredError as error:
                return answer_again(error.args[0])
            # The session is committed after this, with what the route has written.
            if row := getattr(request.state, "idempotency_key", None):
                if object_session(row) is None:
                    what = "the route has rolled back what its Idempotency-Key needs"
                    raise InvalidRequestError(f"{what}: use session.begin_nested()")
                if not hasattr(response, "body"):
                    what = "take this route to a router without IdempotentRoute"
                    raise InvalidRequestError(f"a stream cannot be kept: {what}")
                headers = [one for one in response.headers.items() if one[0] != "content-length"]
                row.headers, row.status = json.dumps(headers), response.status_code
                row.body = bytes(response.body)
            return response

        return handle_once
