{% set sync_engine = ".sync_engine" if cookiecutter.engine == "async" else "" %}
"""Traces of statements, and metrics of the pools, beside FastAPI's of requests."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI
from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import SpanKind, StatusCode, TracerProvider
from sqlalchemy import Engine, ExceptionContext, QueuePool, event

from app.database.engine import get_capacity, get_engine, get_read_engine
from app.database.limiter import get_limiter


@lru_cache  # once, however often the service starts in a process
def observe_database() -> None:
    """Send what the database does to where FastAPI sends the rest."""
    engines = {
        "app": get_engine(){{ sync_engine }},
        "read": get_read_engine(){{ sync_engine }},
    }
    for engine in engines.values():
        trace_statements(engine)
    measure_pools(engines)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Begin when the database is open."""
    observe_database()
    yield


def install(app: FastAPI) -> None:
    """Let it begin with the service."""
    app.include_router(APIRouter(lifespan=lifespan))


def trace_statements(engine: Engine, provider: TracerProvider | None = None) -> None:
    """Make each statement a span: its text, without the values."""
    tracer = trace.get_tracer("app.database", tracer_provider=provider)
    place = {"db.system.name": engine.name, "db.namespace": str(engine.url.database)}
    if engine.url.host:
        place["server.address"] = engine.url.host

    @event.listens_for(engine, "before_cursor_execute", named=True)
    def start(statement: str, context: Any, **others: Any) -> None:
        operation = next(iter(statement.split(None, 1)), engine.name)
        about = {"db.operation.name": operation, "db.query.text": statement}
        context.span = tracer.start_span(
            operation,
            kind=SpanKind.CLIENT,
            attributes=place | about,
        )

    @event.listens_for(engine, "after_cursor_execute", named=True)
    def end(context: Any, **others: Any) -> None:
        context.span.end()

    @event.listens_for(engine, "handle_error")
    def fail(error: ExceptionContext) -> None:
        span = getattr(error.execution_context, "span", None)
        if span is not None and span.is_recording():
            # Without the driver's words: they may quote values.
            span.set_attribute("error.type", type(error.original_exception).__name__)
            span.set_status(StatusCode.ERROR)
            span.end()


def measure_pools(
    engines: Mapping[str, Engine],
    provider: MeterProvider | None = None,
) -> None:
    """Publish how many connections there are, and how many requests wait for one."""
    meter = metrics.get_meter("app.database", meter_provider=provider)

    def observe(read: Callable[[QueuePool], int], **more: str) -> Iterable[Observation]:
        for name, engine in engines.items():
            pool = engine.pool  # another one after each dispose()
            assert isinstance(pool, QueuePool)  # noqa: S101  (tells the type checker)
            about = {"db.client.connection.pool.name": name}
            yield Observation(read(pool), about | more)

    def count(options: CallbackOptions) -> Iterable[Observation]:
        state = "db.client.connection.state"
        yield from observe(lambda pool: pool.checkedin(), **{state: "idle"})
        yield from observe(lambda pool: pool.checkedout(), **{state: "used"})

    def most(options: CallbackOptions) -> Iterable[Observation]:
        yield from observe(lambda pool: get_capacity())

    def wait(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(get_limiter().waiting)

    gauges = {"count": count, "max": most, "pending_requests": wait}
    for key, callback in gauges.items():
        name = f"db.client.connection.{key}"
        meter.create_observable_up_down_counter(name, [callback])
