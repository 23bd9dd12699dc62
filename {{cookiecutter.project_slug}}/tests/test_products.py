{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What products promise."""

from typing import Any

import pytest

from tests.client import Client

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


async def test_life(client: Client) -> None:
    """One is created, read, changed field by field, deleted, and no longer found."""
    created = await client.post(PATH, json=ONE)
    product = created.json()
    assert created.status_code == 201
    assert product.items() >= ONE.items()
    url = created.headers["Location"]
    assert url == f"{PATH}/{product['id']}"
    assert (await client.get(url)).json() == product
    for change in ({}, *({field: value} for field, value in OTHER.items())):
        changed = await client.patch(url, json=change)
        assert changed.status_code == 200
        product |= change | {"updated_at": changed.json()["updated_at"]}
        assert changed.json() == product
    assert (await client.get(url)).json() == product
    assert (await client.delete(url)).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        json = ONE if method == "PATCH" else None
        response = await client.request(method, url, json=json)
        assert response.status_code == 404


@pytest.mark.parametrize("field", ACCEPTED)
async def test_accepted(client: Client, field: str) -> None:
    """Values up to the bounds are stored and answered, in a change, too."""
    for value in ACCEPTED[field]:
        created = await client.post(PATH, json=ONE | {field: value})
        assert created.status_code == 201, value
        assert created.json()[field] == value
        url = created.headers["Location"]
        await client.patch(url, json={field: OTHER[field]})
        changed = await client.patch(url, json={field: value})
        assert changed.status_code == 200, value
        assert changed.json()[field] == value
        await client.delete(url)


@pytest.mark.parametrize("field", REFUSED)
async def test_refused(client: Client, field: str) -> None:
    """Others are refused, in a change, too, and the answer names the field."""
    url = (await client.post(PATH, json=OTHER)).headers["Location"]
    for value in REFUSED[field]:
        body = {field: value}
        created = await client.post(PATH, json=ONE | body)
        changed = await client.patch(url, json=body)
        for response in (created, changed):
            assert response.status_code == 422, value
            assert response.json()["errors"][0]["loc"][:2] == ["body", field]


async def test_least(client: Client) -> None:
    """What may be left out has a value; the rest must be sent."""
    created = await client.post(PATH, json=LEAST)
    assert created.status_code == 201
    assert created.json()["description"] is None
    for field in LEAST:
        body = {name: value for name, value in LEAST.items() if name != field}
        response = await client.post(PATH, json=body)
        assert response.status_code == 422
        assert response.json()["errors"][0]["loc"] == ["body", field]


async def test_list(client: Client) -> None:
    """They are listed in pages."""
    bodies = (ONE, OTHER)
    one, other = [(await client.post(PATH, json=body)).json() for body in bodies]
    first = (await client.get(PATH, params={"limit": 1})).json()
    assert first == {"items": [one], "next": one["id"]}
    rest = (await client.get(PATH, params={"limit": 1, "after": one["id"]})).json()
    assert rest == {"items": [other], "next": None}


@pytest.mark.parametrize("field", ["name"])
async def test_search(client: Client, field: str) -> None:
    """Those of a value are found, in pages, too."""
    bodies = (ONE, OTHER, ONE)
    one, _, third = [(await client.post(PATH, json=body)).json() for body in bodies]
    search = {field: ONE[field], "limit": 1}
    first = (await client.get(PATH, params=search)).json()
    assert first == {"items": [one], "next": one["id"]}
    rest = (await client.get(PATH, params=search | {"after": one["id"]})).json()
    assert rest == {"items": [third], "next": None}


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(1.5, "1.50"), ("1", "1.00"), (-0.0, "0.00")],
)
async def test_forms_of_price(client: Client, sent: object, answered: str) -> None:
    """It may be written otherwise, and is answered in one form."""
    body = ONE | {"price": sent}
    response = await client.post(PATH, json=body)
    assert response.json()["price"] == answered
{% endcall %}
