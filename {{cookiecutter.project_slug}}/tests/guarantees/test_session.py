{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""The session of a request: a 2xx means stored, anything else means nothing stored."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

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
)
{% if cookiecutter.database == "postgresql" %}
from app.dependencies.variables import set_local
{% endif %}
from tests.client import Client, journal
from tests.guarantees.own import OwnShelf, router

PATH = "/own/shelves"
WRONG = text("SELECT secret FROM nowhere")


@pytest.fixture
def sessions() -> Iterator[None]:
    """Note in the journal what sessions do; those that did something end, too."""
    used: list[Session] = []
    journal.clear()

    def note(what: str, session: Session) -> None:
        journal.append(what)
        used.append(session)

    notes = {f"after_{what}": partial(note, what) for what in ("commit", "rollback")}
    for name, listener in notes.items():
        event.listen(Session, name, listener)
    yield
    for name, listener in notes.items():
        event.remove(Session, name, listener)
    for session in used:
        with pytest.raises(InvalidRequestError, match="closed"):
            session.begin()


@router.post("/work/{name}", status_code=201, response_model=None)
async def work(name: str, session: DatabaseSession) -> None:
    """Store a row, and go on as the name says."""
    session.add(OwnShelf(name="row"))
    await session.flush()
    if name == "crash":
        raise RuntimeError
    if name == "refuse":
        raise HTTPException(418)
    if name == "twin":  # which COMMIT finds
        session.add(OwnShelf(name="row"))
    if name == "mistake":
        await session.execute(WRONG)
    if name == "commit":
        await session.commit()
        session.add(OwnShelf(name="later"))
        await session.flush()
        raise RuntimeError
    savepoint = await session.begin_nested() if name == "savepoint" else None
    if name in {"caught", "savepoint"}:
        with suppress(DBAPIError):
            await session.execute(WRONG)
    if savepoint:
        await savepoint.rollback()


@router.post("/answer", response_model=int)
async def store_and_answer_badly(session: DatabaseSession) -> str:
    """Store a row, and return what the response model refuses."""
    session.add(OwnShelf(name="row"))
    await session.flush()
    return "no number"


@router.post("/reader/{how}", status_code=201)
async def write_with_reader(how: str, session: DatabaseReadSession) -> None:
    """Write with a session that only reads: an object, or a statement."""
    if how == "object":
        session.add(OwnShelf(name="row"))
    else:
        await session.execute(text("DELETE FROM own_shelves"))


@router.get("/nested")
async def open_another(session: DatabaseSession) -> None:
    """Open a second session to write with."""
    async with open_session():
        pass


FAILURES = ["work/crash", "work/refuse", "work/twin", "work/mistake", "answer"]


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("path", FAILURES)
async def test_failure_stores_nothing(client: Client, path: str) -> None:
    """Whatever a request raises, it is rolled back, and before the answer.

    A 201 that follows can be relied on: what is answered is stored. Either session has
    ended with its request.
    """
    status = 418 if path == "work/refuse" else 500
    response = await client.post(f"/own/{path}")
    assert response.status_code == status
    assert journal == ["rollback", f"answer {status}"]
    assert (await client.get(PATH)).json() == []
    journal.clear()
    assert (await client.post(f"{PATH}?name=a")).status_code == 201
    assert journal == ["commit", "answer 201"]


@pytest.mark.parametrize(
    ("name", "status", "stored"),
    [
        ("caught", {{ '500, []' if cookiecutter.database == "postgresql" else '201, ["row"]' }}),
        ("savepoint", 201, ["row"]),
        ("commit", 500, ["row"]),
    ],
)
async def test_what_a_route_does_itself(
    committing_client: Client,
    name: str,
    status: int,
    stored: list[str],
) -> None:
    """A 201 means stored, also after an error that is caught; COMMIT is COMMIT."""
    response = await committing_client.post(f"/own/work/{name}")
    assert response.status_code == status
    assert (await committing_client.get(PATH)).json() == stored


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
    assert (await committing_client.get(PATH)).json() == ["a"]


async def test_changes_in_place(committing_client: Client) -> None:
    """What is changed inside of a value is stored, like what is assigned."""
    key = (await committing_client.post(f"{PATH}?name=a")).json()
    for number in range(2):
        async with open_session() as session:
            shelf = await session.get_one(OwnShelf, key)
            assert shelf.notes == {str(n): [n] for n in range(number)}
            shelf.notes[str(number)] = [number]
    async with open_session() as session:
        shelf = await session.get_one(OwnShelf, key)
        savepoint = await session.begin_nested()
        shelf.notes["lost"] = []
        await savepoint.rollback()
        other = OwnShelf(name="b")
        session.add(other)
        await session.flush()
        other.notes["new"] = []
        assert list(session.dirty) == [other]
    async with open_read_session() as session:
        assert (await session.get_one(OwnShelf, key)).notes == {"0": [0], "1": [1]}
        assert (await session.get_one(OwnShelf, other.id)).notes == {"new": []}


async def store(name: str, error: Exception | None = None) -> None:
    """Store a row, outside of a request."""
    async with open_session() as session:
        shelf = OwnShelf(name=name)
        session.add(shelf)
        await session.scalar(text("SELECT 1"))
        assert shelf in session.new  # a query sends nothing that was not flushed
        await session.flush()
        if error:
            raise error
    assert vars(shelf)["name"] == name  # and COMMIT takes nothing away


@pytest.mark.usefixtures("sessions")
async def test_outside_of_a_request(client: Client) -> None:
    """A session commits at its end; if something fails, it rolls back; it ends."""
    await store("stored")
    with pytest.raises(RuntimeError):
        await store("lost", RuntimeError())
    assert journal == ["commit", "rollback"]
    assert (await client.get(PATH)).json() == ["stored"]


async def test_one_session_at_a_time(client: Client) -> None:
    """A second one might wait for the first: it is refused, but for one to read."""
    async with open_session() as session, open_read_session() as reader:
        assert await session.scalar(text("SELECT 1")) == 1
        assert await reader.scalar(text("SELECT 1")) == 1
        with pytest.raises(InvalidRequestError, match="pass it on"):
            await store("second")
    assert (await client.get("/own/nested")).status_code == 500
    assert (await client.post("/own/reader/object")).status_code == 500  # in tests, too
{% if cookiecutter.database == "postgresql" %}


@router.get("/tenant")
async def set_a_tenant(one: DatabaseReadSession, two: DatabaseSession) -> list[str]:
    """Return the tenant of both sessions, before and after it is set."""
    tenants = []
    for session in (one, two):
        for _ in range(2):
            query = text("SELECT current_setting('app.tenant', true)")
            tenants.append(await session.scalar(query) or "")
            await set_local(session, "app.tenant", "a")
    return tenants


async def test_tenant(committing_client: Client) -> None:
    """What is set for row-level security holds for one request, in both sessions."""
    for _ in range(3):
        response = await committing_client.get("/own/tenant")
        assert response.json() == ["", "a", "", "a"]
{% endif %}
{% endcall %}
