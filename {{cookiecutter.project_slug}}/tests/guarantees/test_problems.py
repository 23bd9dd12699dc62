{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Errors: problem details throughout, and no secrets; an id leads to the log."""

import json
import logging
from typing import Annotated

import pytest
from fastapi import HTTPException
from pydantic import Field
from sqlalchemy import delete, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from app.database.errors import UnknownOutcomeError
from app.dependencies.database import DatabaseSession
from app.logs import JSONFormatter
from app.schemas.base import Input
from app.schemas.types import Text
from app.web.problems import ProblemError, problems
from tests.client import Client
from tests.guarantees.own import OwnBook, OwnShelf, router

MEMBERS = {"type", "title", "status", "detail", "instance", "request_id"}


class OutOfStockError(ProblemError):
    """There are fewer than the client asks for."""

    status = 409
    type = "/out-of-stock"
    title = "None left"
    available: int


class Book(Input):
    """A part of a body."""

    title: Annotated[str, Text(50)]
    shelf_id: int
    pages: int | None = Field(validation_alias="pageCount")


class Books(Input):
    """A body."""

    books: list[Book]


@router.post("/books", status_code=201)
async def store_books(body: Books, session: DatabaseSession) -> None:
    """Store books."""
    session.add_all(OwnBook(**book.model_dump()) for book in body.books)


@router.delete("/shelves", status_code=204)
async def delete_shelves(session: DatabaseSession) -> None:
    """Delete all shelves."""
    await session.execute(delete(OwnShelf))


@router.post("/twins", status_code=201)
async def store_twins(session: DatabaseSession) -> None:
    """Store twice what no request has sent."""
    session.add_all([OwnShelf(name="twin"), OwnShelf(name="twin")])


@router.post("/crash")
async def crash(session: DatabaseSession) -> None:
    """Fail, with a secret in the error and in the log."""
    logging.getLogger("app").warning("postgresql://ada:s3cret@host/name")
    await session.execute(text("SELECT secret FROM nowhere"))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/health/live", 405),
        ("POST", "/own/shelves", 422),
        ("POST", "/own/crash", 500),
    ],
)
async def test_problem(client: Client, method: str, path: str, status: int) -> None:
    """Every error has the same form, those of the framework too, and no secrets."""
    response = await client.request(method, path)
    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem.keys() - {"errors"} == MEMBERS
    assert problem["instance"] == path
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert ("errors" in problem) == (status == 422)
    assert response.headers.get("Allow") == ("GET" if status == 405 else None)
    for word in ("secret", "SELECT", "Traceback"):
        assert word not in response.text


async def test_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A line is an object, with the id that a request has brought, and no password."""
    caplog.handler.setFormatter(JSONFormatter())
    response = await client.post("/own/crash", headers={"X-Request-ID": "ada"})
    assert response.headers.get_list("X-Request-ID") == ["ada"]
    warning, failure = map(json.loads, caplog.text.splitlines())
    assert warning["message"] == "postgresql://ada:***@host/name"
    assert (warning["level"], warning["logger"]) == ("WARNING", "app")
    assert warning["request_id"] == failure["request_id"] == "ada"
    assert "nowhere" in failure["exception"]


BODIES = {
    b"": 422,
    b"{": 422,
    b"null": 422,
    b'{"title": NaN}': 422,
    b'{"title": "\\ud800", "\\udfff": 1}': 422,
    b'{"title": "\xff"}': 400,
    b"[" * 100_000: 400,
    json.dumps(dict.fromkeys(map(str, range(200)))).encode(): 422,
    b" " * 2**20: 422,
    b" " * (2**20 + 1): 413,
}


@router.get("/refusals/{name}", responses=problems(404, OutOfStockError))
async def refuse(name: str) -> None:
    """Raise what has this name."""
    refusals: dict[str, Exception] = {
        "own": OutOfStockError("Only 2 are left.", available=2),
        "dict": HTTPException(423, {"detail": "Locked.", "by": "ada"}),
        "list": HTTPException(423, [1]),
        "crash": ExceptionGroup("", [HTTPException(423), RuntimeError()]),
        "late": PoolTimeoutError(),
        "stale": StaleDataError(),
        "away": OperationalError(None, None, OSError()),
        "unknown": UnknownOutcomeError(),
    }
    group = ExceptionGroup("", [HTTPException(404), HTTPException(423, "Locked.")])
    raise refusals.get(name, group)


REFUSALS: dict[str, dict[str, object]] = {
    "own": {"type": "/out-of-stock", "title": "None left", "available": 2},
    "dict": {"status": 423, "detail": "Locked.", "by": "ada"},
    "group": {"status": 423, "detail": "Locked."},
    "list": {"type": "about:blank", "details": [1]},
    "crash": {"status": 500},
    "late": {"status": 503, "title": "Service Unavailable"},
    "stale": {"status": 409, "title": "Conflict"},
    "away": {"status": 503, "detail": "The database cannot be reached."},
    "unknown": {"status": 503, "type": "/problems/outcome-unknown"},
}


async def test_refusals(client: Client) -> None:
    """What a route raises is the answer: with a type and members of its own, too."""
    for name, expected in REFUSALS.items():
        response = await client.get(f"/own/refusals/{name}")
        assert response.json() | expected == response.json()
        assert response.status_code == response.json()["status"]
        assert (response.status_code == 503) == ("Retry-After" in response.headers)
    with pytest.raises(TypeError, match="its own status"):
        OutOfStockError("None are left.", status=200)
    assert OutOfStockError.model().model_fields.keys() > MEMBERS
    assert ProblemError("Refused.").status_code == 400


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
async def test_malformed_body(client: Client, headers: dict[str, str]) -> None:
    """Whatever is sent, up to a largest size, the answer is a problem."""
    headers = {"Content-Type": "application/json"} | headers
    for content, status in BODIES.items():
        response = await client.post("/own/books", content=content, headers=headers)
        assert response.status_code == response.json()["status"] == status
        assert len(response.json().get("errors", ())) <= 100


VIOLATIONS: list[tuple[dict[str, int | None], int, str]] = [
    ({"shelf_id": 2**30}, 409, "shelf_id refers to something that does not exist"),
    ({"pageCount": 0}, 422, "pages is outside its bounds"),
    ({"pageCount": None}, 422, "pages must not be null"),
]


@pytest.mark.usefixtures("known_tables")
async def test_violation(client: Client) -> None:
    """A constraint that no schema knows is an answer, too: it names the field.

    Who deletes what others refer to hears that; who has sent nothing is not blamed.
    """
    key = (await client.post("/own/shelves?name=a")).json()
    taken = (await client.post("/own/shelves?name=a")).json()
    assert (taken["status"], taken["detail"]) == (409, "name is already taken.")
    assert [error["loc"] for error in taken["errors"]] == [["query", "name"]]
    book = {"title": "b", "shelf_id": key, "pageCount": 1}
    books = {"books": [book]}
    assert (await client.post("/own/books", json=books)).status_code == 201
    for change, status, words in VIOLATIONS:
        [field] = change
        books = {"books": [book | change]}
        problem = (await client.post("/own/books", json=books)).json()
        assert (problem["status"], problem["detail"]) == (status, f"{words}.")
        [error] = problem["errors"]
        assert error["loc"] == ["body", "books", 0, field]
    problem = (await client.delete("/own/shelves")).json()
    assert (problem["status"], "errors" in problem) == (409, False)
    assert "is still referred to" in problem["detail"]
    assert (await client.post("/own/twins")).status_code == 500
{% endcall %}
