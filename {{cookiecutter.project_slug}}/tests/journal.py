"""A journal of what happens, in its order."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

journal: list[str] = []
logger = logging.getLogger(__name__)


class AnswerJournal:
    """Notes when the service begins to answer, and logs failures as a server does.

    Pytest shows that log with a test that fails: a 500 alone does not say why.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                journal.append(f"answer {message['status']}")
            await send(message)

        try:
            await self.app(scope, receive, note)
        except Exception:
            logger.exception("The service has failed")
            raise
