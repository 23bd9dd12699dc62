"""Sessions outside of a request, by the recipes of the pages."""

import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest

from tests.conftest import Project, only, serve
from tests.databases import sql
from tests.faults.load import POOL, asynchronous, send, wait_for
from tests.pages import write_files
from tests.variants import Variant

pytestmark = pytest.mark.faults

CRASH = """
from fastapi import APIRouter, WebSocket

router = APIRouter()


@router.websocket("/crash")
async def crash(socket: WebSocket) -> None:
    await socket.accept()
    raise RuntimeError("crash")
"""
TALK = """
import sys

from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

with connect(f"{sys.argv[1]}/names/1") as idle, connect(f"{sys.argv[1]}/names/1") as socket:
    socket.send("Message")
    assert socket.recv() == "stored"
    input()  # nothing is locked meanwhile
    for path in ("names/2", "crash"):
        with connect(f"{sys.argv[1]}/{path}") as socket:
            try:
                socket.send("Nobody")
                socket.recv()
            except ConnectionClosedError as error:
                print(path, error.rcvd.code)
"""
TASKS = """
import time
from typing import Annotated

from fastapi import BackgroundTasks, Depends
from sqlalchemy import text

from app.dependencies.database import DatabaseSession, open_session
from stress import app, current_user

done = []


def work() -> None:
    with open_session() as session:
        session.execute(text("SELECT 1"))
        time.sleep(0.02)
        done.append(1)


@app.get("/with-task")
def with_task(session: DatabaseSession, user: Annotated[int, Depends(current_user)], tasks: BackgroundTasks) -> int:
    tasks.add_task(work)
    return session.scalar(text("SELECT 1"))


@app.get("/done")
async def count_done() -> int:
    return len(done)
"""
LOOPS = """
import asyncio

from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError

from app.dependencies.database import open_read_session, open_session


async def ask() -> None:
    async with open_session() as session, open_read_session() as reader:
        await session.execute(text("SELECT 1"))
        await reader.execute(text("SELECT 1"))


async def main() -> None:
    await asyncio.gather(*[ask() for _ in range(40)])


async def two() -> None:
    await ask()
    try:
        await asyncio.to_thread(asyncio.run, ask())
    except InvalidRequestError as error:
        print(error)
    await main()


for _ in range(3):
    asyncio.run(main())
asyncio.run(two())
print("three loops")
"""


@only(database=("sqlite", "postgresql"), migrations=("alembic",))
def test_recipes(project: Project, database_url: str, variant: Variant, tmp_path: Path) -> None:
    """A message is stored when the client hears so; an error is a code, and once in the log; the others work, too."""
    copy = Project(Path(shutil.copytree(project.path, tmp_path / "project")), variant)
    write_files(copy.path)
    (copy.path / "app" / "api" / "routes" / "crash.py").write_text(CRASH)
    (copy.path / "talk.py").write_text(TALK)
    settings = {"DATABASE_URL": database_url, "API_KEY": "s3cret", **POOL}

    def name() -> str:
        return str(sql(database_url, "SELECT name FROM users WHERE id = 1"))

    with serve(copy, **settings) as (client, log):
        assert client.post("/api/v1/users", json={"email": "ada@example.com", "name": "Ada"}).status_code == 201
        address = f"ws://127.0.0.1:{client.base_url.port}/api/v1"
        python = Path(copy.run("python", "-c", "import sys; print(sys.executable)").strip())
        talk = subprocess.Popen([python, "talk.py", address], cwd=copy.path, stdin=PIPE, stdout=PIPE, text=True)
        wait_for(lambda: name() == "Message", 20)
        for number in range(5):
            body = {"name": f"Product {number}", "price": "1.00", "quantity": 1}
            assert client.post("/api/v1/products", json=body).status_code == 201
        printed, _ = talk.communicate("\n", timeout=20)
        assert printed.split("\n")[:2] == ["names/2 1011", "crash 1011"]
        text = log.read_text()
        assert text.count("Traceback (most recent call last)") == 2
        assert "ASGI message" not in text
        assert client.post("/api/v1/renames/1", json={"name": "Later"}).status_code == 202
        wait_for(lambda: name() == "Later", 5)
        assert len(client.get("/api/v1/exports/products").text.splitlines()) == 5
        copy.run("python", "-m", "app.rename_user", "1", "Script", **settings)
        assert name() == "Script"


@only(database=("postgresql",), engine=("sync",), migrations=("alembic",))
def test_background_tasks_leave_threads(stressed: Project, database_url: str) -> None:
    """200 clients, each with a task that waits in a thread for a session: those who have one get a thread to go on."""
    (stressed.path / "tasks.py").write_text(TASKS)
    with serve(stressed, app="tasks:app", DATABASE_URL=database_url, **POOL) as (client, log):

        async def load() -> Counter[int]:
            async with asynchronous(client) as other:
                return await send(other, 200, "GET", "/with-task")

        started = time.monotonic()
        assert anyio.run(load) == {200: 200}
        wait_for(lambda: client.get("/done").json() == 200, 10)
        assert time.monotonic() - started < 20
        assert "Traceback" not in log.read_text()


@only(database=("postgresql", "mysql"), engine=("async",), migrations=("alembic",))
def test_two_loops(project: Project, database_url: str) -> None:
    """`asyncio.run` once more in one process gets no connections of the first loop; at the same time, it is refused."""
    project.run("python", "-m", "app.database", "prepare", DATABASE_URL=database_url)
    variables = {"DATABASE_URL": database_url, **POOL}
    output = project.run("python", "-c", LOOPS, **variables)
    assert "another event loop has the pool" in output
    assert "three loops" in output
