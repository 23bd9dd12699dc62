{% from "engine.jinja" import engine, run_sync with context %}
{% set alembic = cookiecutter.migrations == "alembic" %}
{% call engine() %}
"""Fixtures: the service with the tests' own models and routes."""

from collections.abc import AsyncIterator{{ ", Iterator" if cookiecutter.engine == "async" }}
{% if alembic %}
from pathlib import Path
{% endif %}

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
{% endif %}


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
def newer_code({{ "tmp_path: Path, monkeypatch: pytest.MonkeyPatch" if alembic }}) -> Iterator[None]:
    """Let the service have one more table{{ ", and the migration that makes it" if alembic }}."""
    columns = (Column("id", Integer, primary_key=True), Column("size", Integer))
    table = Table("own_things", Base.metadata, *columns)
{% if alembic %}
    config = schema.get_alembic_config()
    versions = Path(schema.get_scripts().dir, "versions")
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{versions}\n{tmp_path}")
    heads = tuple(schema.get_heads())
    (tmp_path / "own.py").write_text(MIGRATION.format(heads))
    monkeypatch.setattr(schema, "get_alembic_config", lambda: config)
    for cached in (schema.get_scripts, schema.get_revisions):
        cached.cache_clear()
{% endif %}
    yield
{% if alembic %}
    for cached in (schema.get_scripts, schema.get_revisions):
        cached.cache_clear()
{% endif %}
    Base.metadata.remove(table)
{% endcall %}
