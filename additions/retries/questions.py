"""`make retries`: what the database asks to do again is done again, in routes that say that they may be."""

from typing import Any

ANSWERS: dict[str, str] = {}


def context(answers: dict[str, str], service: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what the files are rendered with, or why a service needs none of them."""
    del answers
    if service.answers["database"] == "sqlite":
        return {}, ["retries: SQLite lets one write at a time, and asks nobody to do it again: there is nothing to add"]
    return {}, []
