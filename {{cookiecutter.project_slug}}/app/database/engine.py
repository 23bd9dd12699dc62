{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% set has_server = cookiecutter.database != "sqlite" %}
{% call engine() %}
"""The engine: one for the process, made on first use."""

from functools import lru_cache
from typing import Any

from sqlalchemy import URL, Engine{{ ", create_engine" if not is_async }}
{% if is_async %}
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
{% endif %}
from sqlalchemy.pool import {{ "NullPool" if has_server else "AsyncAdaptedQueuePool, NullPool" if is_async else "NullPool, QueuePool" }}

from app.database import dialect
{% if has_server %}
from app.database.hosts import connect_to_first
{% endif %}
from app.database.pool import (
    close_changed_connections,
    close_read_only_connections,
    refuse_writes,
    replace_broken_connections,
{% if has_server %}
    report_unknown_outcomes,
{% endif %}
)
from app.database.slow_queries import log_slow_queries
from app.settings import Settings, get_settings

PROBE_TIMEOUT = 2
"""Seconds for the database to say that all is well."""


def get_engine_options(settings: Settings) -> dict[str, Any]:
    """Return the pool and debug options of the engine."""
    {{ "return" if has_server else "options: dict[str, Any] =" }} {
        "pool_size": settings.database_pool_size,
        "max_overflow": settings.database_max_overflow,
        "pool_timeout": settings.database_pool_timeout,
        "pool_recycle": settings.database_pool_recycle,
        "echo": settings.database_echo,
        "echo_pool": "debug" if settings.database_echo_pool else False,
        "hide_parameters": settings.database_hide_parameters,
    }
{% if not has_server %}
    if dialect.in_memory(settings.database_url):
        # Its one connection is lent to one request at a time, and kept.
        options |= {"pool_size": 1, "max_overflow": 0, "pool_recycle": -1}
        options["poolclass"] = {{ "AsyncAdaptedQueuePool" if is_async else "QueuePool" }}
    return options
{% endif %}


def get_capacity() -> int:
    """Return the number of connections that the pool can lend at once."""
    options = get_engine_options(get_settings())
    return int(options["pool_size"] + options["max_overflow"])


def build_engine(settings: Settings, **options: Any) -> AsyncEngine:
    """Return a new engine, which has not connected yet.

    `options` replace those of the settings, for an engine without a pool, say.
    """
    options = options or get_engine_options(settings)
    options["connect_args"] = dialect.connect_args(
{% if cookiecutter.database == "postgresql" %}
        settings.database_url,
        settings.database_statement_timeout,
        pgbouncer=settings.database_pgbouncer,
{% else %}
        settings.database_statement_timeout,
{% endif %}
    )
    engine = create_async_engine(settings.database_url, **options)
    listen(engine.sync_engine, settings)
    return engine


def listen(engine: Engine, settings: Settings) -> None:
    """Set up what happens to the connections of an engine."""
    dialect.listen(engine)
    if settings.database_slow_query:
        log_slow_queries(engine, settings)
{% if not has_server %}
    if dialect.in_memory(settings.database_url):
        return  # its connection is the database
{% endif %}
    close_changed_connections(engine)
    if not engine.get_execution_options().get("read_only"):  # it is there to write
        close_read_only_connections(engine)
{% if has_server %}
        report_unknown_outcomes(engine)
        connect_to_first(engine)
{% endif %}
    if settings.database_pool_pre_ping:
        replace_broken_connections(engine)


def build_unpooled_engine(url: URL, timeout: float) -> AsyncEngine:
    """Return an engine without a pool, whose statements may take so many seconds."""
    changes = {"database_url": url, "database_statement_timeout": timeout}
    return build_engine(get_settings().model_copy(update=changes), poolclass=NullPool)


@lru_cache
def get_engine() -> AsyncEngine:
    """Return the engine of this process, made on first use."""
    return build_engine(get_settings())


@lru_cache
def get_read_engine() -> AsyncEngine:
    """Return the engine for what only reads, with a pool of its own.

    Each statement is a transaction by itself, which saves sending BEGIN and COMMIT.
    It connects to the database of `DATABASE_READ_URL`, if there is one{{ ", and to that of
    `DATABASE_URL` while no replica answers" if has_server }}.
    """
    settings = get_settings()
{% if not has_server %}
    if dialect.in_memory(settings.database_url):
        return get_engine().execution_options(isolation_level="AUTOCOMMIT")
{% endif %}
    url = settings.database_read_url or settings.database_url
{% if cookiecutter.database == "postgresql" %}
    if url.query.get("target_session_attrs") == "prefer-standby":
        url = url.update_query_dict({"target_session_attrs": "standby"})
{% endif %}
    engine = build_engine(
        settings.model_copy(update={"database_url": url}),
        **get_engine_options(settings),
        execution_options={"read_only": True},
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
    )
{% if has_server %}
    if settings.database_read_url is None:
        connect_to_first(engine.sync_engine)
    else:
        primary = build_engine(settings, poolclass=NullPool)
        connect_to_first(engine.sync_engine, primary.sync_engine)
{% endif %}
{% if cookiecutter.database == "postgresql" %}
    # PgBouncer would let others have the connection, and what was set on it.
    if not settings.database_pgbouncer:
        refuse_writes(engine.sync_engine)
{% else %}
    refuse_writes(engine.sync_engine)
{% endif %}
    return engine


@lru_cache
def get_probe_engine(url: URL) -> AsyncEngine:
    """Return an engine without a pool: a full pool is no sign of a broken database."""
{% if not has_server %}
    if dialect.in_memory(url):
        return get_engine()
{% endif %}
    return build_unpooled_engine(url, PROBE_TIMEOUT)
{% endcall %}
