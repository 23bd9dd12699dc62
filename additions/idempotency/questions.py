"""`make idempotency`: POST and PATCH with an `Idempotency-Key` are done once, however often they are sent."""

from typing import Any

ANSWERS: dict[str, str] = {}


def context(answers: dict[str, str], service: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what the files are rendered with, beside the service's own answers."""
    del answers, service
    return {"message": "idempotency keys"}, []
