{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What users promise."""

from typing import Any

import pytest

from tests.client import Client
from tests.resource import Resource

PATH = "/api/v1/users"
ONE: dict[str, Any] = {
    "email": "one@example.com",
    "name": "name",
    "is_active": True,
}
OTHER: dict[str, Any] = {
    "email": "other@example.com",
    "name": "other name",
    "is_active": False,
}
LEAST: dict[str, Any] = {
    "email": "one@example.com",
    "name": "name",
}
"""Without what may be left out."""
UNIQUE: dict[str, Any] = {
    "email": "third@example.com",
}
"""For a third one, what no two may have."""

ACCEPTED: dict[str, list[Any]] = {
    "email": ["a@b", "a.b+c@example.com", "a" * 242 + "@example.com"],
    "name": ["x", "x" * 100, "\U0001f600" * 100],
    "is_active": [True, False],
}
REFUSED: dict[str, list[Any]] = {
    "email": [None, "", "ada", "@b", "a@", "a b@c", "a@-b", "a" * 243 + "@example.com"],
    "name": [None, "", "x" * 101, "\x00", 1],
    "is_active": [None, "true", 1],
    "unknown": ["a field that there is not"],
}


@pytest.fixture
def resource(client: Client) -> Resource:
    """Return what is tested, and two of it."""
    return Resource(client, PATH, ONE, OTHER)


async def test_life(resource: Resource) -> None:
    """One is created, read, changed field by field, deleted, and no longer found."""
    await resource.check_life()


@pytest.mark.parametrize("field", ACCEPTED)
async def test_accepted(resource: Resource, field: str) -> None:
    """Values up to the bounds are stored and answered, in a change, too."""
    await resource.check_accepted(field, ACCEPTED[field])


@pytest.mark.parametrize("field", REFUSED)
async def test_refused(resource: Resource, field: str) -> None:
    """Others are refused, in a change, too, and the answer names the field."""
    await resource.check_refused(field, REFUSED[field])


async def test_least(resource: Resource) -> None:
    """What may be left out has a value; the rest must be sent."""
    created = await resource.check_least(LEAST)
    assert created["is_active"] is True


async def test_list(resource: Resource) -> None:
    """They are listed in pages."""
    await resource.check_list()


async def test_email_is_unique(resource: Resource) -> None:
    """It is taken, in any spelling, for a new one and for another one."""
    taken = {"email": "One@Example.COM"}
    await resource.check_unique(resource.other | UNIQUE, taken)
{% endcall %}
