{% from "engine.jinja" import engine with context %}
{% set is_async = cookiecutter.engine == "async" %}
"""Telemetry: spans and metrics where they are asked for, and otherwise nothing."""

import json
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.database.engine import build_engine, get_capacity, get_engine_options
from app.settings import get_settings
from app.web.telemetry import is_on, measure_pools, trace_statements
from tests.client import Client
from tests.conftest import IMPORTED
from tests.process import Run

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SDK = ("opentelemetry.sdk", "opentelemetry.exporter")


def test_off() -> None:
    """Without an endpoint, nothing that sends is imported."""
    assert not is_on()
    assert not [name for name in IMPORTED if name.startswith(SDK)]


@pytest.mark.parametrize("disabled", ["true", "True"])
def test_switched_off(monkeypatch: pytest.MonkeyPatch, disabled: str) -> None:
    """An endpoint switches it on, and OpenTelemetry's own switch off again."""
    assert not is_on.__wrapped__()
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    assert is_on.__wrapped__()
    monkeypatch.setenv("OTEL_SDK_DISABLED", disabled)
    assert not is_on.__wrapped__()


def test_packages_are_missing(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With an endpoint but without the packages, one line says what to install."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    for name in [name for name in sys.modules if name.startswith(SDK)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    assert not is_on.__wrapped__()
    [line] = caplog.messages
    assert ENDPOINT in line
    assert "pip install '.[telemetry]'" in line
{% call engine() %}


async def test_on(uvicorn_run: Run) -> None:
    """With an endpoint, it gets traces and metrics; the request has its trace's id."""
    received = uvicorn_run.received
    traces, measures = received["/v1/traces"], received["/v1/metrics"]
    for words in ("GET /api/v1/users", "fastapi.endpoint", "SELECT", "users.email"):
        assert words.encode() in traces
    *trace_ids, _ = uvicorn_run.request_ids  # the last request brought one
    for trace_id in trace_ids:
        assert bytes.fromhex(trace_id) in traces
    for name in (
        "http.server.request.duration",
        "db.client.connection.count",
        "db.client.connection.max",
        "db.client.connection.idle.max",
        "db.client.connection.pending_requests",
    ):
        assert name.encode() in measures
    assert "/v1/logs" not in received


async def test_spans(started_client: Client) -> None:
    """A statement is a span, a failed one too: with its text, and without values."""
    del started_client
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    engine = build_engine(get_settings())
    trace_statements(engine{{ ".sync_engine" if is_async }}, provider)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT id FROM users"))
        with pytest.raises(DBAPIError):
            await connection.execute(text("UPDATE nowhere SET a = :a"), {"a": "secret"})
    await engine.dispose()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    good, bad = spans["SELECT"].attributes, spans["UPDATE"].attributes
    assert good is not None
    assert good["db.query.text"] == "SELECT id FROM users"
    assert good["db.system.name"] == engine.name
    assert good["db.namespace"] == engine.url.database
    assert bad is not None
    assert bad["error.type"]
    assert not spans["UPDATE"].status.is_ok
    assert spans["UPDATE"].status.description is None
    assert "secret" not in "".join(span.to_json() for span in spans.values())


async def test_pool(started_client: Client) -> None:
    """The pool is measured: its connections by state, its size, who waits."""
    del started_client
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    engine = build_engine(get_settings())
    measure_pools({"app": engine.pool}, provider)
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
        ("idle.max", "app"): get_engine_options(get_settings())["pool_size"],
        ("max", "app"): get_capacity(),
        ("pending_requests",): 0,
    }
{% endcall %}
