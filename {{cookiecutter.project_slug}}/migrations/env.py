{% from "engine.jinja" import engine, run_sync with context %}
"""Alembic's environment: `alembic upgrade head` and the service both run it."""

{% if cookiecutter.engine == "async" %}
import asyncio
{% endif %}
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import DropTableOp, MigrationScript, ModifyTableOps
from sqlalchemy import {{ "URL, " if cookiecutter.database == "mysql" }}Connection
from sqlalchemy.pool import NullPool

from app.database.dialects import dialect_of
from app.database.engine import build_engine, build_schema_engine
from app.database.startup import (
    DatabaseNotReadyError,
    one_line_errors,
    reach_database,
)
from app.models.base import Base, Timestamp, now
from app.settings import get_settings


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our own types into new migrations with the import that they need."""
    if kind == "type" and isinstance(item, Timestamp):
        autogen.imports.add("from app.models.base import Timestamp")
        return "Timestamp()"
    if kind == "server_default" and isinstance(getattr(item, "arg", None), now):
        autogen.imports.add("from app.models.base import now")
        return "now()"
    return False


def drop_indexes_with_their_tables(
    migration_context: Any,
    revision: Any,
    directives: list[MigrationScript],
) -> None:
    """Take out what goes by itself: MySQL would not drop an index of a foreign key."""
    del migration_context, revision
    for directive in directives:
        if directive.downgrade_ops is None:
            continue
        operations = directive.downgrade_ops.ops
        dropped = {op.table_name for op in operations if isinstance(op, DropTableOp)}
        for op in tuple(operations):
            if isinstance(op, ModifyTableOps) and op.table_name in dropped:
                operations.remove(op)


def configure({{ "database_url: URL, " if cookiecutter.database == "mysql" }}**options: Any) -> None:
    """Tell Alembic what to compare, and how to write it down."""
{% if cookiecutter.database == "mysql" %}
    is_sqlite = database_url.get_backend_name() == "sqlite"
{% endif %}
    context.configure(
        target_metadata=Base.metadata,
        render_item=render_item,
        process_revision_directives=drop_indexes_with_their_tables,
{% if cookiecutter.database != "postgresql" %}
        # SQLite cannot alter a table in place: it is copied. Its DDL is part of the
        # transaction, in which all migrations are applied or none.
        render_as_batch=True,
        transactional_ddl={{ "is_sqlite or None" if cookiecutter.database == "mysql" else "True" }},
{% endif %}
        **options,
    )


def migrate(connection: Connection) -> None:
    """Run the migrations."""
    configure({{ "connection.engine.url, " if cookiecutter.database == "mysql" }}connection=connection)
    dialect = dialect_of(connection.engine.url)
    with dialect.migration(connection), context.begin_transaction():
        context.run_migrations()


def lock_and_migrate(connection: Connection) -> None:
    """Run the migrations, while no other process does."""
    dialect = dialect_of(connection.engine.url)
    dialect.lock_schema(connection, get_settings().database_startup_timeout)
    migrate(connection)


{% call engine() %}
async def connect_and_migrate() -> None:
    """Run the migrations on a connection of their own."""
    settings = get_settings()
    engine = build_engine(settings, poolclass=NullPool)
    try:
        with one_line_errors(engine.url):
            await reach_database(engine, create=False)
    except DatabaseNotReadyError as error:
        raise SystemExit(f"ERROR: {error}") from None
    patient_engine = build_schema_engine(settings.database_url)
    async with patient_engine.connect() as connection:
        {{ run_sync("lock_and_migrate") }}
{% endcall %}


if context.is_offline_mode():  # alembic upgrade head --sql
    url = get_settings().database_url
    configure({{ "url, " if cookiecutter.database == "mysql" }}url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
elif (connection := context.config.attributes.get("connection")) is not None:
    migrate(connection)  # the service prepares, and holds the lock
else:  # alembic upgrade head
    {{ "asyncio.run(connect_and_migrate())" if cookiecutter.engine == "async" else "connect_and_migrate()" }}
