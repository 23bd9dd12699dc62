{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Requests that the database asks to run again."""

import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import select

from app.dependencies.database import DatabaseSession, open_read_session
from app.dependencies.retries import SAFE_TO_RETRY
from app.extensions import retries
from tests.client import Client
from tests.guarantees.own import OwnShelf
from tests.guarantees.test_concurrency import together

router = APIRouter(prefix="/conflicts", include_in_schema=False)
NUMBER = 60


async def add_one(session: DatabaseSession, body: dict[str, int] | None = None) -> int:
    """Count up, from what was read: two at once would count one."""
    options = {"isolation_level": "SERIALIZABLE"}
    await session.connection(execution_options=options)
    shelf = (await session.scalars(select(OwnShelf))).one()
    shelf.name = str(int(shelf.name) + (body or {"by": 1})["by"])
    await session.flush()
    return int(shelf.name)


router.post("/safe", dependencies=[SAFE_TO_RETRY])(add_one)
router.post("/once")(add_one)


@pytest.fixture(scope="module")
async def started_client(app: FastAPI, started_client: Client) -> Client:
    """Add the routes to the service."""
    app.include_router(router)
    return started_client


@pytest.fixture
async def client(committing_client: Client) -> Client:
    """Return a client of a service with a shelf that is called 0."""
    await committing_client.post("/own/shelves?name=0")
    return committing_client


async def number() -> int:
    """Return to which number it was counted."""
    async with open_read_session() as session:
        return int((await session.scalars(select(OwnShelf.name))).one())


async def test_conflicts(client: Client) -> None:
    """Each of many that change the same row at once is done, and exactly once."""
    assert await together(client, NUMBER, "POST", "/conflicts/safe") == [200] * NUMBER
    assert await number() == NUMBER


async def test_body(client: Client) -> None:
    """What the client has sent is there for each run."""
    response = await client.post("/conflicts/safe", json={"by": 7})
    assert response.json() == await number() == 7


async def test_those_that_are_not_safe(client: Client) -> None:
    """Without a word, who meets another one is told so, and is not done."""
    statuses = await together(client, NUMBER, "POST", "/conflicts/once")
    assert {*statuses} == {200, 503}
    assert await number() == statuses.count(200)


async def test_bound(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request does not run for ever."""
    monkeypatch.setattr(retries, "MOST", 1)
    statuses = await together(client, NUMBER, "POST", "/conflicts/safe")
    assert {*statuses} == {200, 503}
    assert await number() == statuses.count(200)
{% endcall %}
