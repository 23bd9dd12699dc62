"""A journal of what happens, in its order."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

journal: list[str] = []


class AnswerJournal:
    """Notes when the service begins to answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                journal.append(f"answer {message['status']}")
            await send(message)

        await self.app(scope, receive, note)
