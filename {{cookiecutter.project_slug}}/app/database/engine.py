{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
{% set has_server = cookiecutter.database != "sqlite" %}
{% call engine() %}
"""The engine: one for the process, made on first use."""

from functools import lru_cache
from typing import Any

{% if cookiecutter.engine == "async" %}
from sqlalchemy import URL, AsyncAdaptedQueuePool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
{% else %}
from sqlalchemy import URL, Engine, QueuePool, create_engine
{% endif %}
from sqlalchemy.pool import NullPool

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
from app.settings import DAY, Settings, get_settings

PROBE_TIMEOUT = 2
"""Seconds for the database to say that all is well."""


def get_engine_options(settings: Settings) -> dict[str, Any]:
    """Return the pool and debug options of the engine."""
    {{ "return" if has_server else "options =" }} {
        "poolclass": {{ "AsyncAdaptedQueuePool" if is_async else "QueuePool" }},
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
    return options
{% endif %}


def get_capacity() -> int:
    """Return the number of connections that the pool can lend at once."""
    options = get_engine_options(get_settings())
    return int(options["pool_size"] + options["max_overflow"])


{% if has_server %}
def build_engine(
    settings: Settings,
    primary: AsyncEngine | None = None,
    **options: Any,
) -> AsyncEngine:
    """Return a new engine, which has not connected yet.

    `primary` lends it connections while its own server is away. `options` replace
    those of the settings, for an engine without a pool, say.
    """
{% else %}
def build_engine(settings: Settings, **options: Any) -> AsyncEngine:
    """Return a new engine, which has not connected yet.

    `options` replace those of the settings, for an engine without a pool, say.
    """
{% endif %}
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
    built = create_async_engine(settings.database_url, **options)
    engine = built{{ ".sync_engine" if is_async }}
    dialect.listen(engine)
{% if has_server %}
    connect_to_first(engine, {{ "primary.sync_engine if primary else None" if is_async else "primary" }})
    close_changed_connections(engine)
    if "execution_options" not in options:  # it is there to write
        close_read_only_connections(engine)
        report_unknown_outcomes(engine)
{% else %}
    if not dialect.in_memory(settings.database_url):
        close_changed_connections(engine)
        if "execution_options" not in options:  # it is there to write
            close_read_only_connections(engine)
{% endif %}
    if settings.database_pool_pre_ping:
        replace_broken_connections(engine)
    if settings.database_slow_query:
        log_slow_queries(
            engine,
            settings.database_slow_query,
            hide_parameters=settings.database_hide_parameters,
        )
    return built


def build_schema_engine(url: URL) -> AsyncEngine:
    """Return an engine, without a pool, on which a statement may take a day."""
    longer = {"database_url": url, "database_statement_timeout": DAY}
    return build_engine(get_settings().model_copy(update=longer), poolclass=NullPool)


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
{% if has_server %}
    has_replica = settings.database_read_url is not None
    primary = build_engine(settings, poolclass=NullPool) if has_replica else None
{% endif %}
{% if cookiecutter.database == "postgresql" %}
    if url.query.get("target_session_attrs") == "prefer-standby":
        url = url.update_query_dict({"target_session_attrs": "standby"})
{% endif %}
    engine = build_engine(
        settings.model_copy(update={"database_url": url}),
{% if has_server %}
        primary,
{% endif %}
        **get_engine_options(settings),
        execution_options={"read_only": True},
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
    )
{% if cookiecutter.database == "postgresql" %}
    # PgBouncer would let others have the connection, and what was set on it.
    if not settings.database_pgbouncer:
        refuse_writes(engine{{ ".sync_engine" if is_async }})
{% else %}
    refuse_writes(engine{{ ".sync_engine" if is_async }})
{% endif %}
    return engine


@lru_cache
def get_probe_engine(url: URL) -> AsyncEngine:
    """Return an engine without a pool: a full pool is no sign of a broken database."""
    settings = get_settings()
{% if not has_server %}
    if dialect.in_memory(url):
        return get_engine()
{% endif %}
    hasty = {"database_url": url, "database_statement_timeout": PROBE_TIMEOUT}
    return build_engine(settings.model_copy(update=hasty), poolclass=NullPool)
{% endcall %}
