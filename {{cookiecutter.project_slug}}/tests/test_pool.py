{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Connections are opened when they are needed, and kept while they are in use."""

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import {{ "Engine, " if cookiecutter.engine == "sync" }}event, text
{% if cookiecutter.engine == "async" %}
from sqlalchemy.ext.asyncio import AsyncEngine
{% endif %}

from app.database import pool
from app.database.engine import get_engine, get_read_engine
from app.database.startup import open_database
from app.settings import get_settings

LOOK, CHANGES = {
{% if cookiecutter.database == "postgresql" %}
    "postgresql": (
        "SELECT nullif(current_setting('app.tenant', true), ''), "
        "current_setting('TimeZone'), "
        "current_setting('default_transaction_read_only'), "
        "(SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()), "
        "(SELECT count(*) FROM pg_listening_channels())",
        [
            "SELECT set_config('app.tenant', 'ada', false)",
            "SET TIME ZONE 'Asia/Tokyo'",
            "RESET ALL",
            "SELECT pg_advisory_lock(1)",
            "LISTEN tenant",
        ],
    ),
{% else %}
{% if cookiecutter.database == "mysql" %}
    "mysql": (
        "SELECT @tenant, @@time_zone, is_used_lock('tenant')",
        [
            "SET @tenant = 'ada'",
            "SELECT @tenant := 'ada'",
            "SET time_zone = '+09:00'",
            "SELECT get_lock('tenant', 0)",
        ],
    ),
{% endif %}
    "sqlite": (
        "SELECT foreign_keys, query_only, (SELECT count(*) FROM pragma_database_list) "
        "FROM pragma_foreign_keys, pragma_query_only",
        [
            "PRAGMA foreign_keys = OFF",
            "PRAGMA query_only = OFF",
            "ATTACH DATABASE ':memory:' AS another",
            "SAVEPOINT forgotten",
        ],
    ),
{% endif %}
}[get_settings().database_url.get_backend_name()]
"""What to look at, and statements that change it."""

KEEP = [
    "SELECT 1",
    "SELECT ';' || '' -- and no more",
{% if cookiecutter.database == "postgresql" %}
    "LOCK TABLE users",
    "NOTIFY tenant, 'ada'",
    "SET LOCAL search_path TO public",
    "SELECT set_config('app.tenant', 'ada', true)",
{% elif cookiecutter.database == "mysql" %}
    "SELECT 1 AS budget_lock",
{% endif %}
]
"""Statements that leave a connection as it was."""


async def look(engine: AsyncEngine) -> object:
    """Return what is set on the connection that is lent next."""
    async with engine.connect() as connection:
        return (await connection.execute(text(LOOK))).all()


@pytest.fixture
async def counts(empty_engine: AsyncEngine) -> Counter[str]:
    """Count the connections that the engine opens and closes."""
    await open_database(empty_engine, prepare=True, patience=5)
    await empty_engine.dispose()
    counts: Counter[str] = Counter()
    for name in ("connect", "close"):
        engine = empty_engine{{ ".sync_engine" if cookiecutter.engine == "async" }}
        event.listen(engine, name, lambda *_, name=name: counts.update([name]))
    return counts


async def test_connections_are_kept(
    empty_engine: AsyncEngine,
    counts: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection is tested before it is lent, and replaced only if it is broken."""
    monkeypatch.setattr(pool, "IDLE", 0)
    for statement in KEEP:
        async with empty_engine.connect() as connection:
            await connection.execute(text(statement))
    assert counts == {"connect": 1}


@pytest.mark.usefixtures("started_client")
@pytest.mark.parametrize("get", [get_engine, get_read_engine])
async def test_changes_end_with_a_request(get: Callable[[], AsyncEngine]) -> None:
    """What is set on a connection does not reach who has it next."""
    await get().dispose()  # from now on, there is one connection
    before = await look(get())
    for statement in CHANGES:
        async with get().connect() as connection:
            await connection.execute(text(statement))
        assert await look(get()) == before, statement


async def test_end(empty_engine: AsyncEngine, counts: Counter[str]) -> None:
    """Nothing stays open at the end, not what was opened beyond the pool's size."""
    connections = [await empty_engine.connect() for _ in range(3)]
    for connection in connections:
        await connection.close()
    await empty_engine.dispose()
    assert counts == {"connect": 3, "close": 3}
{% endcall %}
