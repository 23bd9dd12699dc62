"""What a request leaves on its connection does not reach others, and does not hide what was lost."""

import concurrent.futures
import re
import textwrap
from collections.abc import Callable

import pytest

from tests.conftest import SERVERS, Project, need_server, only, serve
from tests.databases import sql
from tests.faults.load import POOL
from tests.variants import Variant

pytestmark = pytest.mark.faults

TENANTS = """
from sqlalchemy import text
from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.dependencies.variables import set_local
from app.main import app

NAMES = text("SELECT name FROM users")


async def names(session, tenant: str | None) -> list[str]:
    if tenant:
        await set_local(session, "role", "pg_read_all_data")  # a superuser sees all rows
        await set_local(session, "app.tenant", tenant)
    else:
        await session.connection(execution_options=dict(isolation_level="READ COMMITTED"))
        await session.execute(text("SET LOCAL ROLE pg_read_all_data"))
    return list(await session.scalars(NAMES))


@app.get("/write")
async def write(session: DatabaseSession, tenant: str | None = None) -> list[str]:
    return await names(session, tenant)


@app.get("/read")
async def read(session: DatabaseReadSession, tenant: str | None = None) -> list[str]:
    return await names(session, tenant)
"""
POLICY = """
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenants ON users USING (name = current_setting('app.tenant', true))
"""


@pytest.fixture
def add_routes(stressed: Project, variant: Variant) -> Callable[[str], Project]:
    """Return a function that writes routes into a copy of the project, as the module `extra`."""

    def add(source: str) -> Project:
        source = textwrap.dedent(source)
        if variant.engine == "sync":
            source = source.replace("async ", "").replace("await ", "")
        (stressed.path / "extra.py").write_text(source)
        return stressed

    return add


@only(database=("postgresql",), migrations=("create_all",))
def test_tenants(add_routes: Callable[[str], Project], database_url: str) -> None:
    """Row-level security shows each request its own rows, and none to a request that names no tenant."""
    project = add_routes(TENANTS)
    with serve(project, app="extra:app", DATABASE_URL=database_url, **POOL) as (client, log):
        for tenant in ("ada", "bob"):
            client.post("/api/v1/users", json={"email": f"{tenant}@example.com", "name": tenant})
        for statement in POLICY.split(";"):
            sql(database_url, statement)
        for path in ("/write", "/read"):
            tenants = ["ada", "bob", None, None] * 20
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                send = [pool.submit(client.get, path, params={"tenant": name} if name else {}) for name in tenants]
                seen = [one.result().json() for one in send]
            assert "Traceback" not in log.read_text(), log.read_text()
            assert seen == [[name] if name else [] for name in tenants]
        assert len(client.get("/api/v1/users").json()["items"]) == 2


DEADLOCK = """
import asyncio, time
from contextlib import suppress
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from app.dependencies.database import DatabaseSession
from app.main import app
from app.models.user import User

UPDATE = text("UPDATE users SET name = 'x' WHERE id = :id")


@app.post("/swap/{first}/{second}/{savepoint}", status_code=201)
async def swap(session: DatabaseSession, first: int, second: int, savepoint: bool) -> None:
    session.add(User(email=f"{first}-{savepoint}@example.com", name="before", is_active=True))
    await session.flush()
    await session.execute(UPDATE, {"id": first})
    await SLEEP(1)
    with suppress(DBAPIError):
        if savepoint:
            async with session.begin_nested():
                await session.execute(UPDATE, {"id": second})
        else:
            await session.execute(UPDATE, {"id": second})
    session.add(User(email=f"after-{first}-{savepoint}@example.com", name="after", is_active=True))
"""


@only(database=("mysql",), migrations=("create_all",))
def test_deadlock(add_routes: Callable[[str], Project], database_url: str, variant: Variant) -> None:
    """Who catches a deadlock, and goes on, stores all or nothing: the server has rolled back what came before."""
    sleep = "asyncio.sleep" if variant.engine == "async" else "time.sleep"
    project = add_routes(DEADLOCK.replace("SLEEP", sleep))
    with serve(project, app="extra:app", DATABASE_URL=database_url, **POOL) as (client, _):
        for name in ("ada", "bob"):
            client.post("/api/v1/users", json={"email": f"{name}@example.com", "name": name})
        for time, savepoint in enumerate((False, True), 1):
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                swaps = [(1, 2), (2, 1)]
                send = [pool.submit(client.post, f"/swap/{first}/{second}/{savepoint}") for first, second in swaps]
                statuses = sorted(one.result().status_code for one in send)
            assert statuses == [201, 500]
            assert sql(database_url, "SELECT count(*) FROM users WHERE id > 2") == 2 * time


LARGE = """
from sqlalchemy import select, text
from app.dependencies.database import DatabaseSession
from app.main import app
from app.models.user import User


@app.get("/long/{number}")
async def long(session: DatabaseSession, number: int) -> int:
    return await session.scalar(text("SELECT length(:value)"), {"value": "x" * number})


@app.get("/many/{number}")
async def many(session: DatabaseSession, number: int) -> list[int]:
    return list(await session.scalars(select(User.id).where(User.id.in_(range(number)))))
"""
REFUSALS = {"mysql": "see max_allowed_packet", "postgresql": "number of (parameters|query arguments)"}


@only(database=SERVERS, migrations=("create_all",))
def test_too_large(add_routes: Callable[[str], Project], database_url: str, variant: Variant) -> None:
    """A statement that no server takes, however often it comes, is a fault of the service, and its log says why."""
    paths = ["/many/70000"]
    if variant.database == "mysql":
        largest = sql(need_server("mysql"), "SELECT @@max_allowed_packet")
        paths = [f"/long/{largest + 1000}", f"/long/{largest * 5 // 2}"]
    with serve(add_routes(LARGE), app="extra:app", DATABASE_URL=database_url, **POOL) as (client, log):
        for path in paths:
            # Starlette raises what it has answered with 500, and uvicorn then closes the connection.
            response = client.get(path, headers={"Connection": "close"})
            assert (response.status_code, response.headers.get("Retry-After")) == (500, None)
            assert client.get("/api/v1/users", headers={"Connection": "close"}).status_code == 200
        assert re.search(REFUSALS[variant.database], log.read_text())
