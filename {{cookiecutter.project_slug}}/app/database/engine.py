{% from "engine.jinja" import engine with context %}
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

from app.database.dialects import dialect_of
from app.database.pool import (
    close_changed_connections,
    close_read_only_connections,
    execute_on_connect,
    explain_refusals,
    replace_broken_connections,
    report_unknown_outcomes,
)
from app.database.slow_queries import log_slow_queries
from app.settings import DAY, Settings, get_settings

PROBE_TIMEOUT = 2
"""Seconds for the database to say that all is well."""


def get_engine_options(settings: Settings) -> dict[str, Any]:
    """Return the pool and debug options of the engine."""
    options = dialect_of(settings.database_url).engine_options(settings)
    return options | {"poolclass": {{ "AsyncAdaptedQueuePool" if cookiecutter.engine == "async" else "QueuePool" }}}


def get_capacity() -> int:
    """Return the number of connections that the pool can lend at once."""
    options = get_engine_options(get_settings())
    return int(options["pool_size"] + options["max_overflow"])


def build_engine(settings: Settings, **options: Any) -> AsyncEngine:
    """Return a new engine, which has not connected yet.

    `options` replace those of the settings, for an engine without a pool, say.
    """
    dialect = dialect_of(settings.database_url)
    options = options or get_engine_options(settings)
    options["connect_args"] = dialect.connect_args(settings)
    engine = create_async_engine(settings.database_url, **options)
    dialect.listen(engine{{ ".sync_engine" if cookiecutter.engine == "async" }})
    if not dialect.in_memory(settings.database_url):
        close_changed_connections(engine{{ ".sync_engine" if cookiecutter.engine == "async" }}, dialect)
        if "execution_options" not in options:  # it is there to write
            close_read_only_connections(engine{{ ".sync_engine" if cookiecutter.engine == "async" }}, dialect)
            if dialect.has_server:
                report_unknown_outcomes(engine{{ ".sync_engine" if cookiecutter.engine == "async" }}, dialect)
    if settings.database_pool_pre_ping:
        replace_broken_connections(engine{{ ".sync_engine" if cookiecutter.engine == "async" else "" }})
    if settings.database_slow_query:
        log_slow_queries(
            engine{{ ".sync_engine" if cookiecutter.engine == "async" }},
            settings.database_slow_query,
            hide_parameters=settings.database_hide_parameters,
        )
    return engine


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
    It connects to the database of `DATABASE_READ_URL`, if there is one.
    """
    settings = get_settings()
    dialect = dialect_of(settings.database_url)
    if dialect.in_memory(settings.database_url):
        return get_engine().execution_options(isolation_level="AUTOCOMMIT")
    url = settings.database_read_url or settings.database_url
    engine = build_engine(
        settings.model_copy(update={"database_url": url}),
        **get_engine_options(settings),
        execution_options={"read_only": True},
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
    )
    if statement := dialect.refuse_writes(settings):
        execute_on_connect(engine{{ ".sync_engine" if cookiecutter.engine == "async" else "" }}, statement)
        explain_refusals(engine{{ ".sync_engine" if cookiecutter.engine == "async" else "" }}, dialect)
    return engine


@lru_cache
def get_probe_engine(url: URL) -> AsyncEngine:
    """Return an engine without a pool: a full pool is no sign of a broken database."""
    settings = get_settings()
    if dialect_of(url).in_memory(url):
        return get_engine()
    hasty = {"database_url": url, "database_statement_timeout": PROBE_TIMEOUT}
    return build_engine(settings.model_copy(update=hasty), poolclass=NullPool)
{% endcall %}
