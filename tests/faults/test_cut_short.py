"""Requests that a middleware cuts short, at any moment of theirs."""

import random
import re
import uuid
from collections import Counter

import anyio
import pytest
from sqlalchemy import text

from tests.conftest import Project, only, serve
from tests.databases import connect, sql
from tests.faults.load import POOL, asynchronous, send, wait_for
from tests.variants import Variant

pytestmark = pytest.mark.faults

CUT = '''
"""The service, in a middleware of a team's that cuts requests short; and once more, a moment later, in another one."""

import asyncio

from stress import app as service


class CutShort:
    def __init__(self, app, later=0):
        self.app = app
        self.later = later

    async def __call__(self, scope, receive, send):
        headers = dict(scope.get("headers", ()))
        if b"x-cut" not in headers:
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(float(headers[b"x-cut"]) + self.later):
                await self.app(scope, receive, send)
        except TimeoutError:
            await send({"type": "http.response.start", "status": 504, "headers": []})
            await send({"type": "http.response.body", "body": b""})


service.add_middleware(CutShort)
app = CutShort(service, later=0.005)
'''
OPEN_TRANSACTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity"
    " WHERE state LIKE 'idle in transaction%' AND datname = current_database()",
    "mysql": "SELECT count(*) FROM information_schema.innodb_trx",
}


def faults(log: str) -> list[str]:
    """Find what a log says with a traceback, but for what SQLAlchemy says of a close that is cut short.

    Nothing is lost there, and nothing that a service does could hinder it.
    """
    entries = re.split(r"\n(?=\d{4}-\d\d-\d\d )", log)
    closing = re.compile(r".*ERROR: Exception (?:closing connection|during reset or similar)[\s\S]*CancelledError\s*")
    return [entry for entry in entries if "Traceback" in entry and not closing.fullmatch(entry)]


@only(migrations=("alembic",))
def test_cut_short(stressed: Project, database_url: str, variant: Variant) -> None:
    """What is answered 504 is not stored, 201 is, and 503 says that nobody knows; nothing that was lent is lost."""
    (stressed.path / "cut.py").write_text(CUT)
    # As many connections as elsewhere, but none is opened for one use: SQLAlchemy closes such a one in the request, and
    # writes a traceback into the log when it is cut short there, though nothing is lost.
    pool = POOL | {"DATABASE_POOL_SIZE": "15", "DATABASE_MAX_OVERFLOW": "0"}
    with serve(stressed, app="cut:app", DATABASE_URL=database_url, **pool) as (client, log):
        stored: set[str] = set()
        unknown: set[str] = set()

        async def load() -> Counter[int]:
            statuses: Counter[int] = Counter()
            async with asynchronous(client) as other:

                async def one() -> None:
                    name = uuid.uuid4().hex
                    params = {"name": name, "seconds": "0.05"}
                    headers = {"x-cut": f"{random.uniform(0.001, 0.8):.3f}"}
                    response = await other.post("/stress/write", params=params, headers=headers)
                    statuses[response.status_code] += 1
                    if response.status_code == 201:
                        stored.add(f"{name}@example.com")
                    elif response.status_code == 503:
                        assert response.json()["type"] == "/problems/outcome-unknown"
                        assert "retry-after" not in response.headers
                        unknown.add(f"{name}@example.com")

                for _ in range(4):
                    async with anyio.create_task_group() as group:
                        for _ in range(40):
                            group.start_soon(one)
            return statuses

        statuses = anyio.run(load)
        # A thread that commits cannot be stopped, so that a synchronous service always knows.
        known = statuses.keys() - ({503} if variant.engine == "async" else set())
        assert known == {201, 504}, faults(log.read_text())
        wait_for(lambda: client.get("/stress/pool").json() == 0, 10)
        if query := OPEN_TRANSACTIONS.get(variant.database):
            wait_for(lambda: sql(database_url, query) == 0, 5)
        with connect(database_url) as connection:
            rows = set(connection.scalars(text("SELECT email FROM users")))
        assert stored <= rows <= stored | unknown

        async def go_on() -> Counter[int]:
            async with asynchronous(client) as other:
                return await send(other, 40, "GET", "/stress/two")

        assert anyio.run(go_on) == {200: 40}
        assert client.post("/stress/write", params={"name": "last", "seconds": 0}).status_code == 201
        assert not faults(log.read_text())
