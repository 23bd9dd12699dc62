"""`make test-rollout` of a service: what serves the last release beside the migrations of this one."""

from typing import Any

ANSWERS: dict[str, str] = {}


def context(answers: dict[str, str], service: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what the files are rendered with, or why a service needs none of them."""
    del answers
    if service.answers["migrations"] != "alembic":
        return {}, ["rollout: create_all changes no table that is there, so there is nothing to try"]
    return {}, []
