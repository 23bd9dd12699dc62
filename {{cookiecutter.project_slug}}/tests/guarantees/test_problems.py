{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Errors: problem details throughout, and no secrets; an id leads to the log."""

import json
import logging
from typing import Annotated

import pytest
from sqlalchemy import text

from app.dependencies.database import DatabaseSession
from app.logs import JSONFormatter
from app.schemas.base import Input
from app.schemas.types import Text
from tests.client import Client
from tests.guarantees.own import OwnBook, OwnShelf, router

JSON = {"Content-Type": "application/json"}
MEMBERS = {"type", "title", "status", "detail", "instance", "request_id"}


class Shelf(Input):
    """A body."""

    name: Annotated[str, Text(50)]
    shelf_id: int | None = None
    pages: int | None = None


@router.post("/body", status_code=201)
async def store_body(body: Shelf, session: DatabaseSession) -> int:
    """Store a shelf, or a book where the body is one."""
    row: OwnShelf | OwnBook = OwnShelf(name=body.name)
    if body.shelf_id:
        row = OwnBook(title=body.name, shelf_id=body.shelf_id, pages=body.pages)
    session.add(row)
    await session.flush()
    return row.id


@router.delete("/shelves/{own_shelf_id}", status_code=204)
async def delete_shelf(own_shelf_id: int, session: DatabaseSession) -> None:
    """Delete a shelf."""
    await session.delete(await session.get_one(OwnShelf, own_shelf_id))


@router.post("/twin", status_code=201)
async def store_made_up(session: DatabaseSession) -> None:
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


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"null", 422),
        (b'{"name": NaN}', 422),
        (b'{"name": "\\ud800", "\\udfff": 1}', 422),
        (b'{"name": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b" " * 2**20, 422),
        (b" " * 2**20 + b" ", 413),
    ],
)
async def test_malformed_body(client: Client, content: bytes, status: int) -> None:
    """Whatever is sent, the answer is a problem and not a failure."""
    for more in ({}, {"Transfer-Encoding": "chunked"}):
        headers = JSON | more
        response = await client.post("/own/body", content=content, headers=headers)
        assert response.status_code == response.json()["status"] == status


TAKEN, MISSING = "is already taken", "refers to something that does not exist"
VIOLATIONS = [
    ({"name": "a", "shelf_id": None}, 409, "name", TAKEN),
    ({"shelf_id": 2**30}, 409, "shelf_id", MISSING),
    ({"pages": 0}, 422, "pages", "is outside its bounds"),
    ({"pages": None}, 422, "pages", "must not be null"),
]


@pytest.mark.usefixtures("known_tables")
@pytest.mark.parametrize(("change", "status", "field", "words"), VIOLATIONS)
async def test_violation(
    client: Client,
    change: dict[str, object],
    status: int,
    field: str,
    words: str,
) -> None:
    """A constraint that no schema knows is an answer, too: it names the field."""
    key = (await client.post("/own/shelves?name=a")).json()
    book = {"name": "b", "shelf_id": key, "pages": 1}
    response = await client.post("/own/body", json=book | change)
    problem = response.json()
    assert (response.status_code, problem["detail"]) == (status, f"{field} {words}.")
    assert [error["loc"] for error in problem["errors"]] == [["body", field]]


@pytest.mark.usefixtures("known_tables")
async def test_row_that_is_referred_to(client: Client) -> None:
    """Who deletes it hears that; who has sent nothing is not blamed."""
    key = (await client.post("/own/shelves?name=a")).json()
    url = f"/own/shelves/{key}"
    book = {"name": "b", "shelf_id": key, "pages": 1}
    assert (await client.post("/own/body", json=book)).status_code == 201
    response = await client.delete(url)
    assert response.status_code == 409
    assert "is still referred to" in response.json()["detail"]
    assert (await client.post("/own/twin")).status_code == 500
{% endcall %}
