"""Errors, answered as problem details (RFC 9457) and documented as such."""

import builtins
import http.client
import json
import logging
from collections.abc import Mapping
from inspect import isawaitable
from typing import Any, ClassVar, get_origin, get_type_hints

from fastapi import FastAPI, Request, Response, status
from fastapi import HTTPException as FastAPIHTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.utils import is_body_allowed_for_status_code
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import models_json_schema
from pydantic_core import to_jsonable_python
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from app.database import dialect, errors
from app.database.diagnosis import diagnose, field_names, find_violation
from app.database.errors import UnknownOutcomeError, Violation
from app.logs import request_id
from app.web.request_fields import find_fields

logger = logging.getLogger(__name__)

COMPONENT = "#/components/schemas/{model}"
MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100
"""Fields that one answer blames: a request could have any number of them."""

IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
"""Methods of requests that do no more when they are repeated (RFC 9110, 9.2.2)."""

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds after which a client may try again."""

CREATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": {"Location": {"required": True, "schema": {"type": "string"}}}}
}
"""OpenAPI's description of an answer to a successful POST."""


class InvalidField(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    loc: list[str | int]
    """Where: `body`, `query` or `path`, then the names that lead to it."""
    msg: str
    """What is wrong, for a person."""
    type: str
    """What is wrong, for a program."""


class Problem(BaseModel):
    """Why a request failed (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = "about:blank"
    """The kind of problem."""
    title: str
    """The meaning of the type, or of the status."""
    status: int
    """The HTTP status."""
    detail: str
    """What went wrong this time."""
    instance: str
    """The path of the request."""
    request_id: str
    """The `X-Request-ID` of this answer, as in the log."""
    errors: list[InvalidField] | None = None
    """The fields that are to blame."""


MODELS: dict[str, type[Problem]] = {Problem.__name__: Problem}
"""Those that routes refer to in their documentation."""


class ProblemError(FastAPIHTTPException):
    """A problem of a type of its own. A route raises it as any `HTTPException`.

    A subclass has a status, a type (a URI), a title, and an annotation for each
    further member, whose value is passed when it is raised.
    """

    status: ClassVar[int] = 400
    type: ClassVar[str] = "about:blank"
    title: ClassVar[str] = ""
    """Empty: that of the status."""

    def __init__(
        self,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        if taken := members.keys() & Problem.model_fields:
            raise TypeError(f"every problem has its own {', '.join(taken)}")
        super().__init__(self.status, detail, headers)
        self.members = members | self.constants()

    @classmethod
    def constants(cls) -> dict[str, Any]:
        """Return what is the same in each of them, beside the status."""
        return {"type": cls.type, "title": cls.title or phrase(cls.status)}

    @classmethod
    def model(cls) -> builtins.type[Problem]:
        """Return its form, for the documentation."""
        fields: dict[str, Any] = {}
        for name, hint in get_type_hints(cls, include_extras=True).items():
            if get_origin(hint) is not ClassVar:
                fields[name] = (hint, ...)
        for name, value in {**cls.constants(), "status": cls.status}.items():
            fields[name] = (type(value), Field(json_schema_extra={"const": value}))
        return create_model(
            cls.__name__,
            __base__=Problem,
            __doc__=cls.__doc__,
            **fields,
        )


class OutcomeUnknownError(ProblemError):
    """Nobody knows whether the request was done."""

    status = 503
    type = "/problems/outcome-unknown"
    title = "The outcome is unknown"


def phrase(code: int) -> str:
    """Return the meaning of a status."""
    return http.client.responses.get(code, "Error")


def problem(
    request: Request,
    code: int,
    detail: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer that reports a problem, with further members.

    For exception handlers. A route raises instead: to return an answer, whichever,
    is success, and commits.
    """
    content = {
        "type": "about:blank",
        "title": phrase(code),
        **(members or {}),
        "status": code,
        "detail": detail or phrase(code),
        "instance": request.url.path,
        "request_id": request_id.get(),
    }
    text = json.dumps(
        to_jsonable_python(content, inf_nan_mode="null"),
        ensure_ascii=False,
    )
    # The name of an unknown field may be text that UTF-8 cannot express.
    return Response(text.encode(errors="replace"), code, headers, MEDIA_TYPE)


def problems(*kinds: int | type[ProblemError]) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of the problems that a route may answer."""
    schemas: dict[int, list[dict[str, str]]] = {}
    for kind in kinds:
        if isinstance(kind, int):
            code, model = kind, Problem
        else:
            code, model = kind.status, kind.model()
            MODELS[model.__name__] = model
        reference = {"$ref": COMPONENT.format(model=model.__name__)}
        schemas.setdefault(code, []).append(reference)
    return {
        code: {
            "description": phrase(code),
            "content": {
                MEDIA_TYPE: {"schema": some[0] if len(some) == 1 else {"anyOf": some}},
            },
        }
        for code, some in schemas.items()
    }


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer an `HTTPException`, from a route or from the framework.

    FastAPI takes a detail of any kind: the items of a dict become members.
    """
    headers = dict(error.headers or {})
    if error.status_code == status.HTTP_405_METHOD_NOT_ALLOWED:
        methods = allowed_methods(request)
        headers |= {"Allow": ", ".join(methods)} if methods else {}
    if not is_body_allowed_for_status_code(error.status_code):
        return Response(status_code=error.status_code, headers=headers)
    detail: Any = error.detail
    members = error.members if isinstance(error, ProblemError) else {}
    if not isinstance(detail, str):
        members = detail if isinstance(detail, dict) else {"details": detail}
        detail = str(members.get("detail", ""))
    return problem(request, error.status_code, detail, members, headers)


async def on_exception_group(
    request: Request,
    error: ExceptionGroup[Exception],
) -> Response:
    """Answer what the tasks of a group have raised: the worst of it."""
    answers: list[Response] = []
    for one in error.exceptions:
        known = request.app.exception_handlers
        handler = next(known[kind] for kind in type(one).__mro__ if kind in known)
        if handler is on_unexpected_error:
            raise error
        answer = handler(request, one)  # a team's need not be a coroutine
        answers.append(await answer if isawaitable(answer) else answer)
    return max(answers, key=lambda answer: answer.status_code)


def allowed_methods(request: Request) -> list[str]:
    """Return the methods of a path (RFC 9110, 15.5.6); a route knows only its own."""
    # The prefix under which a proxy, or another application, serves this one.
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    operations = (
        operations
        for template, operations in request.app.openapi()["paths"].items()
        if compile_path(template)[0].fullmatch(path)
    )
    return sorted(method.upper() for methods in operations for method in methods)


async def on_invalid_request(
    request: Request,
    error: RequestValidationError,
) -> Response:
    """Answer a request that does not fit the schema.

    The values themselves are left out: they may be secret, or not fit into JSON.
    """
    names = ("loc", "msg", "type")
    found = error.errors()[:MOST_ERRORS]
    errors = [{name: one[name] for name in names} for one in found]
    detail = "The request does not fit the schema."
    code = status.HTTP_422_UNPROCESSABLE_CONTENT
    return problem(request, code, detail, {"errors": errors})


async def on_database_error(request: Request, error: Exception) -> Response:
    """Answer what the database reported: by its cause, and without its words."""
    if isinstance(error, StaleDataError):
        detail = "Somebody else has changed or deleted it meanwhile."
        return problem(request, status.HTTP_409_CONFLICT, detail)
    if isinstance(error, PoolTimeoutError):
        return unavailable(request, "Too many requests are waiting for the database.")
    if isinstance(error, UnknownOutcomeError):
        logger.warning("Database: COMMIT: %s", error)
        again = RETRY_AFTER if request.method in IDEMPOTENT else None
        detail = "It may have been done, or not: look before you repeat it."
        unknown = OutcomeUnknownError(detail, headers=again)
        return await on_http_exception(request, unknown)
    if not isinstance(error, DBAPIError):
        raise error
    if violation := find_violation(error):
        return await answer_violation(request, violation, error)
    fault = diagnose(error)
    if fault in {errors.UNKNOWN, errors.PRIVILEGE}:  # to repeat it would not help
        raise error
    logger.warning("Database: %s", dialect.describe(error))
    if fault is errors.BUSY:
        return unavailable(request, "The database took too long.")
    return unavailable(request, "The database cannot be reached.")


async def answer_violation(
    request: Request,
    violation: Violation,
    error: DBAPIError,
) -> Response:
    """Blame the fields that the request has sent; without one, raise the error.

    What a request has not sent, the service has made: the fault is its own. Only who
    deletes what others refer to need not have sent any of it.
    """
    kind, sent = violation.kind, await find_fields(request)
    fields = field_names(violation.columns)
    blamed = {name: sent[name] for name in fields if name in sent}
    if not blamed and kind.by_value:
        raise error
    if len(blamed) > 1 and not violation.is_certain:
        blamed = {}
    places = [places[0] for places in blamed.values() if len(places) == 1]
    what = " and ".join(blamed) or "A value"
    detail = f"{what} {kind.message}."
    said = {"msg": kind.message, "type": kind.name}
    members = {"errors": [{"loc": place, **said} for place in places]}
    return problem(request, kind.status, detail, members if places else None)


async def on_unexpected_error(request: Request, error: Exception) -> Response:
    """Answer a fault of the service; the server logs the traceback."""
    detail = "The service has failed to handle this request."
    code = status.HTTP_500_INTERNAL_SERVER_ERROR
    return problem(request, code, detail)


def unavailable(request: Request, detail: str) -> Response:
    """Return the answer to a request that may succeed when it is repeated."""
    code = status.HTTP_503_SERVICE_UNAVAILABLE
    return problem(request, code, detail, headers=RETRY_AFTER)


def install_problems(app: FastAPI) -> None:
    """Make `app` answer every error with a problem, and say so in its schema."""
    app.exception_handler(HTTPException)(on_http_exception)
    app.exception_handler(RequestValidationError)(on_invalid_request)
    app.exception_handler(SQLAlchemyError)(on_database_error)
    app.exception_handler(ExceptionGroup)(on_exception_group)
    app.exception_handler(Exception)(on_unexpected_error)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        schema = generate()
        _, definitions = models_json_schema(
            [(model, "serialization") for model in MODELS.values()],
            ref_template=COMPONENT,
        )
        schema["components"]["schemas"] |= definitions["$defs"]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
