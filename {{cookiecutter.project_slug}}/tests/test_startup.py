{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
"""Startup: from an empty server to a service that is ready, or to one clear line."""

import asyncio
import sys

import pytest
{% if cookiecutter.migrations == "create_all" %}
from sqlalchemy import Column, Computed, {{ "Engine, " if not is_async }}Integer, Table, text
{% else %}
from sqlalchemy import {{ "Engine, " if not is_async }}text
{% endif %}
from sqlalchemy.exc import InvalidRequestError
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncEngine
{% endif %}
{% if cookiecutter.migrations == "create_all" %}
from sqlalchemy.schema import DropIndex
{% endif %}
from starlette.types import Message

from app.database import __main__ as command_line
from app.database import engine
from app.database.dialects import parse_url
from app.database.engine import build_engine
from app.database.startup import (
    DatabaseNotReadyError,
    create_database,
    open_database,
    prepare_database,
    verify_database,
)
from app.main import create_app
{% if cookiecutter.migrations == "create_all" %}
from app.models.base import Base
{% endif %}
from app.settings import Settings, get_settings
from app.web import lifespan
from tests.conftest import IMPORTED, drop
from tests.server import new_url

{% if cookiecutter.database == "sqlite" %}
AWAY = "sqlite:////no/such/folder/file.db"
{% elif cookiecutter.database == "postgresql" %}
AWAY = "postgresql://ada:s3cret@127.0.0.1:1/absent"
{% else %}
AWAY = "mysql://ada:s3cret@127.0.0.1:1/absent"
{% endif %}
ADVICE = "run `python -m app"


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> {{ "AsyncEngine" if is_async else "Engine" }}:
    """Give the service a database that cannot be reached, and no time to wait."""
    settings = Settings(
        database_url=parse_url(AWAY),
        database_startup_timeout=0,
        database_prepare_on_startup=True,
    )
    engine = build_engine(settings)
    monkeypatch.setattr(lifespan, "get_engine", lambda: engine)
    for module in (lifespan, command_line):
        monkeypatch.setattr(module, "get_settings", lambda: settings)
    return engine
{% call engine() %}


def test_imports() -> None:
    """Importing the service loads no dialect of a database that it is not for."""
    # But those that Alembic, and the tests, may have imported.
    others = {"mysql", "oracle"} - {"{{ cookiecutter.database }}"}
    assert not IMPORTED & {f"sqlalchemy.dialects.{name}" for name in others}


async def test_empty_server(
    empty_engine: AsyncEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Startup creates the database and its tables, and tells each step."""
    caplog.set_level("INFO", "app")
    await open_database(empty_engine, prepare=True, patience=5)
    lines = [line for line in caplog.messages if line.startswith("Database: ")]
    steps = ["server: the database was created", "schema: ", "verify: ", "ready in "]
    assert len(lines) == 1 + len(steps)
    for line, step in zip(lines[1:], steps, strict=True):
        assert line.startswith(f"Database: {step}")


async def test_second_start(
    empty_engine: AsyncEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A start that finds everything in place changes nothing."""
    await open_database(empty_engine, prepare=True, patience=5)
    async with empty_engine.begin() as connection:
        row = "INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada')"
        await connection.execute(text(row))
    caplog.set_level("INFO", "app")
    await open_database(empty_engine, prepare=True, patience=5)
    assert "the database is there" in caplog.text
    async with empty_engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 1


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
        assert await connection.scalar(text("SELECT count(*) FROM users")) == 0
        with pytest.raises(InvalidRequestError):
            await connection.execute(text("DELETE FROM users"))
    await reader.dispose()


async def test_verification_creates_nothing(empty_engine: AsyncEngine) -> None:
    """Without leave to prepare, a missing database stays missing."""
    for _ in range(2):
        with pytest.raises(DatabaseNotReadyError, match=ADVICE):
            await open_database(empty_engine, prepare=False, patience=5)


async def test_verification_of_tables(empty_engine: AsyncEngine) -> None:
    """Tables that are missing, or behind the code, are no schema to work with."""
    await create_database(empty_engine.url)
    with pytest.raises(DatabaseNotReadyError, match=ADVICE):
        await open_database(empty_engine, prepare=False, patience=5)
    await prepare_database(empty_engine)
    await verify_database(empty_engine)


{% if cookiecutter.migrations == "alembic" %}
async def test_tables_without_a_revision(empty_engine: AsyncEngine) -> None:
    """What create_all has made is not migrated, until somebody says what it is."""
    await open_database(empty_engine, prepare=True, patience=5)
    async with empty_engine.begin() as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    for prepare in (False, True):
        with pytest.raises(DatabaseNotReadyError, match="alembic stamp"):
            await open_database(empty_engine, prepare=prepare, patience=5)


async def test_schema_of_other_code(empty_engine: AsyncEngine) -> None:
    """A schema that is ahead of the code is named, and not touched."""
    await open_database(empty_engine, prepare=True, patience=5)
    async with empty_engine.begin() as connection:
        statement = "UPDATE alembic_version SET version_num = 'ffff'"
        await connection.execute(text(statement))
    for prepare in (False, True):
        with pytest.raises(DatabaseNotReadyError, match="at revision ffff, which"):
            await open_database(empty_engine, prepare=prepare, patience=5)
{% else %}
async def test_schema_of_other_code(empty_engine: AsyncEngine) -> None:
    """A column that an existing table lacks is named: create_all does not add it."""
    await open_database(empty_engine, prepare=True, patience=5)
    async with empty_engine.begin() as connection:
        await connection.execute(text("ALTER TABLE users DROP COLUMN is_active"))
    with pytest.raises(DatabaseNotReadyError, match=r"users\.is_active"):
        await open_database(empty_engine, prepare=True, patience=5)


async def test_tables_that_differ(
    empty_engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    """What create_all would make otherwise by now is told in one line of the log."""
    computed = Column("total", Integer, Computed("number", persisted=True))
    computed.nullable = False  # as Mapped[int] has it
    sums = Table("sums", Base.metadata, Column("number", Integer), computed)
    request.addfinalizer(lambda: Base.metadata.remove(sums))
    await open_database(empty_engine, prepare=True, patience=5)
    assert "differs" not in caplog.text
    tables = Base.metadata.tables
    [index] = tables["products"].indexes
    monkeypatch.setattr(tables["users"].c.name.type, "length", 50)
    monkeypatch.setattr(tables["users"].c.email, "nullable", True)
    async with empty_engine.begin() as connection:
        await connection.execute(DropIndex(index))
    await open_database(empty_engine, prepare=False, patience=5)
    [line] = [line for line in caplog.messages if "differs from the models" in line]
    for name in ("users.name is VARCHAR", "users.email must not", f"{index.name} is"):
        assert name in line
{% endif %}


async def test_away(away: AsyncEngine) -> None:
    """A database that cannot be reached is one line: what is wrong, what to do."""
    with pytest.raises(DatabaseNotReadyError, match="in DATABASE_URL") as caught:
        await open_database(away, prepare=True, patience=0)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_waiting(away: AsyncEngine, caplog: pytest.LogCaptureFixture) -> None:
    """Startup waits for a server that may be late, and says so once."""
{% if cookiecutter.database == "sqlite" %}
    with pytest.raises(DatabaseNotReadyError):
        await open_database(away, prepare=True, patience=5)
    assert "waiting" not in caplog.text  # for a folder, nobody waits
{% else %}
    with pytest.raises(DatabaseNotReadyError):
        await open_database(away, prepare=True, patience=0.4)
    assert caplog.text.count("waiting 0.4 s at most") == 1
{% endif %}
{% endcall %}


def test_failed_start_is_one_line(away: object) -> None:
    """A server that starts the service logs one line, and no traceback."""
    del away
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        messages.append(message)

    with pytest.raises(DatabaseNotReadyError):
        asyncio.run(create_app()({"type": "lifespan", "state": {}}, receive, send))
    [message] = messages
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith("The database is not ready: ")
    assert "\n" not in message["message"]


@pytest.mark.parametrize("command", ["prepare", "check"])
def test_failed_command_is_one_line(
    away: object,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The commands say what is wrong in one line, and with their exit status."""
    del away
    monkeypatch.setattr(sys, "argv", ["app.database", command])
    assert command_line.main() == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("ERROR: ")
    assert output.err.count("\n") == 1


def test_commands(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`check` fails and says what helps; it succeeds after `prepare`."""
    settings = Settings(database_url=new_url())
    monkeypatch.setattr(command_line, "get_settings", lambda: settings)
    statuses = []
    for command in ("check", "prepare", "prepare", "check"):
        monkeypatch.setattr(sys, "argv", ["app.database", command])
        statuses.append(command_line.main())
    {{ "asyncio.run(drop(settings.database_url))" if is_async else "drop(settings.database_url)" }}
    assert statuses == [1, 0, 0, 0]
    assert ADVICE in capsys.readouterr().err
