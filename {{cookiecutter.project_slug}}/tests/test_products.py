{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What products promise."""

from typing import Any

import pytest

from tests.client import Client
from tests.resource import Resource

PATH = "/api/v1/products"
ONE: dict[str, Any] = {
    "name": "name",
    "description": "description",
    "price": "1.00",
    "quantity": 1,
}
OTHER: dict[str, Any] = {
    "name": "other name",
    "description": "other description",
    "price": "2.00",
    "quantity": 2,
}
LEAST: dict[str, Any] = {
    "name": "name",
    "price": "1.00",
    "quantity": 1,
}
"""Without what may be left out."""

ACCEPTED: dict[str, list[Any]] = {
    "name": ["x", "x" * 100, "\U0001f600" * 100],
    "description": [None, "", "x" * 500, "\U0001f600" * 500],
    "price": ["0.00", "0.01", "99999999.99"],
    "quantity": [0, 2**31 - 1],
}
REFUSED: dict[str, list[Any]] = {
    "name": [None, "", "x" * 101, "\x00", 1],
    "description": ["x" * 501, "\x00", 1],
    "price": [None, "-0.01", "0.001", "100000000.00", "1e3", "", True],
    "quantity": [None, -1, 2**31, 0.5, "1", True],
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
    assert created["description"] is None


async def test_list(resource: Resource) -> None:
    """They are listed in pages."""
    await resource.check_list()


@pytest.mark.parametrize("field", ["name"])
async def test_search(resource: Resource, field: str) -> None:
    """Those of a value are found, in pages, too."""
    await resource.check_search(field, third=resource.one)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [("1", "1.00"), (1.5, "1.50"), (-0.0, "0.00")],
)
async def test_forms_of_price(client: Client, sent: object, answered: str) -> None:
    """It may be written otherwise, and is answered in one form."""
    body = ONE | {"price": sent}
    response = await client.post(PATH, json=body)
    assert response.json()["price"] == answered
{% endcall %}
