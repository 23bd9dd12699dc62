"""The client of the tests: it calls the service in this process, without a network."""

import logging

{% if cookiecutter.engine == "async" %}
from httpx2 import AsyncClient
{% else %}
from fastapi.testclient import TestClient
{% endif %}
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Client = {{ "AsyncClient" if cookiecutter.engine == "async" else "TestClient" }}
HEADERS: dict[str, str] = {}
"""What every request of the tests sends, such as a key that the service asks for."""

journal: list[str] = []
"""What has happened, in its order."""

logger = logging.getLogger(__name__)


def journaled(app: ASGIApp) -> ASGIApp:
    """Note when the service begins to answer, and log failures as a server does.

    Pytest shows that log with a test that fails: a 500 alone does not say why.
    """

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                journal.append(f"answer {message['status']}")
            await send(message)

        try:
            await app(scope, receive, note)
        except Exception:
            logger.exception("The service has failed")
            raise

    return call
