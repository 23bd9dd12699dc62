"""What a route says that may run again: `dependencies=[SAFE_TO_RETRY]`.

It does nothing that a rollback does not undo: it sends no mail, calls no other service.
"""

from fastapi import Depends
from fastapi.requests import HTTPConnection


async def allow_retries(connection: HTTPConnection) -> None:
    """Let the whole request run again, with a new session, when the database asks."""
    connection.state.is_safe_to_retry = True


SAFE_TO_RETRY = Depends(allow_retries)
