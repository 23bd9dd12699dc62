{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""The session of a request: a 2xx means stored, anything else means nothing stored."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session

from app.dependencies.database import open_read_session, open_session
{% if cookiecutter.database != "mysql" %}
from app.settings import get_settings
{% endif %}
from tests.client import Client
from tests.faults import user
from tests.journal import journal

PATH = "/api/v1/users"
ADA = {"email": "ada@example.com", "name": "Ada"}


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


async def emails(client: Client) -> list[str]:
    """Return the addresses of all users."""
    response = await client.get(PATH)
    return [item["email"] for item in response.json()["items"]]


async def test_commit_comes_before_the_answer(
    client: Client,
    sessions: list[Session],
) -> None:
    """A client that hears 201 can rely on it."""
    response = await client.post(PATH, json=ADA)
    assert response.status_code == 201
    assert journal == ["commit", "answer 201"]
    assert len(sessions) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [("exception", 500), ("http-exception", 418), ("answer", 500), ("statement", 500)],
)
async def test_failure_stores_nothing(
    client: Client,
    sessions: list[Session],
    path: str,
    status: int,
) -> None:
    """Whatever a request raises, it is rolled back, and before the answer."""
    method = "GET" if path == "statement" else "POST"
    response = await client.request(method, f"/faults/{path}")
    assert response.status_code == status
    assert journal == ["rollback", f"answer {status}"]
    assert len(sessions) == 1
    assert await emails(client) == []


async def test_failure_of_commit(client: Client, sessions: list[Session]) -> None:
    """A COMMIT that fails is an error for the client, and harms nobody else."""
    response = await client.post("/faults/commit?email=twin@example.com")
    assert response.status_code == 409
    assert "commit" not in journal
    assert await emails(client) == []
    response = await client.post(PATH, json=ADA)
    assert response.status_code == 201
    assert len({id(session) for session in sessions}) == 2


{% if cookiecutter.database != "mysql" %}
async def test_failure_of_commit_itself(started_client: Client) -> None:
    """What only COMMIT finds is an error, too; the connection is as good as new."""
    response = await started_client.post("/faults/deferred")
    assert response.is_error
    for _ in range(get_settings().database_pool_size):  # each connection has its turn
        response = await started_client.post(PATH, json=ADA)
        assert response.status_code == 201
        await started_client.delete(response.headers["Location"])
    assert await emails(started_client) == []


{% endif %}
@pytest.mark.parametrize("path", ["caught", "not-sent", "savepoint"])
async def test_failure_that_a_route_catches(
    started_client: Client,
    path: str,
) -> None:
    """A 201 means stored, also where a route goes on after a failed statement."""
    response = await started_client.post(f"/faults/{path}")
    assert response.status_code == {{ '(500 if path == "caught" else 201)' if cookiecutter.database == "postgresql" else "201" }}
    stored = (await started_client.get(PATH)).json()["items"]
    for item in stored:
        await started_client.delete(f"{PATH}/{item['id']}")
    assert len(stored) == (response.status_code == 201)


async def test_failure_that_a_reading_route_catches(started_client: Client) -> None:
    """Who only reads has nothing to lose."""
    response = await started_client.get("/faults/caught-by-reader")
    assert response.json() == 1


{% if cookiecutter.database == "postgresql" %}
async def test_tenant(started_client: Client) -> None:
    """What is set for row-level security holds for one request, in both sessions."""
    for _ in range(3):
        response = await started_client.get("/faults/tenant")
        assert response.json() == ["", "a tenant", "", "a tenant"]


{% endif %}
async def test_reading_session_refuses_objects(client: Client) -> None:
    """A row that would be lost is an error, not a 201."""
    response = await client.post("/faults/add-to-reader")
    assert response.status_code == 500
    assert await emails(client) == []


async def test_reading_session_refuses_statements(
    started_client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What does not pass through the session's objects, the server refuses."""
    created = await started_client.post(PATH, json=ADA)
    response = await started_client.post("/faults/write-with-reader")
    assert response.status_code == 500  # not 503: to send it again would not help
    assert "take a DatabaseSession to write" in caplog.text
    deleted = await started_client.delete(created.headers["Location"])
    assert deleted.status_code == 204


async def test_commit_in_a_route(client: Client) -> None:
    """A route may commit early: what comes later is a transaction of its own."""
    response = await client.post("/faults/half")
    assert response.status_code == 500
    assert await emails(client) == ["first@example.com"]


@pytest.mark.parametrize("path", [PATH, "/faults/http-exception"])
async def test_session_ends_with_its_request(
    client: Client,
    sessions: list[Session],
    path: str,
) -> None:
    """A session that outlives its request raises, instead of taking a connection."""
    await client.post(path, json=ADA)
    assert sessions
    with pytest.raises(InvalidRequestError, match="closed"):
        sessions[0].execute(text("SELECT 1"))


async def store(name: str, error: Exception | None = None) -> None:
    """Store a user, outside of a request."""
    async with open_session() as session:
        session.add(user(name))
        await session.flush()
        if error:
            raise error


async def store_with_reader() -> None:
    """Leave a user in a session that only reads."""
    async with open_read_session() as session:
        session.add(user("reader"))


async def test_session_outside_of_a_request(
    client: Client,
    sessions: list[Session],
) -> None:
    """It commits at its end; if something fails, it rolls back."""
    await store("stored")
    with pytest.raises(RuntimeError):
        await store("lost", RuntimeError())
    with pytest.raises(InvalidRequestError, match="only reads"):
        await store_with_reader()
    assert journal[:2] == ["commit", "rollback"]
    assert len(sessions) >= 2
    assert await emails(client) == ["stored@example.com"]


async def test_one_session_at_a_time(client: Client) -> None:
    """A second one might wait for the first: it is refused, but for one to read."""
    async with open_session() as session, open_read_session() as reader:
        assert await session.scalar(text("SELECT 1")) == 1
        assert await reader.scalar(text("SELECT 1")) == 1
        with pytest.raises(InvalidRequestError, match="pass it on"):
            await store("second")
    for path in ("session-twice", "nested-session"):
        assert (await client.get(f"/faults/{path}")).status_code == 500


@pytest.mark.parametrize("path", ["null?name=", "check?price=-1"])
async def test_violation_that_no_schema_has_caught(
    client: Client,
    path: str,
) -> None:
    """A constraint of the database is an answer, too: it names the field."""
    response = await client.post(f"/faults/{path}")
    assert response.status_code == 422
    field = "name" if "name" in path else "price"
    assert response.json()["errors"][0]["loc"] == ["query", field]
{% endcall %}
