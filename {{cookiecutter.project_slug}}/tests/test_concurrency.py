{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% call engine() %}
"""Many requests at once, with sessions that really commit: these tests clean up."""

{% if is_async %}
import asyncio
{% else %}
import time
{% endif %}
from collections.abc import Callable
{% if not is_async %}
from concurrent.futures import ThreadPoolExecutor
{% endif %}
from typing import Any

import pytest
from httpx2 import Response
{% if is_async %}
from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError
{% endif %}

from app.database.engine import get_engine_options
{% if is_async %}
from app.database.session import get_session_factory
{% endif %}
from app.database.tracking import TrackingSession
from app.dependencies import database
from app.settings import get_settings
from tests import faults
from tests.client import Client

ADA = {"email": "ada@example.com", "name": "Ada"}


async def together(
    client: Client,
    number: int,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
) -> list[Response]:
    """Send the same request many times at once."""
{% if is_async %}
    requests = [client.request(method, path, json=body) for _ in range(number)]
    return await asyncio.gather(*requests)
{% else %}
    with ThreadPoolExecutor(number) as pool:
        send = client.request
        requests = [pool.submit(send, method, path, json=body) for _ in range(number)]
        return [request.result() for request in requests]
{% endif %}


async def hold(
    client: Client,
    number: int,
    until: Callable[[list[Any]], bool],
) -> list[Response]:
    """Let requests keep their sessions until something is so, five seconds at most."""
    faults.released.clear()
{% if is_async %}
    requests = [asyncio.create_task(client.get("/faults/hold")) for _ in range(number)]
    for _ in range(500):
        if until(requests):
            break
        await asyncio.sleep(0.01)
    faults.released.set()
    return await asyncio.gather(*requests)
{% else %}
    with ThreadPoolExecutor(number) as pool:
        requests = [pool.submit(client.get, "/faults/hold") for _ in range(number)]
        for _ in range(500):
            if until(requests):
                break
            time.sleep(0.01)
        faults.released.set()
        return [request.result() for request in requests]
{% endif %}


def capacity() -> int:
    """Return the number of connections that the pool may lend at once."""
    options = get_engine_options(get_settings())
    return int(options["pool_size"] + options["max_overflow"])


@pytest.mark.parametrize("path", ["two-dependencies", "two-sessions"])
async def test_more_requests_than_connections(
    started_client: Client,
    path: str,
) -> None:
    """Requests wait for their turn, none for each other, whatever they ask for."""
    responses = await together(started_client, 60, "GET", f"/faults/{path}")
    assert {response.status_code for response in responses} == {200}


async def test_waiting_too_long(
    started_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who waits longer than DATABASE_POOL_TIMEOUT is told when to come back."""
    hasty = get_settings().model_copy(update={"database_pool_timeout": 0.05})
    monkeypatch.setattr(database, "get_settings", lambda: hasty)
    number = capacity() + 1
    responses = await hold(
        started_client,
        number,
        until=lambda requests: any(request.done() for request in requests),
    )
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200] * capacity() + [503]
    [refused] = [response for response in responses if response.status_code == 503]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert int(refused.headers["Retry-After"]) > 0
    responses = await together(started_client, capacity(), "GET", "/faults/hold")
    assert {response.status_code for response in responses} == {200}


def fail(*_: object, **__: object) -> None:
    """Fail, in place of a method of a session."""
    raise RuntimeError


@pytest.mark.parametrize("method", ["__init__", "close"])
@pytest.mark.parametrize("request_line", ["GET hold", "POST add-to-reader"])
async def test_session_that_fails(
    started_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    request_line: str,
    method: str,
) -> None:
    """Who cannot open a session, or close it, gives the turn back all the same."""
    hasty = get_settings().model_copy(update={"database_pool_timeout": 0.05})
    monkeypatch.setattr(database, "get_settings", lambda: hasty)
    faults.released.set()
    verb, name = request_line.split()
    with monkeypatch.context() as patch:
        patch.setattr(TrackingSession, method, fail)
        for _ in range(capacity() + 1):
            response = await started_client.request(verb, f"/faults/{name}")
            assert response.status_code == 500
    assert (await started_client.get("/faults/hold")).status_code == 200


async def test_waiting_is_counted(started_client: Client) -> None:
    """It is known how many requests wait for a session, and then that none does."""
    responses = await hold(
        started_client,
        capacity() + 2,
        until=lambda requests: database.get_turns().waiting == 2,
    )
    counts = [response.json() for response in responses]
    assert (max(counts), min(counts)) == (2, 0)
    assert database.get_turns().waiting == 0


async def test_one_of_two(started_client: Client) -> None:
    """Of requests that want the same address at once, one gets it."""
    responses = await together(started_client, 8, "POST", "/api/v1/users", ADA)
    created = [response for response in responses if response.status_code == 201]
    for response in created:
        await started_client.delete(response.headers["Location"])
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [201] + [409] * 7


async def test_written_is_readable(started_client: Client) -> None:
    """What was acknowledged is seen by the next request, on whichever connection."""
    for number in range(5):
        body = {"email": f"ada{number}@example.com", "name": "Ada"}
        created = await started_client.post("/api/v1/users", json=body)
        url = created.headers["Location"]
        responses = await together(started_client, 3, "GET", url)
        assert {response.status_code for response in responses} == {200}
        assert (await started_client.delete(url)).status_code == 204
{% if is_async %}


async def test_one_session_in_two_tasks(client: Client) -> None:
    """Two tasks on one session is an error, whatever the driver would make of it."""
    del client
    async with get_session_factory()() as session:
        statements = [session.execute(text("SELECT 1")) for _ in range(2)]
        results = await asyncio.gather(*statements, return_exceptions=True)
    errors = [result for result in results if isinstance(result, Exception)]
    assert len(errors) == 1
    assert isinstance(errors[0], InvalidRequestError)
    assert "give each task a session of its own" in str(errors[0])
{% endif %}
{% endcall %}
