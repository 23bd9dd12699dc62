{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Routes that fail: in a test, to see what the service makes of it."""

import logging
{% if cookiecutter.engine == "sync" %}
import time
{% endif %}
{% if cookiecutter.engine == "async" %}
from asyncio import Event
{% endif %}
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
{% if cookiecutter.engine == "sync" %}
from threading import Event
{% endif %}
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, StatementError

from app.dependencies.database import (
    DatabaseReadSession,
    DatabaseSession,
    get_database_session,
    get_turns,
    open_session,
{% if cookiecutter.database == "postgresql" %}
    set_local,
{% endif %}
)
from app.models.user import User
from app.web.problems import ProblemError, problem, problems

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/faults", responses=problems(422))


class OutOfStockError(ProblemError):
    """There are fewer than the client asks for."""

    status = 409
    type = "/problems/out-of-stock"
    title = "Not enough in stock"
    available: Decimal


class ClosedError(ProblemError):
    """Nothing is sold today."""

    status = 409
    type = "/problems/closed"


class TiredError(Exception):
    """What a team's own handler answers, which is no coroutine."""


def on_tired(request: Request, error: Exception) -> Response:
    """Answer it."""
    del error
    return problem(request, 418, "I am tired.")


REFUSALS: dict[str, Callable[[], Exception]] = {
    "own": lambda: OutOfStockError("Only 2 are left.", available=Decimal("2.50")),
    "dict": lambda: HTTPException(409, {"code": "shipped", "status": "shipped"}),
    "list": lambda: HTTPException(409, [1, UUID(int=1)]),
    "surrogate": lambda: HTTPException(404, "There is no \ud800."),
    "unknown": lambda: HTTPException(499),
    "no-body": lambda: HTTPException(304, headers={"ETag": '"1"'}),
    "group": lambda: ExceptionGroup("", [HTTPException(404), group()]),
    "group-of-own": lambda: ExceptionGroup("", [TiredError()]),
    "group-with-fault": lambda: ExceptionGroup("", [HTTPException(404), KeyError()]),
}
"""By a name: what a route raises."""


def group() -> Exception:
    """Return what a group of tasks raises in another one."""
    return ExceptionGroup("", [HTTPException(423, "locked", {"X-Key": "1"})])


released = Event()
"""Set when those that hold a session are to go on."""
{% if cookiecutter.database == "postgresql" %}
DEFERRED = [
    "CREATE TEMP TABLE deferred (id INTEGER UNIQUE DEFERRABLE INITIALLY DEFERRED)",
    "INSERT INTO deferred VALUES (1), (1)",
]
{% elif cookiecutter.database == "sqlite" %}
DEFERRED = [
    "PRAGMA defer_foreign_keys = ON",
    "CREATE TEMP TABLE parents (id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE children (parent_id INTEGER REFERENCES parents)",
    "INSERT INTO children VALUES (1)",
]
{% endif %}


def user(name: str) -> User:
    """Return a user to store."""
    return User(email=f"{name}@example.com", name=name, is_active=True)


@router.post("/exception")
async def store_and_crash(session: DatabaseSession) -> None:
    """Store a user, and fail."""
    session.add(user("crash"))
    await session.flush()
    raise RuntimeError("a secret")


@router.post("/http-exception")
async def store_and_refuse(session: DatabaseSession) -> None:
    """Store a user, and refuse the request."""
    session.add(user("refusal"))
    await session.flush()
    raise HTTPException(418, "I am a teapot")


@router.get(
    "/refusals/{name}",
    responses=problems(404, 409, OutOfStockError, ClosedError),
)
async def refuse(name: str) -> None:
    """Raise what has this name."""
    raise REFUSALS[name]()


@router.post("/answer", response_model=int)
async def store_and_answer_badly(session: DatabaseSession) -> str:
    """Store a user, and return what the response model refuses."""
    session.add(user("answer"))
    await session.flush()
    return "no number"


@router.post("/commit", status_code=201)
async def store_what_violates_at_commit(session: DatabaseSession, email: str) -> None:
    """Leave it to COMMIT to find that an address is taken."""
    session.add_all([User(email=email, name="twin") for _ in range(2)])


{% if cookiecutter.database != "mysql" %}
@router.post("/deferred", status_code=201)
async def store_what_only_commit_refuses(session: DatabaseSession) -> None:
    """Store a user, and a row whose constraint is deferred to COMMIT."""
    session.add(user("deferred"))
    await session.flush()
    for statement in DEFERRED:
        await session.execute(text(statement))


{% endif %}
@router.post("/half", status_code=201)
async def commit_and_crash(session: DatabaseSession) -> None:
    """Commit one user, and fail after another."""
    session.add(user("first"))
    await session.commit()
    session.add(user("second"))
    await session.flush()
    raise RuntimeError("half way")


@router.post("/null", status_code=201)
async def store_null(session: DatabaseSession, name: str) -> None:
    """Store a row without a value that it must have."""
    session.add(User(email="null@example.com", name=name or None, is_active=True))


@router.post("/check", status_code=201)
async def store_what_a_check_refuses(session: DatabaseSession, price: int) -> None:
    """Store a row with a value out of bounds."""
    statement = "INSERT INTO products (name, price, quantity) VALUES ('x', :price, 1)"
    await session.execute(text(statement), {"price": price})


async def current_user(session: DatabaseSession) -> int:
    """Ask the database who this is, as an authenticated route would."""
    return await session.scalar(text("SELECT 1")) or 0


@router.post("/caught", status_code=201)
async def go_on_after_a_failure(session: DatabaseSession) -> None:
    """Store a user, and go on when another statement has failed."""
    session.add(user("caught"))
    await session.flush()
    with suppress(DBAPIError):
        await session.execute(text("SELECT secret FROM nowhere"))


async def fail_in_a_savepoint(session: DatabaseSession) -> None:
    """Store a user whose address is taken, in a savepoint."""
    async with session.begin_nested():
        session.add(user("savepoint"))
        await session.flush()


@router.post("/not-sent", status_code=201)
async def go_on_after_a_wrong_value(session: DatabaseSession) -> None:
    """Store a user, and go on when a statement could not be sent."""
    session.add(user("not-sent"))
    await session.flush()
    naive = datetime(2000, 1, 1)  # noqa: DTZ001
    with suppress(StatementError):
        await session.scalars(select(User).where(User.created_at > naive))


@router.post("/savepoint", status_code=201)
async def go_on_after_a_savepoint(session: DatabaseSession) -> None:
    """Store a user, and go on when what failed was in savepoints."""
    session.add(user("savepoint"))
    await session.flush()
    async with session.begin_nested():
        for _ in range(2):
            with suppress(DBAPIError):
                await fail_in_a_savepoint(session)


@router.get("/caught-by-reader")
async def commit_a_reader_after_a_failure(session: DatabaseReadSession) -> int:
    """Go on reading when another statement has failed; there is nothing to lose."""
    with suppress(DBAPIError):
        await session.execute(text("SELECT secret FROM nowhere"))
    await session.commit()
    return await session.scalar(text("SELECT 1")) or 0


@router.get("/two-dependencies")
async def use_two_dependencies(
    session: DatabaseSession,
    user: Annotated[int, Depends(current_user)],
) -> int:
    """Use the session in a dependency, and again in the route."""
    return user + (await session.scalar(text("SELECT 1")) or 0)


@router.get("/two-sessions")
async def use_two_sessions(
    reader: DatabaseReadSession,
    session: DatabaseSession,
) -> int:
    """Use both sessions, which take a connection each."""
    first = await reader.scalar(text("SELECT 1")) or 0
    return first + (await session.scalar(text("SELECT 1")) or 0)


{% if cookiecutter.engine == "sync" %}
@router.post("/slow", status_code=201)
def store_slowly(session: DatabaseSession) -> None:
    """Store a user, in so many seconds."""
    session.add(user("slow"))
    session.flush()
    time.sleep(0.5)
    session.execute(text("SELECT 1"))


{% endif %}
@router.get("/session-twice")
async def take_it_twice(
    session: DatabaseSession,
    another: Annotated[object, Depends(get_database_session, use_cache=False)],
) -> None:
    """Ask for a second session to write with."""
    del session, another


@router.get("/nested-session")
async def open_another(session: DatabaseSession) -> None:
    """Open a second session to write with."""
    await session.execute(text("SELECT 1"))
    async with open_session() as another:
        await another.execute(text("SELECT 1"))


@router.post("/add-to-reader", status_code=201)
async def add_to_reader(session: DatabaseReadSession) -> None:
    """Leave a user in a session that only reads."""
    session.add(user("reader"))


@router.post("/write-with-reader", status_code=201)
async def write_with_reader(session: DatabaseReadSession) -> None:
    """Send a statement that writes to where it is only read."""
    await session.execute(text("DELETE FROM users"))


{% if cookiecutter.database == "postgresql" %}
TENANT = text("SELECT current_setting('app.tenant', true)")


@router.get("/tenant")
async def set_a_tenant(
    reader: DatabaseReadSession,
    session: DatabaseSession,
) -> list[str]:
    """Return the tenant of both sessions, before and after it is set."""
    tenants = []
    for one in (reader, session):
        tenants.append(await one.scalar(TENANT) or "")
        await set_local(one, "app.user", "ada")
        await set_local(one, "app.tenant", "a tenant")
        tenants.append(await one.scalar(TENANT) or "")
    return tenants


{% endif %}
@router.get("/hold")
async def hold_a_session(session: DatabaseSession) -> int:
    """Keep a session until told; return how many requests then wait for theirs."""
    del session
    await released.wait()
    return get_turns().waiting


@router.get("/log")
async def log_with_a_session(session: DatabaseSession) -> None:
    """Write to the log, where a route with a session runs."""
    del session
    logger.warning("a line")


@router.get("/log-in-a-thread")
def log_in_a_thread() -> None:
    """Write to the log from a thread, in either engine."""
    logger.warning("a line")


@router.get("/statement")
async def ask_nonsense(session: DatabaseSession) -> None:
    """Send a statement with an error in it."""
    await session.execute(text("SELECT secret FROM nowhere"))
{% endcall %}
