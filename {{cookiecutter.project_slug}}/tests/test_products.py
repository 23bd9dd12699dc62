{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What products promise."""

from typing import Any

import pytest

from tests.client import Client

PATH = "/api/v1/products"
LAMP = {"name": "Lamp", "description": "A lamp", "price": "9.90", "quantity": 3}
DESK = {"name": "Desk", "description": None, "price": "99.00", "quantity": 0}
LEAST = {"name": "Lamp", "price": "9.90", "quantity": 3}
"""Without what may be left out."""

ACCEPTED: dict[str, list[Any]] = {
    "name": ["x", "x" * 100, "\U0001f600" * 100],
    "description": [None, "", "x" * 500],
    "price": ["0.00", "0.01", "99999999.99"],
    "quantity": [0, 2**31 - 1],
}
REFUSED: dict[str, list[Any]] = {
    "name": [None, "", "x" * 101, "a\x00b", 1],
    "description": ["x" * 501, "a\x00b", 1],
    "price": [None, "-0.01", "0.001", "100000000.00", "1e3", "", True],
    "quantity": [None, -1, 2**31, 0.5, "1", True],
    "nmae": ["a field that there is not"],
}


async def test_life(client: Client) -> None:
    """One is created, read, changed field by field, deleted, and no longer found."""
    created = await client.post(PATH, json=LAMP)
    product = created.json()
    assert created.status_code == 201
    assert product.items() >= LAMP.items()
    url = created.headers["Location"]
    assert url == f"{PATH}/{product['id']}"
    assert (await client.get(url)).json() == product
    for change in ({}, *({field: value} for field, value in DESK.items())):
        changed = await client.patch(url, json=change)
        assert changed.status_code == 200
        product |= change | {"updated_at": changed.json()["updated_at"]}
        assert changed.json() == product
    assert (await client.get(url)).json() == product
    assert (await client.delete(url)).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        json = LAMP if method == "PATCH" else None
        response = await client.request(method, url, json=json)
        assert response.status_code == 404
        assert response.json()["detail"] == f"There is no product {product['id']}."


@pytest.mark.parametrize("field", ACCEPTED)
async def test_accepted(client: Client, field: str) -> None:
    """Values up to the bounds are stored and answered, in a change, too."""
    for value in ACCEPTED[field]:
        created = await client.post(PATH, json=LAMP | {field: value})
        assert created.status_code == 201, value
        assert created.json()[field] == value
        url = created.headers["Location"]
        await client.patch(url, json={field: LAMP[field]})
        changed = await client.patch(url, json={field: value})
        assert changed.status_code == 200, value
        assert changed.json()[field] == value


@pytest.mark.parametrize("field", REFUSED)
async def test_refused(client: Client, field: str) -> None:
    """Others are refused, in a change, too, and the answer names the field."""
    url = (await client.post(PATH, json=LAMP)).headers["Location"]
    for value in REFUSED[field]:
        body = {field: value}
        created = await client.post(PATH, json=LAMP | body)
        changed = await client.patch(url, json=body)
        for response in (created, changed):
            assert response.status_code == 422, value
            assert response.json()["errors"][0]["loc"] == ["body", field]


async def test_least(client: Client) -> None:
    """What may be left out has a value; the rest must be sent."""
    created = await client.post(PATH, json=LEAST)
    assert created.json()["description"] is None
    for field in LEAST:
        body = {name: value for name, value in LEAST.items() if name != field}
        response = await client.post(PATH, json=body)
        assert response.status_code == 422
        assert response.json()["errors"][0]["loc"] == ["body", field]


async def test_list(client: Client) -> None:
    """They are listed in pages, all of them or those of a name."""
    bodies = (LAMP, DESK, LAMP)
    lamp, desk, other = [(await client.post(PATH, json=body)).json() for body in bodies]
    first = (await client.get(PATH, params={"limit": 2})).json()
    assert first == {"items": [lamp, desk], "next": desk["id"]}
    rest = (await client.get(PATH, params={"limit": 2, "after": desk["id"]})).json()
    assert rest == {"items": [other], "next": None}
    named = (await client.get(PATH, params={"name": "Lamp"})).json()
    assert named == {"items": [lamp, other], "next": None}


FORMS = [(9.9, "9.90"), ("9", "9.00"), (-0.0, "0.00")]


@pytest.mark.parametrize(("sent", "price"), FORMS)
async def test_forms_of_a_price(client: Client, sent: object, price: str) -> None:
    """A price may be a number, too; it is answered exactly."""
    response = await client.post(PATH, json=LAMP | {"price": sent})
    assert response.json()["price"] == price
{% endcall %}
