"""WebSockets: a session for each message, and a code where something fails."""

import pytest
from fastapi import HTTPException, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.main import create_app

ERRORS = {1008: HTTPException(404, "no such thing"), 1011: PoolTimeoutError("none")}


@pytest.fixture
def talker() -> TestClient:
    """Return a client of the service, with WebSockets that fail; it never starts."""
    app = create_app()

    @app.websocket("/write")
    async def write(socket: WebSocket, session: DatabaseSession) -> None:
        del session
        await socket.accept()

    @app.websocket("/read")
    async def read(socket: WebSocket, session: DatabaseReadSession) -> None:
        del session
        await socket.accept()

    @app.websocket("/fail/{code}")
    async def fail(socket: WebSocket, code: int) -> None:
        await socket.accept()
        raise ERRORS[code]

    return TestClient(app)


@pytest.mark.parametrize("path", ["/write", "/read"])
def test_no_session(talker: TestClient, path: str) -> None:
    """A session would last as long as the WebSocket: it says what to take instead."""
    with (
        pytest.raises(InvalidRequestError, match=r"open_session\(\)"),
        talker.websocket_connect(path),
    ):
        pass


@pytest.mark.parametrize("code", ERRORS)
def test_error(talker: TestClient, code: int) -> None:
    """An error closes it with a code: whose fault was it?"""
    with (
        talker.websocket_connect(f"/fail/{code}") as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_text()
    assert closed.value.code == code
