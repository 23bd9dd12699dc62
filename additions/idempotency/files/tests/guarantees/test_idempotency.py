{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% set sqlite = cookiecutter.database == "sqlite" %}
{% call engine() %}
"""Requests with an `Idempotency-Key`: done once, however often they are sent."""

{% if is_async %}
import asyncio
{% endif %}
import itertools
from collections.abc import AsyncIterator
{% if not is_async %}
from concurrent.futures import ThreadPoolExecutor
{% endif %}
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Response
from sqlalchemy import delete, func, select, update

from app.database.engine import get_engine
from app.dependencies.database import DatabaseSession, open_read_session, open_session
from app.models.base import Entity
from app.models.idempotency_key import IdempotencyKey
from app.web.idempotency import IdempotentRoute, forget_keys
from tests.client import Client
from tests.guarantees.own import OwnShelf

router = APIRouter(prefix="/once", route_class=IdempotentRoute, include_in_schema=False)
KEY = {"Idempotency-Key": "a"}
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


async def count(model: type[Entity | IdempotencyKey]) -> int:
    """Return the number of rows."""
    async with open_read_session() as session:
        return await session.scalar(select(func.count()).select_from(model)) or 0


@router.post("/shelves", status_code=201)
async def create_shelf(
    body: dict[str, str],
    session: DatabaseSession,
    response: Response,
) -> dict[str, Any]:
    """Store a shelf, each of another name."""
    number = await session.scalar(select(func.count()).select_from(OwnShelf))
    shelf = OwnShelf(name=f"{body['name']} {number}")
    session.add(shelf)
    await session.flush()
    if body.get("refuse") == "late":
        await session.commit()
    if "refuse" in body:
        raise HTTPException(418)
    response.headers["Location"] = f"/once/shelves/{shelf.id}"
    return {"id": shelf.id, "name": shelf.name}


turns = itertools.count()


@router.api_route("/turns", methods=["get", "post"])
async def take_turn() -> int:
    """Return another number each time."""
    return next(turns)


@pytest.fixture(scope="module")
async def started_client(app: FastAPI, started_client: Client) -> Client:
    """Add the routes to the service."""
    app.include_router(router)
    return started_client


@pytest.fixture
async def client(committing_client: Client) -> AsyncIterator[Client]:
    """Return a client whose sessions commit."""
    yield committing_client
    async with get_engine().begin() as connection:
        await connection.execute(delete(IdempotencyKey))


async def post(client: Client, headers: dict[str, str], **body: str) -> Any:
    """Send a request to store a shelf."""
    return await client.post("/once/shelves", json={"name": "a"} | body, headers=headers)


async def test_once(client: Client) -> None:
    """The same request gets the same answer; without a key it is another one."""
    first = await post(client, KEY)
    again = await post(client, KEY)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
    assert await count(OwnShelf) == 1
    for headers in ({}, {}, {"Idempotency-Key": "b"}, KEY | {"Authorization": "Ada"}):
        assert (await post(client, headers)).json() != first.json()
    assert await count(OwnShelf) == 5


async def test_another_request(client: Client) -> None:
    """A key is for one request: 422 tells who takes it for another."""
    assert (await post(client, KEY)).status_code == 201
    assert (await post(client, KEY, name="b")).status_code == 422
    assert await count(OwnShelf) == 1


async def test_form(client: Client) -> None:
    """A form with files is the same though its boundary differs; a GET has no key."""
    path, files = "/once/turns", {"file": b"a"}
    sent = [await client.post(path, files=files, headers=KEY) for _ in range(2)]
    assert sent[0].json() == sent[1].json()
    read = [await client.get(path, headers=KEY) for _ in range(2)]
    assert read[0].json() != read[1].json()


async def test_failure(client: Client) -> None:
    """A request that has failed stored nothing, and may be sent again."""
    assert (await post(client, KEY, refuse="yes")).status_code == 418
    assert await count(OwnShelf) == await count(IdempotencyKey) == 0
    assert (await post(client, KEY)).status_code == 201


async def test_half(client: Client) -> None:
    """Nobody says that a request was done which has failed after its own commit."""
    assert (await post(client, KEY, refuse="late")).status_code == 418
    again = await post(client, KEY, refuse="late")
    assert again.json()["type"] == "/problems/outcome-unknown"
    assert await count(OwnShelf) == 1


async def test_at_once(client: Client) -> None:
    """Of many at once one is done; the others are told so, or wait for its answer."""
{% if is_async %}
    responses = await asyncio.gather(*(post(client, KEY) for _ in range(8)))
{% else %}
    with ThreadPoolExecutor(8) as pool:
        responses = [one.result() for one in [pool.submit(post, client, KEY) for _ in range(8)]]
{% endif %}
    statuses = {response.status_code for response in responses}
    assert 201 in statuses
    assert statuses <= {{ "{201}" if sqlite else "{201, 409}" if cookiecutter.database == "postgresql" else "{201, 409, 503}" }}
    bodies = [one.text for one in responses if one.status_code == 201]
    assert {*bodies, (await post(client, KEY)).text} == {bodies[0]}
    assert await count(OwnShelf) == 1


async def test_lifetime(client: Client) -> None:
    """A key that is too old is a new one; it is deleted by whoever does so."""
    assert (await post(client, KEY)).status_code == 201
    await forget_keys()
    assert await count(IdempotencyKey) == 1
    async with open_session() as session:
        await session.execute(update(IdempotencyKey).values(created_at=LONG_AGO))
    assert (await post(client, KEY)).status_code == 201
    assert await count(OwnShelf) == 2
    async with open_session() as session:
        await session.execute(update(IdempotencyKey).values(created_at=LONG_AGO))
    await forget_keys()
    assert await count(IdempotencyKey) == 0
{% endcall %}
