{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% set alembic = cookiecutter.migrations == "alembic" %}
{% set address = {"sqlite": "sqlite:////no/such/folder/file.db"} %}
"""Startup: from an empty server to a service that is ready, or to one clear line."""

{% if is_async %}
import asyncio
{% endif %}
import logging
import sys

import pytest
{% if alembic %}
from alembic import command as alembic
{% endif %}
from sqlalchemy import {{ "Engine, " if not is_async }}text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncEngine
{% endif %}

from app.database import __main__ as command_line
from app.database import engine{{ ", schema" if alembic }}
from app.database.creation import create_database
from app.database.engine import build_engine
from app.database.not_ready import DatabaseNotReadyError
from app.database.startup import open_database, verify_database
from app.database.url import parse_url
from app.logs import configure_logging
{% if not alembic %}
from app.models.base import Base
{% endif %}
from app.settings import get_settings
from tests.conftest import drop
from tests.server import new_url

AWAY = "{{ address.get(cookiecutter.database) or cookiecutter.database ~ "://ada:s3cret@127.0.0.1:1/absent" }}"
ADVICE = "run `python -m app"

{% if alembic %}
NEWER = "UPDATE alembic_version SET version_num = 'ffff'"
{% endif %}

pytestmark = pytest.mark.usefixtures("newer_code")
{% call engine() %}


async def test_start_and_start_again(
    empty_engine: AsyncEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Startup creates what is missing, tells each step, and keeps what is there."""
    caplog.set_level("INFO", "app")
    await open_database(empty_engine, prepare=True, patience=5)
    lines = [line for line in caplog.messages if line.startswith("Database: ")]
    steps = ["server: the database was created", "schema: ", "verify: ", "ready in "]
    for line, step in zip(lines[1:], steps, strict=True):
        assert line.startswith(f"Database: {step}")
    async with empty_engine.begin() as connection:
        await connection.execute(text("INSERT INTO own_things VALUES (1, 2)"))
    await open_database(empty_engine, prepare=True, patience=5)
    assert "the database is there" in caplog.text
    async with empty_engine.connect() as connection:
        assert await connection.scalar(text("SELECT size FROM own_things")) == 2


async def test_reading_elsewhere(
    empty_engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With DATABASE_READ_URL, reading is done there; the server refuses to write."""
    await open_database(empty_engine, prepare=True, patience=5)
    elsewhere = {"database_read_url": empty_engine.url}
    settings = get_settings().model_copy(update=elsewhere)
    monkeypatch.setattr(engine, "get_settings", lambda: settings)
    reader = engine.get_read_engine.__wrapped__()
    assert reader.url == empty_engine.url != get_settings().database_url
    async with reader.connect() as connection:
        count = text("SELECT count(*) FROM own_things")
        assert await connection.scalar(count) == 0
        with pytest.raises(InvalidRequestError):
            await connection.execute(text("DELETE FROM own_things"))
    await reader.dispose()


async def test_verification_creates_nothing(empty_engine: AsyncEngine) -> None:
    """Without leave to prepare, neither a database nor its tables are created."""
    with pytest.raises(DatabaseNotReadyError, match=ADVICE):
        await open_database(empty_engine, prepare=False, patience=5)
    with pytest.raises(DBAPIError):
        await verify_database(empty_engine)
    await create_database(empty_engine.url)
    for _ in range(2):
        with pytest.raises(DatabaseNotReadyError, match=ADVICE):
            await open_database(empty_engine, prepare=False, patience=5)


{% if alembic %}
FORGET, DROP = "DROP TABLE alembic_version", "DROP TABLE own_things"
LESSEN = "ALTER TABLE own_things DROP COLUMN size"


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ([FORGET], "alembic stamp"),
        ([FORGET, LESSEN], r"if a migration failed: it lacks own_things\.size"),
        ([NEWER, DROP], r"own_things: it is at revision ffff, which"),
        ([NEWER, LESSEN], r"lacks own_things\.size: it is"),
        ([LESSEN], r"lacks own_things\.size - write a migration"),
    ],
)
async def test_other_schema(
    empty_engine: AsyncEngine,
    changes: list[str],
    advice: str,
) -> None:
    """Tables that create_all has made, or newer code, are named and not touched."""
    await open_database(empty_engine, prepare=True, patience=5)
    async with empty_engine.begin() as connection:
        for change in changes:
            await connection.execute(text(change))
    for prepare in (False, True):
        with pytest.raises(DatabaseNotReadyError, match=advice):
            await open_database(empty_engine, prepare=prepare, patience=5)


async def test_newer_schema(
    empty_engine: AsyncEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A newer release may have migrated: what this code needs is there, and more."""
    await open_database(empty_engine, prepare=True, patience=5)
    async with empty_engine.begin() as connection:
        await connection.execute(text(NEWER))
        await connection.execute(text("ALTER TABLE own_things ADD COLUMN code INT"))
    for prepare in (False, True):
        caplog.clear()
        await open_database(empty_engine, prepare=prepare, patience=5)
        [line] = [line for line in caplog.messages if "differs from the models" in line]
        assert "at revision ffff, which this code does not know" in line
    await verify_database(empty_engine)
{% else %}
async def test_other_schema(
    empty_engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What create_all would make otherwise by now is told; a missing column stops."""
    await open_database(empty_engine, prepare=True, patience=5)
    assert "differs" not in caplog.text
    monkeypatch.setattr(Base.metadata.tables["own_things"].c.size, "nullable", False)
    await open_database(empty_engine, prepare=False, patience=5)
    [line] = [line for line in caplog.messages if "differs from the models" in line]
    assert "own_things.size may be null" in line
    async with empty_engine.begin() as connection:
        await connection.execute(text("ALTER TABLE own_things DROP COLUMN size"))
    for prepare in (False, True):
        with pytest.raises(DatabaseNotReadyError, match=r"own_things\.size"):
            await open_database(empty_engine, prepare=prepare, patience=5)
{% endif %}


async def test_away(caplog: pytest.LogCaptureFixture) -> None:
    """One that cannot be reached is waited for, and then told in one line."""
    absent = get_settings().model_copy(update={"database_url": parse_url(AWAY)})
    away = build_engine(absent)
    with pytest.raises(DatabaseNotReadyError, match="in DATABASE_URL") as caught:
        await open_database(away, prepare=True, patience=0.4)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
{% if cookiecutter.database == "sqlite" %}
    assert "waiting" not in caplog.text  # for a folder, nobody waits
{% else %}
    assert caplog.text.count("waiting 0.4 s at most") == 1
{% endif %}
{% endcall %}


def test_failed_start_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """A server that fails to start the service logs one line, and no traceback."""
    configure_logging()
    logging.getLogger("uvicorn.error").error("%s", "\nDatabaseNotReadyError: a\n")
    assert caplog.messages == ["The database is not ready: a"]


def test_commands(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`check` fails, in one line that says what helps; it succeeds after `prepare`."""
    settings = get_settings().model_copy(update={"database_url": new_url()})
    monkeypatch.setattr(command_line, "get_settings", lambda: settings)
{% if alembic %}
    monkeypatch.setattr("app.settings.get_settings", lambda: settings)
    with pytest.raises(SystemExit, match=ADVICE):
        alembic.upgrade(schema.get_alembic_config(), "head")
{% endif %}
    for command, status in (("check", 1), ("prepare", 0), ("prepare", 0), ("check", 0)):
        monkeypatch.setattr(sys, "argv", ["app.database", command])
        assert command_line.main() == status
{% if alembic %}
    config = schema.get_alembic_config()
    config.attributes.clear()  # as `alembic downgrade -1` does it
    alembic.downgrade(config, "-1")
    assert command_line.main() == 1
{% endif %}
    {{ "asyncio.run(drop(settings.database_url))" if is_async else "drop(settings.database_url)" }}
    output = capsys.readouterr()
    assert output.out == ""
    for line in output.err.splitlines():
        assert line.startswith("ERROR: ")
        assert ADVICE in line
    assert output.err.count("\n") == {{ "2" if alembic else "1" }}
