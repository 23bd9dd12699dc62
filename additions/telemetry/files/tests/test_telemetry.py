{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""The database, traced and measured."""

import json

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.database.engine import build_engine, get_capacity
from app.extensions.telemetry import measure_pools, observe_database, trace_statements
from app.settings import get_settings
from tests.client import Client


async def test_start(started_client: Client) -> None:
    """The service begins with it, once."""
    del started_client
    assert observe_database.cache_info().misses == 1


async def test_spans(started_client: Client) -> None:
    """A statement is a span, a failed one too: with its text, and without values."""
    del started_client
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    engine = build_engine(get_settings())
    trace_statements(engine{{ ".sync_engine" if cookiecutter.engine == "async" }}, provider)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT :value"), {"value": "secret"})
        with pytest.raises(DBAPIError):
            await connection.execute(text("UPDATE nowhere SET a = :a"), {"a": "secret"})
    await engine.dispose()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    good, bad = spans["SELECT"].attributes, spans["UPDATE"].attributes
    assert good is not None
    assert str(good["db.query.text"]).startswith("SELECT ")
    assert good["db.system.name"] == engine.name
    assert good["db.namespace"] == engine.url.database
    assert bad is not None
    assert bad["error.type"]
    assert not spans["UPDATE"].status.is_ok
    assert "secret" not in "".join(span.to_json() for span in spans.values())


async def test_pools(started_client: Client) -> None:
    """The pool is measured: its connections by state, its size, who waits."""
    del started_client
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    engine = build_engine(get_settings())
    measure_pools({"app": engine{{ ".sync_engine" if cookiecutter.engine == "async" }}}, provider)
    async with engine.connect():
        data = reader.get_metrics_data()
    await engine.dispose()
    provider.shutdown()
    assert data is not None
    values = {}
    [resource] = json.loads(data.to_json())["resource_metrics"]
    for metric in resource["scope_metrics"][0]["metrics"]:
        for point in metric["data"]["data_points"]:
            name = metric["name"].removeprefix("db.client.connection.")
            values[name, *point["attributes"].values()] = point["value"]
    assert values == {
        ("count", "app", "idle"): 0,
        ("count", "app", "used"): 1,
        ("max", "app"): get_capacity(),
        ("pending_requests",): 0,
    }
{% endcall %}
