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
from app.database.creation import create_database
from tests.client import Client


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_healthy(client: Client, method: str, path: str) -> None:
    """The process answers, and its database does, with the schema of this code."""
    response = await client.request(method, path)
    assert response.status_code == 200
    assert method == "HEAD" or response.json() == {"status": "ok"}


@pytest.mark.usefixtures("newer_code")
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
    assert (await client.get("/health/live")).status_code == 200
{% endcall %}
