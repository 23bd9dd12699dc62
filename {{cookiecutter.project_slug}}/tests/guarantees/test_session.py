{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""The session of a request: a 2xx means stored, anything else means nothing stored."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi import HTTPException
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.orm import Session

from app.dependencies.database import (
    DatabaseReadSession,
    DatabaseSession,
    open_read_session,
    open_session,
{% if cookiecutter.database == "postgresql" %}
    set_local,
{% endif %}
)
from tests.client import Client, journal
from tests.guarantees.own import OwnShelf, router

PATH = "/own/shelves"


@pytest.fixture
def sessions() -> Iterator[list[Session]]:
    """Note in the journal what sessions do; return those that did something."""
    used: list[Session] = []

    def note_commit(session: Session) -> None:
        journal.append("commit")
        used.append(session)

    def note_rollback(session: Session) -> None:
        journal.append("rollback")
        used.append(session)

    journal.clear()
    event.listen(Session, "after_commit", note_commit)
    event.listen(Session, "after_rollback", note_rollback)
    yield used
    event.remove(Session, "after_commit", note_commit)
    event.remove(Session, "after_rollback", note_rollback)


async def names(client: Client) -> list[str]:
    """Return what is stored."""
    stored: list[str] = (await client.get(PATH)).json()
    return stored


async def crash(session: Any) -> None:
    """Fail."""
    raise RuntimeError("a secret")


async def refuse(session: Any) -> None:
    """Refuse the request."""
    raise HTTPException(418)


async def mistake(session: Any) -> None:
    """Send a statement with an error in it."""
    await session.execute(text("SELECT secret FROM nowhere"))


async def caught_mistake(session: Any) -> None:
    """Go on when a statement has failed."""
    with suppress(DBAPIError):
        await mistake(session)


async def caught_in_savepoint(session: Any) -> None:
    """Go on when what has failed was in a savepoint."""
    savepoint = await session.begin_nested()
    with suppress(DBAPIError):
        await mistake(session)
    await savepoint.rollback()


async def twin(session: Any) -> None:
    """Leave it to COMMIT to find that a name is taken."""
    session.add(OwnShelf(name="lost"))


WORK = {one.__name__: one for one in (crash, refuse, mistake, twin)}
CAUGHT = {one.__name__: one for one in (caught_mistake, caught_in_savepoint)}


@router.post("/work/{name}", status_code=201)
async def store_and_work(name: str, session: DatabaseSession) -> None:
    """Store a row, and do something else."""
    session.add(OwnShelf(name="lost"))
    await session.flush()
    await (WORK | CAUGHT)[name](session)


@router.post("/answer", response_model=int)
async def store_and_answer_badly(session: DatabaseSession) -> str:
    """Store a row, and return what the response model refuses."""
    session.add(OwnShelf(name="lost"))
    await session.flush()
    return "no number"


@router.post("/half", status_code=201)
async def commit_and_crash(session: DatabaseSession) -> None:
    """Commit one row, and fail after another."""
    session.add(OwnShelf(name="first"))
    await session.commit()
    session.add(OwnShelf(name="second"))
    await session.flush()
    raise RuntimeError


@router.post("/reader/{how}", status_code=201)
async def write_with_reader(how: str, session: DatabaseReadSession) -> None:
    """Write with a session that only reads: an object, a change, or a statement."""
    if how == "object":
        session.add(OwnShelf(name="reader"))
    elif how == "change":
        (await session.get_one(OwnShelf, 1)).notes["a"] = 1
    else:
        await session.execute(text("DELETE FROM own_shelves"))


@router.get("/nested")
async def open_another(session: DatabaseSession) -> None:
    """Open a second session to write with."""
    async with open_session():
        pass


async def test_commit_comes_before_the_answer(
    client: Client,
    sessions: list[Session],
) -> None:
    """A client that hears 201 can rely on it; the session has ended."""
    response = await client.post(f"{PATH}?name=a")
    assert response.status_code == 201
    assert journal == ["commit", "answer 201"]
    assert await names(client) == ["a"]
    with pytest.raises(InvalidRequestError, match="closed"):
        sessions[0].execute(text("SELECT 1"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("work/crash", 500),
        ("work/refuse", 418),
        ("work/mistake", 500),
        ("work/twin", 500),
        ("answer", 500),
    ],
)
async def test_failure_stores_nothing(
    client: Client,
    sessions: list[Session],
    path: str,
    status: int,
) -> None:
    """Whatever a request raises, it is rolled back, and before the answer."""
    response = await client.post(f"/own/{path}")
    assert response.status_code == status
    assert journal == ["rollback", f"answer {status}"]
    assert await names(client) == []
    assert (await client.post(f"{PATH}?name=next")).status_code == 201
    with pytest.raises(InvalidRequestError, match="closed"):
        sessions[0].execute(text("SELECT 1"))


@pytest.mark.parametrize("name", CAUGHT)
async def test_failure_that_a_route_catches(
    committing_client: Client,
    name: str,
) -> None:
    """A 201 means stored, also where a route goes on after a failed statement."""
    response = await committing_client.post(f"/own/work/{name}")
    is_lost = {{ 'name == "caught_mistake"' if cookiecutter.database == "postgresql" else "False" }}
    assert response.status_code == (500 if is_lost else 201)
    assert await names(committing_client) == ([] if is_lost else ["lost"])


async def test_commit_in_a_route(client: Client) -> None:
    """A route may commit early: what comes later is a transaction of its own."""
    assert (await client.post("/own/half")).status_code == 500
    assert await names(client) == ["first"]


async def test_changes_in_place(committing_client: Client) -> None:
    """What is changed inside of a value is stored, like what is assigned."""
    key = (await committing_client.post(f"{PATH}?name=a")).json()
    for number in range(2):
        async with open_session() as session:
            shelf = await session.get_one(OwnShelf, key)
            assert shelf.notes == {str(n): [n] for n in range(number)}
            shelf.notes[str(number)] = [number]
    async with open_read_session() as session:
        assert (await session.get_one(OwnShelf, key)).notes == {"0": [0], "1": [1]}


@pytest.mark.parametrize("how", ["object", "statement"])
async def test_reading_session_refuses_to_write(
    committing_client: Client,
    how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What would be answered and not stored is an error that says what to take."""
    await committing_client.post(f"{PATH}?name=a")
    response = await committing_client.post(f"/own/reader/{how}")
    assert response.status_code == 500  # not 503: to send it again would not help
    assert "take a DatabaseSession to write" in caplog.text
    assert await names(committing_client) == ["a"]


async def store(name: str, error: Exception | None = None) -> None:
    """Store a row, outside of a request."""
    async with open_session() as session:
        session.add(OwnShelf(name=name))
        await session.flush()
        if error:
            raise error


async def test_session_outside_of_a_request(
    client: Client,
    sessions: list[Session],
) -> None:
    """It commits at its end; if something fails, it rolls back."""
    await store("stored")
    with pytest.raises(RuntimeError):
        await store("lost", RuntimeError())
    assert journal[:2] == ["commit", "rollback"]
    assert await names(client) == ["stored"]
    with pytest.raises(InvalidRequestError, match="closed"):
        sessions[0].execute(text("SELECT 1"))


async def test_one_session_at_a_time(client: Client) -> None:
    """A second one might wait for the first: it is refused, but for one to read."""
    async with open_session() as session, open_read_session() as reader:
        assert await session.scalar(text("SELECT 1")) == 1
        assert await reader.scalar(text("SELECT 1")) == 1
        with pytest.raises(InvalidRequestError, match="pass it on"):
            await store("second")
    assert (await client.get("/own/nested")).status_code == 500
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
        await set_local(one, "app.tenant", "a tenant")
        tenants.append(await one.scalar(TENANT) or "")
    return tenants


async def test_tenant(committing_client: Client) -> None:
    """What is set for row-level security holds for one request, in both sessions."""
    for _ in range(3):
        response = await committing_client.get("/own/tenant")
        assert response.json() == ["", "a tenant", "", "a tenant"]
{% endif %}
{% endcall %}
