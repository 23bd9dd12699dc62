{% from "engine.jinja" import engine, run_sync with context %}
{% set alembic = cookiecutter.migrations == "alembic" %}
{% call engine() %}
"""Fixtures: the service with the tests' own models and routes."""

from collections.abc import AsyncIterator{{ ", Iterator" if cookiecutter.engine == "async" }}

import pytest
from fastapi import FastAPI
from sqlalchemy import Column, Integer, Table, delete

{% if alembic %}
from app.database import schema
{% endif %}
from app.database.engine import get_engine
from app.models.base import Base
from tests.client import Client
from tests.guarantees.own import TABLES, router


@pytest.fixture(scope="session")
async def started_client(app: FastAPI, started_client: Client) -> Client:
    """Add the tests' own routes and tables to the service."""
    app.include_router(router)
    async with get_engine().begin() as connection:
        {{ run_sync("TABLES.create_all") }}
    return started_client


@pytest.fixture
async def committing_client(started_client: Client) -> AsyncIterator[Client]:
    """Return a client whose sessions really commit; what they store is deleted."""
    yield started_client
    async with get_engine().begin() as connection:
        for table in reversed(TABLES.sorted_tables):
            await connection.execute(delete(table))


@pytest.fixture
def known_tables() -> Iterator[None]:
    """Let the service know the tests' own tables as it knows those of its models."""
    copies = [table.to_metadata(Base.metadata) for table in TABLES.sorted_tables]
    yield
    for table in copies:
        Base.metadata.remove(table)


@pytest.fixture
def newer_code({{ "own_migration: None" if alembic }}) -> Iterator[None]:
    """Let the service have one more table{{ ", and the migration that makes it" if alembic }}."""
    columns = (Column("id", Integer, primary_key=True), Column("size", Integer))
    table = Table("own_things", Base.metadata, *columns)
    yield
    Base.metadata.remove(table)
{% if alembic %}


MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "own", {!r}

def upgrade():
    columns = [sa.Column(name, sa.Integer) for name in ("id", "size")]
    op.create_table("own_things", *columns)

def downgrade():
    op.drop_table("own_things")
"""


@pytest.fixture
def own_migration(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let the service know a migration beside its own."""
    folder = tmp_path_factory.mktemp("versions")
    (folder / "own.py").write_text(MIGRATION.format(tuple(schema.get_heads())))
    config = schema.get_alembic_config()
    config.set_main_option("path_separator", "newline")
    folders = f"{schema.get_scripts().dir}/versions\n{folder}"
    config.set_main_option("version_locations", folders)
    monkeypatch.setattr(schema, "get_alembic_config", lambda: config)
    for cached in (schema.get_scripts, schema.get_revisions):
        monkeypatch.setattr(schema, cached.__name__, cached.__wrapped__)
{% endif %}
{% endcall %}
