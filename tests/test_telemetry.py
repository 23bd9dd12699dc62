"""What a team adds to trace and measure the database, by the page about it."""

import re
import shutil
from pathlib import Path

from tests.conftest import Project, only
from tests.team import replace, written_for
from tests.test_service import add_tests
from tests.variants import Variant

TEST = '''"""The database, traced and measured."""

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
from app.settings import get_settings
from app.web.telemetry import measure_pools, trace_statements
from tests.client import Client
from tests.service.process import Run


async def test_collector(uvicorn_run: Run) -> None:
    """It gets the statements, and the pools."""
    for words in ("SELECT", "users.email"):
        assert words.encode() in uvicorn_run.received["/v1/traces"]
    assert b"db.client.connection.count" in uvicorn_run.received["/v1/metrics"]


async def test_spans(started_client: Client) -> None:
    """A statement is a span, a failed one too: with its text, and without values."""
    del started_client
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    engine = build_engine(get_settings())
    trace_statements(engine.sync_engine, provider)
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
        ("max", "app"): get_capacity(),
        ("pending_requests",): 0,
    }
'''


@only(database=("sqlite",), migrations=("create_all",))
def test_page(project: Project, variant: Variant, tmp_path: Path) -> None:
    """What the page says is clean code, and does what it says."""
    service = Project(tmp_path / "service", variant)
    shutil.copytree(project.path, service.path)
    add_tests(service.path, variant)
    page = (service.path / "docs" / "telemetry.md").read_text(encoding="utf-8")
    module, call = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (service.path / "app" / "web" / "telemetry.py").write_text(module, encoding="utf-8")
    line, place = "from app.web.telemetry import observe_database\n", "from app.settings import get_settings\n"
    opened = "            patience=settings.database_startup_timeout,\n        )\n"
    replace(service.path / "app" / "web" / "lifespan.py", (place, place + line), (opened, opened + call))
    test = written_for(variant.engine, TEST)
    test = test if variant.engine == "async" else test.replace(".sync_engine", "")
    (service.path / "tests" / "service" / "test_database.py").write_text(test, encoding="utf-8")
    service.run("ruff", "check", "--no-cache", "app", "tests/service/test_database.py")
    service.run("ruff", "format", "--no-cache", "--check", "app", "tests/service/test_database.py")
    service.run("mypy")
    service.run("lint-imports")
    service.run("pytest", "-q", "-p", "no:cacheprovider", "tests/service/test_database.py")
