"""`make telemetry`, `idempotency`, `retries` and `test-rollout`: files that a team adds, and takes away again."""

import random
from pathlib import Path

import anyio
import httpx2
import pytest

from tests.conftest import Project, only, serve
from tests.databases import sql
from tests.team import written_for
from tests.test_resource import QUICK, add_files, contents, own, run
from tests.test_service import add_tests
from tests.test_variants import SUITE, server_of
from tests.variants import VARIANTS, Variant

__all__ = ["own"]

ADDITIONS = {
    "telemetry": ["tests/test_telemetry.py"],
    "idempotency": ["tests/guarantees/test_idempotency.py"],
    "retries": ["tests/guarantees/test_retries.py"],
    "rollout": [],
}
"""Each with its tests; a rollout is tried in `tests/test_rollout.py`."""

REFUSED = {
    "retries": ("sqlite", "SQLite lets one write at a time"),
    "rollout": ("create_all", "create_all changes no table"),
}
"""What is not for an answer, and why."""

COLLECTED = '''"""The collector of telemetry."""

from tests.service.process import Run


async def test_collector(uvicorn_run: Run) -> None:
    """It gets the statements, and the pools."""
    for words in ("SELECT", "users.email"):
        assert words.encode() in uvicorn_run.received["/v1/traces"]
    assert b"db.client.connection.count" in uvicorn_run.received["/v1/metrics"]
'''


@pytest.mark.parametrize(
    "variant",
    [pytest.param(v, id=str(v), marks=() if v in QUICK else pytest.mark.slow) for v in VARIANTS],
    indirect=True,
)
def test_additions(own: Project, database_url: str, tmp_path: Path) -> None:
    """All of them together are linted, typed, tested, migrated, and undone by deleting what was printed."""
    variant, before = own.variant, contents(own)
    refused = {name: why for name, (answer, why) in REFUSED.items() if answer in vars(variant).values()}
    for name, why in refused.items():
        assert run(own, name=name, status=1).startswith(f"ERROR: {name}: {why}")
    names = [name for name in ADDITIONS if name not in refused]
    written = [path for name in names for path in add_files(own, name=name)]
    assert contents(own).keys() == before.keys() | set(written)
    own.run("ruff", "check", "--no-cache")
    own.run("ruff", "format", "--check", "--no-cache")
    own.run("lint-imports", "--no-logo", "--no-cache")
    if variant not in QUICK:
        own.run("mypy", "--cache-dir", str(tmp_path / "mypy"))
    tests = [test for name in names for test in ADDITIONS[name]]
    own.run(*SUITE, *tests, "tests/guarantees/test_routes.py", "tests/test_users.py", **server_of(variant))
    if variant.migrations == "alembic":
        own.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
        assert "No new upgrade operations" in own.run("alembic", "check", DATABASE_URL=database_url)
        own.run("alembic", "downgrade", "0001", DATABASE_URL=database_url)
    for path in written:
        (own.path / path).unlink()
    assert contents(own) == before


@pytest.mark.slow
@only(database=("sqlite",), engine=("async",), migrations=("create_all",))
def test_collector(own: Project, variant: Variant) -> None:
    """What is traced and measured gets to the collector."""
    add_files(own, name="telemetry")
    add_tests(own.path, variant)
    (own.path / "tests" / "service" / "test_collector.py").write_text(
        written_for(variant.engine, COLLECTED), encoding="utf-8"
    )
    own.run(*SUITE, "tests/service/test_collector.py", **server_of(variant))


LOSES = '''
"""The service, behind a proxy that loses every other answer after the service has sent it."""

import random

from app.main import app as service


async def app(scope, receive, send):
    if scope["type"] != "http" or random.random() < 0.5:
        await service(scope, receive, send)
        return

    async def lose(message):
        if message["type"] == "http.response.start":
            await send({"type": "http.response.start", "status": 504, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    await service(scope, receive, lose)
'''


THREE = [
    Variant("sqlite", "async", "alembic"),
    Variant("postgresql", "sync", "create_all"),
    Variant("mysql", "async", "create_all"),
]


@pytest.mark.slow
@pytest.mark.parametrize("variant", [pytest.param(v, id=str(v)) for v in THREE], indirect=True)
def test_lost_answers(own: Project, database_url: str) -> None:
    """Of requests that are sent until there is an answer, each is done exactly once."""
    number = 1000
    add_files(own, name="idempotency")
    (own.path / "loses.py").write_text(LOSES, encoding="utf-8")
    routes = own.path / "app" / "api" / "routes" / "users.py"
    text = routes.read_text(encoding="utf-8")
    first = "from app.web.problems import"
    text = text.replace(first, f"from app.web.idempotency import IdempotentRoute\n{first}", 1)
    text = text.replace("APIRouter(", "APIRouter(route_class=IdempotentRoute, ", 1)
    routes.write_text(text, encoding="utf-8")

    async def until_answered(client: httpx2.AsyncClient, name: str) -> None:
        headers = {"Idempotency-Key": name}
        body = {"email": f"{name}@example.com", "name": name}
        statuses = set()
        for _ in range(100):
            response = await client.post("/api/v1/users", json=body, headers=headers)
            statuses.add(response.status_code)
            if response.status_code == 201:
                assert response.json().items() >= body.items()
                assert response.headers["Location"].endswith(f"/{response.json()['id']}")
                return
            assert response.status_code in {409, 503, 504}, response.text
            await anyio.sleep(random.uniform(0, 0.1))
        raise AssertionError(statuses)

    async def send_all(url: str) -> None:
        async with httpx2.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
            for start in range(0, number, 50):
                async with anyio.create_task_group() as group:
                    for one in range(start, start + 50):
                        group.start_soon(until_answered, client, f"ada{one}")
                    # Once more at the same time, as a client that is impatient.
                    group.start_soon(until_answered, client, f"ada{start}")

    with serve(own, app="loses:app", DATABASE_URL=database_url, DATABASE_PREPARE_ON_STARTUP="true") as (client, log):
        anyio.run(send_all, str(client.base_url))
        assert "Traceback" not in log.read_text(encoding="utf-8")
    assert sql(database_url, "SELECT count(*) FROM users") == number
