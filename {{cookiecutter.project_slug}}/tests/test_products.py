{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What is special about products."""

import json

import pytest

from tests.client import Client

PATH = "/api/v1/products"
LAMP = {"name": "Lamp", "price": "9.90", "quantity": 3}

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("price", "answer"),
    [
        (9.9, "9.90"),
        ("9.9", "9.90"),
        (0, "0.00"),
        (-0.0, "0.00"),
        (99999999.99, "99999999.99"),
        ("99999999.99", "99999999.99"),
    ],
)
async def test_price(client: Client, price: object, answer: str) -> None:
    """A price may be sent as a number or in a string, and comes back exactly."""
    response = await client.post(PATH, json=LAMP | {"price": price})
    assert response.status_code == 201
    url = response.headers["Location"]
    assert (await client.get(url)).json()["price"] == answer
    assert response.json()["price"] == answer


@pytest.mark.parametrize(
    "body",
    [
        {"price": -0.01},
        {"price": "0.001"},
        {"price": 0.001},
        {"price": 100000000},
        {"price": 1e400},
        {"price": "NaN"},
        {"price": "-0"},
        {"price": " 1 "},
        {"price": "1.00\n"},
        {"price": "1e3"},
        {"price": float("nan")},
        {"price": "x"},
        {"price": True},
        {"price": None},
        {"quantity": -1},
        {"quantity": 2**31},
        {"quantity": 0.5},
        {"quantity": "1"},
        {"quantity": True},
        {"quantity": None},
        {"description": "x" * 501},
        {"description": "\x00"},
        {"description": 1},
    ],
)
async def test_impossible_value(client: Client, body: dict[str, object]) -> None:
    """No value that the column cannot hold reaches the database."""
    content = json.dumps(LAMP | body).replace("Infinity", "1e400")
    response = await client.post(PATH, content=content, headers=JSON)
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["body", *body]


async def test_description(client: Client) -> None:
    """A description may be missing, and may be taken away."""
    created = (await client.post(PATH, json=LAMP)).json()
    assert created["description"] is None
    url = f"{PATH}/{created['id']}"
    for description in ("Bright", None):
        response = await client.patch(url, json={"description": description})
        assert response.json()["description"] == description


async def test_search(client: Client) -> None:
    """Products of a name are listed, in pages."""
    for name in ("Lamp", "Desk", "Lamp"):
        await client.post(PATH, json=LAMP | {"name": name})
    response = await client.get(PATH, params={"name": "Lamp", "limit": 1})
    first = response.json()
    assert [item["name"] for item in first["items"]] == ["Lamp"]
    response = await client.get(PATH, params={"name": "Lamp", "after": first["next"]})
    assert [item["name"] for item in response.json()["items"]] == ["Lamp"]
    assert response.json()["next"] is None
{% endcall %}
