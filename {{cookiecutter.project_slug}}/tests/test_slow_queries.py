{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% call engine() %}
"""Slow queries: a warning for each, and nothing at all while nobody asks for it."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.database.engine import build_engine
from app.settings import get_settings
from tests.client import Client

LOGGER = "app.database.slow_queries"


async def execute(statement: str, **settings: object) -> None:
    """Execute a statement, with a value, on an engine with these settings."""
    engine = build_engine(get_settings().model_copy(update=settings))
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement), {"value": "a secret"})
    finally:
        await engine.dispose()


@pytest.mark.parametrize("hidden", [True, False])
async def test_slow_query(
    started_client: Client,
    caplog: pytest.LogCaptureFixture,
    hidden: bool,
) -> None:
    """The line has the time and the statement; the values when they are asked for."""
    del started_client  # it has made the database
    statement = "SELECT id\nFROM users WHERE name = :value"
    options = {"database_slow_query": 1e-9, "database_hide_parameters": hidden}
    await execute(statement, **options)
    lines = [r.getMessage() for r in caplog.records if r.name == LOGGER]
    [line] = [line for line in lines if "FROM users" in line]
    assert line.startswith("Database: slow query, 0.")
    assert " s: SELECT id FROM users WHERE name = " in line
    assert ("a secret" in line) == (not hidden)


async def test_slow_query_that_fails(
    started_client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A statement that takes long and then fails, as at a time-out, is one, too."""
    del started_client
    with pytest.raises(DBAPIError):
        await execute("SELECT :value FROM nowhere", database_slow_query=1e-9)
    assert "SELECT" in caplog.text
    assert "FROM nowhere" in caplog.text


async def test_fast_query(
    started_client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What takes less is not mentioned."""
    del started_client
    statement = "SELECT id FROM users WHERE name = :value"
    await execute(statement, database_slow_query=60)
    assert "slow query" not in caplog.text


@pytest.mark.parametrize("limit", [0, 1])
def test_off(limit: float) -> None:
    """Nobody listens to statements unless somebody has asked."""
    settings = get_settings().model_copy(update={"database_slow_query": limit})
    engine = build_engine(settings){{ ".sync_engine" if is_async }}
    assert bool(engine.dispatch.before_cursor_execute) == bool(limit)
    assert bool(engine.dispatch.after_cursor_execute) == bool(limit)
{% endcall %}
