"""A largest size for what clients send."""

from fastapi import HTTPException, status
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def announced_size(scope: Scope) -> int:
    """Return how many bytes the client says that it sends; 0 if it does not."""
    announced = Headers(scope=scope).get("Content-Length", "").lstrip("0")
    # Python reads no number of thousands of digits; the first 20 tell enough.
    return int(announced[:20]) if announced.isdecimal() else 0


class BodyLimit:
    """Refuses a body that is too large: before it is read, where its size is known.

    Starlette's own limit answers in plain text; this one raises, so that the answer
    is a problem like any other.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        """Set the largest size, in bytes."""
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def receive_a_part() -> Message:
            nonlocal received
            message: Message = {}
            size = announced_size(scope)
            if size <= self.most:
                message = await receive()
                received += len(message.get("body", b""))
            if max(size, received) > self.most:
                detail = f"The body has more than {self.most} bytes."
                raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, detail)
            return message

        await self.app(scope, receive_a_part, send)
