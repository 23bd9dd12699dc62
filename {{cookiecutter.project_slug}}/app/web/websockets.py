"""WebSockets on which something fails."""

from contextlib import suppress

from fastapi import WebSocketDisconnect, status
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANSWER = "websocket.http.response."
THEIR_FAULT = status.WS_1008_POLICY_VIOLATION
OUR_FAULT = status.WS_1011_INTERNAL_ERROR


class CloseOnError:
    """Closes a WebSocket on which something fails, with a code.

    Until it is accepted, the answer is that to a request. Then it becomes a code:
    1008 for a fault of the client, 1011 for one of the service, which is logged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or a WebSocket."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        sent = set()

        async def send_or_close(message: Message) -> None:
            if "websocket.accept" in sent and message["type"].startswith(ANSWER):
                if "websocket.close" in sent:
                    return
                is_fault = message["status"] >= status.HTTP_500_INTERNAL_SERVER_ERROR
                code = OUR_FAULT if is_fault else THEIR_FAULT
                message = {"type": "websocket.close", "code": code}
            sent.add(message["type"])
            await send(message)

        try:
            await self.app(scope, receive, send_or_close)
        except WebSocketDisconnect:  # the client has closed it
            return
        except Exception:
            if "websocket.accept" in sent:
                with suppress(OSError):  # the client has gone
                    await send_or_close({"type": f"{ANSWER}start", "status": 500})
            raise
