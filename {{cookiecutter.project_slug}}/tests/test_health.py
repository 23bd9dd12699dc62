{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% call engine() %}
"""Health: the truth, and no secrets."""

import pytest
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncEngine
{% else %}
from sqlalchemy import Engine
{% endif %}

from app.api.routes import health
from app.database.startup import create_database
from tests.client import Client


async def test_live(client: Client) -> None:
    """The process answers."""
    response = await client.get("/health/live")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_head(client: Client, path: str) -> None:
    """Some load balancers ask with HEAD."""
    response = await client.request("HEAD", path)
    assert response.status_code == 200


async def test_ready(client: Client) -> None:
    """The database answers, and has the schema of this code."""
    response = await client.get("/health/ready")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.parametrize("exists", [False, True], ids=["no database", "no tables"])
async def test_not_ready(
    client: Client,
    empty_engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    exists: bool,
) -> None:
    """Without its database, or with another schema, the service is alive, not ready."""
    if exists:
        await create_database(empty_engine.url)
    monkeypatch.setattr(health, "get_probe_engine", lambda url: empty_engine)
    response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert str(empty_engine.url.database) not in response.text
    response = await client.get("/health/live")
    assert response.status_code == 200
{% endcall %}
