{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% call engine() %}
"""Many requests at once, with sessions that really commit."""

{% if is_async %}
import asyncio
{% else %}
import time
from concurrent.futures import ThreadPoolExecutor
{% endif %}
from typing import Annotated

import pytest
from fastapi import Depends
from sqlalchemy import event, text
{% if is_async %}
from sqlalchemy.exc import InvalidRequestError
{% endif %}

from app.database import limiter
from app.database.engine import get_capacity, get_engine, get_read_engine
from app.dependencies.database import DatabaseReadSession, DatabaseSession{{ ", open_session" if is_async }}
from app.settings import get_settings
from tests.client import Client
from tests.guarantees.own import router


async def together(client: Client, number: int, method: str, path: str) -> list[int]:
    """Send the same request many times at once; return the statuses, in order."""
{% if is_async %}
    requests = [client.request(method, path) for _ in range(number)]
    responses = await asyncio.gather(*requests)
{% else %}
    with ThreadPoolExecutor(number) as pool:
        requests = [pool.submit(client.request, method, path) for _ in range(number)]
    responses = [request.result() for request in requests]
{% endif %}
    for response in responses:
        is_late = response.status_code == 503
        assert is_late == ("Retry-After" in response.headers)
    return sorted(response.status_code for response in responses)


async def ask(session: DatabaseSession) -> int:
    """Ask the database who this is, as an authenticated route would."""
    return await session.scalar(text("SELECT 1")) or 0


@router.get("/ask-much")
async def ask_much(
    reader: DatabaseReadSession,
    session: DatabaseSession,
    one: Annotated[int, Depends(ask)],
) -> int:
    """Use both sessions, one of them in a dependency, too."""
    return one + (await reader.scalar(text("SELECT 1")) or 0) + await ask(session)


@router.get("/hold")
async def hold_a_session(session: DatabaseSession) -> None:
    """Keep a session for a while."""
    await ask(session)
    await asyncio.sleep(0.3)


async def test_more_requests_than_connections(started_client: Client) -> None:
    """Requests wait for their turn, none for each other, whatever they ask for.

    Connections are used again.
    """
    opened: list[object] = []
    for engine in (get_engine(), get_read_engine()):
        event.listen(engine.sync_engine, "connect", lambda *some: opened.append(some))
    statuses = await together(started_client, 60, "GET", "/own/ask-much")
    assert statuses == [200] * 60
    assert len(opened) < 100  # of 120; overflow is opened for one use


async def test_waiting_too_long(
    started_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who waits longer than DATABASE_POOL_TIMEOUT is told when to come back."""
    hasty = get_settings().model_copy(update={"database_pool_timeout": 0.05})
    monkeypatch.setattr(limiter, "get_settings", lambda: hasty)
    capacity = get_capacity()
    assert capacity == 3  # of `tests/__init__.py`
    statuses = await together(started_client, capacity + 2, "GET", "/own/hold")
    assert statuses == [200] * capacity + [503] * 2
    assert await together(started_client, 1, "GET", "/own/hold") == [200]


@pytest.mark.usefixtures("known_tables")
async def test_one_of_many(committing_client: Client) -> None:
    """Of requests that want the same name at once, one gets it."""
    path = "/own/shelves?name=a"
    statuses = await together(committing_client, 8, "POST", path)
    assert statuses == [201] + [409] * 7
    assert (await committing_client.get("/own/shelves")).json() == ["a"]
{% if is_async %}


@pytest.mark.usefixtures("started_client")
async def test_one_session_in_two_tasks() -> None:
    """Two tasks on one session is an error, whatever the driver would make of it."""
    async with open_session() as session:
        statements = [ask(session) for _ in range(2)]
        results = await asyncio.gather(*statements, return_exceptions=True)
    [error] = [result for result in results if result != 1]
    assert isinstance(error, InvalidRequestError)
    assert "tasks open theirs" in str(error)


@pytest.mark.usefixtures("started_client")
async def test_one_session_in_each_task() -> None:
    """A task opens one of its own, but not while what has started it holds one."""
    over = asyncio.Event()

    async def work(*, wait: bool) -> int:
        await over.wait() if wait else None
        async with open_session() as session:
            return await ask(session)

    async with open_session():
        later = [asyncio.create_task(work(wait=True)) for _ in range(3)]
        with pytest.raises(InvalidRequestError, match="tasks and threads open theirs"):
            await asyncio.create_task(work(wait=False))
    over.set()
    assert await asyncio.gather(*later) == [1, 1, 1]
{% endif %}
{% endcall %}
