{% from "engine.jinja" import engine, run_sync with context %}
"""Alembic's environment: `alembic upgrade head` and the service both run it."""

{% if cookiecutter.engine == "async" %}
import asyncio
{% endif %}
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import URL, Connection
from sqlalchemy.pool import NullPool

from app.database.dialects import dialect_of
from app.database.engine import build_engine
from app.models.base import Base, Timestamp
from app.settings import get_settings


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our own types into new migrations with the import that they need."""
    if kind == "type" and isinstance(item, Timestamp):
        autogen.imports.add("from app.models.base import Timestamp")
        return "Timestamp()"
    return False


def configure(database_url: URL, **options: Any) -> None:
    """Tell Alembic what to compare, and how to write it down."""
{% if cookiecutter.database != "postgresql" %}
    is_sqlite = database_url.get_backend_name() == "sqlite"
{% endif %}
    context.configure(
        target_metadata=Base.metadata,
        render_item=render_item,
{% if cookiecutter.database != "postgresql" %}
        # SQLite cannot alter a table in place: it is copied. Its DDL is part of the
        # transaction, in which all migrations are applied or none.
        render_as_batch=is_sqlite,
        transactional_ddl=is_sqlite or None,
{% endif %}
        **options,
    )


def migrate(connection: Connection) -> None:
    """Run the migrations, while no other process does."""
    url = connection.engine.url
    dialect_of(url).lock_schema(connection, get_settings().database_startup_timeout)
    configure(url, connection=connection)
    with context.begin_transaction():
        context.run_migrations()


{% call engine() %}
async def connect_and_migrate() -> None:
    """Run the migrations on a connection of their own."""
    engine = build_engine(get_settings().for_migrations, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            {{ run_sync("migrate") }}
    finally:
        await engine.dispose()
{% endcall %}


if context.is_offline_mode():  # alembic upgrade head --sql
    url = get_settings().database_url
    configure(url, url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
elif (connection := context.config.attributes.get("connection")) is not None:
    migrate(connection)  # the service starts
else:  # alembic upgrade head
    {{ "asyncio.run(connect_and_migrate())" if cookiecutter.engine == "async" else "connect_and_migrate()" }}
