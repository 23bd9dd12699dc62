"""Traces and metrics, which OpenTelemetry sends to where the environment says.

FastAPI itself traces and measures requests; this adds what the database does. When
the environment names no endpoint, nothing here takes part in a request.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import SpanKind, StatusCode, TracerProvider
from sqlalchemy import Engine, ExceptionContext, Pool, QueuePool, event

from app.database.engine import get_capacity
from app.database.limiter import get_limiter

logger = logging.getLogger(__name__)

ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)


@lru_cache
def is_on() -> bool:
    """Tell whether the environment asks for telemetry, and the packages are there."""
    asked = [name for name in ENDPOINTS if os.environ.get(name)]
    if not asked or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    try:
        import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        message = "No telemetry, though %s is set: run `pip install '.[telemetry]'`"
        logger.warning(message, asked[0])
        return False
    return True


def current_trace_id() -> str | None:
    """Return the id of the trace; None if there is none: only metrics are sent, say."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def observe_database(engines: Mapping[str, Engine]) -> None:
    """Send what the database does, by these names, to where FastAPI sends the rest."""
    for engine in engines.values():
        trace_statements(engine)
    measure_pools({name: engine.pool for name, engine in engines.items()})


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
    pools: Mapping[str, Pool],
    provider: MeterProvider | None = None,
) -> None:
    """Publish how many connections there are, and how many requests wait for one."""
    meter = metrics.get_meter("app.database", meter_provider=provider)

    def observe(read: Callable[[QueuePool], int], **more: str) -> Iterable[Observation]:
        for name, pool in pools.items():
            assert isinstance(pool, QueuePool)  # noqa: S101  (tells the type checker)
            about = {"db.client.connection.pool.name": name}
            yield Observation(read(pool), about | more)

    def count(options: CallbackOptions) -> Iterable[Observation]:
        state = "db.client.connection.state"
        yield from observe(lambda pool: pool.checkedin(), **{state: "idle"})
        yield from observe(lambda pool: pool.checkedout(), **{state: "used"})

    for key, callback in {
        "count": count,
        "idle.max": lambda options: observe(QueuePool.size),
        "max": lambda options: observe(lambda pool: get_capacity()),
        "pending_requests": lambda options: [Observation(get_limiter().waiting)],
    }.items():
        unit = "{request}" if key == "pending_requests" else "{connection}"
        full_name = f"db.client.connection.{key}"
        meter.create_observable_up_down_counter(full_name, [callback], unit)
