"""What is added to a copy of a project to stress it: routes that wait, fail and stream; and a race of processes."""

from pathlib import Path

ROUTES = '''
"""The service, with routes that wait, fail and stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.responses import StreamingResponse
from sqlalchemy import text

from app.database.engine import get_engine
from app.dependencies.database import DatabaseSession, open_read_session, open_session
from app.main import app
from app.models.user import User
from app.schemas.user import UserCreate


{async_}def current_user(session: DatabaseSession) -> int:
    return {await_}session.scalar(text("SELECT 1"))


@app.get("/stress/two")
{async_}def two(session: DatabaseSession, user: Annotated[int, Depends(current_user)]) -> int:
    {sleep}(0.02)
    return user + {await_}session.scalar(text("SELECT 1"))


@app.get("/stress/slow")
{async_}def slow(session: DatabaseSession, seconds: float = 1) -> int:
    {await_}session.execute(text("SELECT 1"))
    {sleep}(seconds)
    return 1


@app.get("/stress/again")
{async_}def again(session: DatabaseSession) -> None:
    {await_}session.execute(text("SELECT * FROM products"))
    {sleep}(2)
    {await_}session.execute(text("SELECT * FROM users"))


@app.put("/stress/write", status_code=201)
@app.post("/stress/write", status_code=201)
{async_}def write(session: DatabaseSession, name: str, seconds: float = 1) -> None:
    session.add(User(email=f"{{name}}@example.com", name=name, is_active=True))
    {await_}session.flush()
    {sleep}(seconds)


@app.post("/stress/serializable", status_code=201)
{async_}def write_alone(session: DatabaseSession, body: UserCreate) -> None:
    {await_}session.connection(execution_options={{"isolation_level": "SERIALIZABLE"}})
    session.add(User(**body.model_dump()))


@app.post("/stress/late-isolation", status_code=201)
{async_}def isolate_late(session: DatabaseSession, user: Annotated[int, Depends(current_user)]) -> None:
    {await_}session.connection(execution_options={{"isolation_level": "SERIALIZABLE"}})


@app.get("/stress/sleep")
{async_}def sleep(session: DatabaseSession) -> None:
    {await_}session.execute(text("SELECT {sql_sleep}"))


@app.get("/stress/crash")
{async_}def crash(session: DatabaseSession) -> None:
    {await_}session.execute(text("SELECT 1"))
    raise RuntimeError("crash")


@app.get("/stress/refuse")
{async_}def refuse(session: DatabaseSession, seconds: float = 0) -> None:
    {await_}session.execute(text("SELECT 1"))
    {sleep}(seconds)
    raise HTTPException(418)


@app.get("/stress/nonsense")
{async_}def nonsense(session: DatabaseSession) -> None:
    {await_}session.execute(text("SELECT x FROM nowhere"))


@app.get("/stress/stream")
{async_}def stream(session: DatabaseSession) -> StreamingResponse:
    {await_}session.execute(text("SELECT 1"))

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(600):
            yield b"x" * 10_000
            await asyncio.sleep(0.05)

    return StreamingResponse(parts())


@app.get("/stress/held/{{kind}}")
{async_}def held(kind: str) -> StreamingResponse:
    opened = open_session if kind == "write" else open_read_session

    {async_}def parts() -> {iterator}[bytes]:
        {async_}with opened() as session:
            for _ in range(600):
                {await_}session.execute(text("SELECT 1"))
                yield b"x" * 10_000
                {sleep}(0.05)

    return StreamingResponse(parts())


@app.get("/stress/late")
{async_}def late(session: DatabaseSession) -> StreamingResponse:
    {async_}def parts() -> {iterator}[bytes]:
        {await_}session.execute(text("SELECT 1"))  # the request, and with it the session, is over
        for _ in range(600):
            yield b"x" * 10_000
            {sleep}(0.05)

    return StreamingResponse(parts())


@app.get("/stress/pool")
async def pool() -> int:
    return get_engine().pool.checkedout()
'''

TASKS = '''

@app.post("/stress/gather")
async def gather(session: DatabaseSession) -> None:
    """The session is another task's, which is in the middle of a statement when the request fails."""

    async def write() -> None:
        session.add(User(email="gather@example.com", name="gather", is_active=True))
        await session.flush()
        await session.execute(text("SELECT {sql_sleep}"))

    async def fail() -> None:
        await asyncio.sleep(0.2)
        raise HTTPException(418)

    await asyncio.gather(write(), fail())


@app.post("/stress/cut")
async def cut(session: DatabaseSession) -> None:
    """A request that gives up in the middle of a statement."""
    session.add(User(email="cut@example.com", name="cut", is_active=True))
    await session.flush()
    try:
        async with asyncio.timeout(0.2):
            await session.execute(text("SELECT {sql_sleep}"))
    except TimeoutError:
        raise HTTPException(418) from None
'''

RACE = '''
"""A process for each address prepares the same empty database, all at once, so many times; each must succeed."""

import multiprocessing
import os
import sys

from sqlalchemy import make_url

from app.database import __main__ as command_line
from app.settings import get_settings


def prepare(barrier, url):
    os.environ["DATABASE_URL"] = url
    get_settings.cache_clear()
    sys.argv = ["app.database", "prepare"]
    barrier.wait()
    sys.exit(command_line.main())


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    rounds, *bases = sys.argv[1:]
    for number in range(int(rounds)):
        barrier = context.Barrier(len(bases))
        urls = [base.replace("ROUND", str(number)) for base in bases]
        processes = [context.Process(target=prepare, args=(barrier, url)) for url in urls]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert {process.exitcode for process in processes} == {0}, number
    print("all won")
'''

CONCURRENTLY = '''"""An index that is built while others write."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_users_name", "users", ["name"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_users_name", "users", postgresql_concurrently=True)
'''

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000) SELECT max(i) FROM n"
SLEEP = {"postgresql": "pg_sleep(30)", "mysql": "sleep(30)", "sqlite": f"({NUMBERS})"}


def add_stress(project: Path, database: str, engine: str) -> None:
    """Write the routes and the race into a copy of a project."""
    is_async = engine == "async"
    words = {
        "async_": "async " if is_async else "",
        "await_": "await " if is_async else "",
        "sleep": "await asyncio.sleep" if is_async else "time.sleep",
        "iterator": "AsyncIterator" if is_async else "Iterator",
        "sql_sleep": SLEEP[database],
    }
    routes = ROUTES + TASKS if is_async else ROUTES
    (project / "stress.py").write_text(routes.format(**words))
    (project / "race.py").write_text(RACE)
