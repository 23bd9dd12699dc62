"""Errors, answered as problem details (RFC 9457) and documented as such."""

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from app.database.dialects import Fault, describe, dialect_of
from app.logs import request_id
from app.settings import get_settings

logger = logging.getLogger(__name__)

PHRASES = {status.value: status.phrase for status in HTTPStatus}
MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100
"""Fields that one answer blames: a request could have any number of them."""

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds after which a client may try again."""

CREATED: dict[int | str, dict[str, Any]] = {
    201: {
        "headers": {
            "Location": {
                "description": "The path of what was created.",
                "required": True,
                "schema": {"type": "string"},
            }
        }
    }
}
"""OpenAPI's description of an answer to a successful POST."""


class InvalidField(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int] = Field(
        description="Where: `body`, `query` or `path`, then the names that lead to it.",
    )
    msg: str = Field(description="What is wrong, for a person.")
    type: str = Field(description="What is wrong, for a program.")


class Problem(BaseModel):
    """Why a request failed (RFC 9457)."""

    type: str = Field(default="about:blank", description="The kind of problem.")
    title: str = Field(description="The meaning of the status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong this time.")
    instance: str = Field(description="The path of the request.")
    request_id: str = Field(
        description="The `X-Request-ID` of this answer, as in the log.",
    )
    errors: list[InvalidField] | None = Field(
        default=None,
        description="The fields that are to blame.",
    )


class ProblemResponse(JSONResponse):
    """A problem, as the body of an answer."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        # The name of an unknown field may be text that UTF-8 cannot express.
        return json.dumps(content, ensure_ascii=False).encode(errors="replace")


def problem(
    request: Request,
    code: int,
    detail: str,
    *,
    errors: list[InvalidField] | None = None,
    headers: dict[str, str] | None = None,
) -> ProblemResponse:
    """Return the answer that reports a problem.

    For exception handlers. A route raises instead: to return an answer, whichever,
    is success, and commits.
    """
    content = Problem(
        title=PHRASES.get(code, "Error"),
        status=code,
        detail=detail,
        instance=request.url.path,
        request_id=request_id.get(),
        errors=errors,
    )
    return ProblemResponse(content.model_dump(exclude_none=True), code, headers)


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the problems that a route may answer."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {
        code: {
            "description": PHRASES[code],
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for code in codes
    }


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an `HTTPException`, from a route or from the framework."""
    assert isinstance(error, HTTPException)  # noqa: S101  (tells the type checker)
    headers = dict(error.headers or {})
    if error.status_code == status.HTTP_405_METHOD_NOT_ALLOWED:
        methods = allowed_methods(request)
        headers |= {"Allow": ", ".join(methods)} if methods else {}
    return problem(request, error.status_code, str(error.detail), headers=headers)


def allowed_methods(request: Request) -> list[str]:
    """Return the methods of a path (RFC 9110, 15.5.6); a route knows only its own."""
    operations = (
        operations
        for path, operations in request.app.openapi()["paths"].items()
        if compile_path(path)[0].fullmatch(request.url.path)
    )
    return sorted(method.upper() for methods in operations for method in methods)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer a request that does not fit the schema.

    The values themselves are left out: they may be secret, or not fit into JSON.
    """
    assert isinstance(error, RequestValidationError)  # noqa: S101
    errors = [
        InvalidField(
            loc=list(item["loc"]),
            msg=item["msg"],
            type=item["type"],
        )
        for item in error.errors()[:MOST_ERRORS]
    ]
    detail = "The request does not fit the schema."
    code = status.HTTP_422_UNPROCESSABLE_CONTENT
    return problem(request, code, detail, errors=errors)


async def on_database_error(request: Request, error: Exception) -> Response:
    """Answer what the database reported: by its cause, and without its words."""
    if isinstance(error, StaleDataError):
        detail = "Somebody else has changed or deleted it meanwhile."
        return problem(request, status.HTTP_409_CONFLICT, detail)
    if isinstance(error, PoolTimeoutError):
        return unavailable(request, "Too many requests are waiting for the database.")
    if not isinstance(error, DBAPIError):
        raise error
    dialect = dialect_of(get_settings().database_url)
    if violation := dialect.violation(error):
        errors = [
            InvalidField(
                loc=["body", name],
                msg=violation.message,
                type=violation.type,
            )
            for name in violation.fields
        ]
        what = " and ".join(violation.fields) or "A value"
        detail = f"{what} {violation.message}."
        return problem(request, violation.status, detail, errors=errors or None)
    fault = dialect.diagnose(error)
    if fault in {Fault.UNKNOWN, Fault.PRIVILEGE}:  # to repeat it would not help
        raise error
    logger.warning("Database: %s", describe(error))
    if fault is Fault.BUSY:
        return unavailable(request, "The database took too long.")
    return unavailable(request, "The database cannot be reached.")


async def on_unexpected_error(request: Request, error: Exception) -> Response:
    """Answer a fault of the service; the server logs the traceback."""
    detail = "The service has failed to handle this request."
    code = status.HTTP_500_INTERNAL_SERVER_ERROR
    # This answer does not pass through the middleware that gives others their id.
    return problem(request, code, detail, headers={"X-Request-ID": request_id.get()})


def unavailable(request: Request, detail: str) -> ProblemResponse:
    """Return the answer to a request that may succeed when it is repeated."""
    code = status.HTTP_503_SERVICE_UNAVAILABLE
    return problem(request, code, detail, headers=RETRY_AFTER)


def install_problems(app: FastAPI) -> None:
    """Make `app` answer every error with a problem, and say so in its schema."""
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(SQLAlchemyError, on_database_error)
    app.add_exception_handler(Exception, on_unexpected_error)

    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generate()
        template = "#/components/schemas/{model}"
        component = Problem.model_json_schema(ref_template=template)
        components = schema["components"]["schemas"]
        components |= component.pop("$defs")
        components[Problem.__name__] = component
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
