{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What is seen from outside: slow queries, the server's log, WebSockets."""

import logging
import logging.config
from pathlib import Path

import pytest
from fastapi import HTTPException, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from uvicorn.config import LOGGING_CONFIG

from app import extensions
from app.database.engine import build_engine
from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.logs import configure_logging
from app.main import create_app
from app.settings import get_settings


@pytest.mark.usefixtures("started_client")
async def test_slow_statements(caplog: pytest.LogCaptureFixture) -> None:
    """Each is a warning, a failed one too: with its text, and without values."""
    slow = {"database_slow_query": 1e-9}
    engine = build_engine(get_settings().model_copy(update=slow))
    async with engine.connect() as connection:
        name = {"name": "s3cret"}
        query = text("SELECT id\nFROM own_shelves WHERE name = :name")
        await connection.execute(query, name)
        with pytest.raises(DBAPIError):
            await connection.execute(text("UPDATE nowhere SET a = :name"), name)
    await engine.dispose()
    assert "slow query, 0." in caplog.text
    assert " s: SELECT id FROM own_shelves WHERE name = " in caplog.text
    assert ": UPDATE nowhere SET a = " in caplog.text
    assert "s3cret" not in caplog.text


def test_log_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn's lines go where the others go, in one form."""
    server = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.access")]
    root = logging.getLogger()
    with monkeypatch.context() as patch:
        patch.setattr(root, "handlers", [])
        patch.setattr(root, "level", root.level)
        logging.config.dictConfig(LOGGING_CONFIG)
        configure_logging()
        assert len(root.handlers) == 1
    assert not any(logger.handlers for logger in server)
    assert all(logger.propagate for logger in server)
{% endcall %}


def test_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of `app/extensions/` has its part in the service, without a list."""
    (tmp_path / "own.py").write_text("def install(app): app.state.own = True")
    monkeypatch.setattr(extensions, "__path__", [str(tmp_path)])
    assert create_app().state.own


def test_websocket() -> None:
    """It has no session of its own; an error closes it with a code: whose fault?"""
    app = create_app()

    @app.websocket("/session")
    async def take_session(socket: WebSocket, session: DatabaseSession) -> None:
        await socket.accept()

    @app.websocket("/reader")
    async def take_reader(socket: WebSocket, session: DatabaseReadSession) -> None:
        await socket.accept()

    @app.websocket("/fail/{status}")
    async def fail(socket: WebSocket, status: int) -> None:
        await socket.accept()
        raise HTTPException(status)

    talker = TestClient(app)
    for status, code in ((404, 1008), (500, 1011)):
        with talker.websocket_connect(f"/fail/{status}") as socket:
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_text()
            assert closed.value.code == code
    for path in ("/session", "/reader"):
        socket = talker.websocket_connect(path)
        with pytest.raises(InvalidRequestError, match=r"open_session\(\)"), socket:
            pass
