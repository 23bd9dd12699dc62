{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What is special about users."""

import pytest

from tests.client import Client

PATH = "/api/v1/users"
ADA = {"email": "ada@example.com", "name": "Ada"}


async def test_email_is_unique(client: Client) -> None:
    """An address is taken, in any spelling; the answer names the field."""
    await client.post(PATH, json=ADA)
    response = await client.post(PATH, json=ADA | {"email": "Ada@Example.COM"})
    assert response.status_code == 409
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "email is already taken."
    assert response.json()["errors"][0]["loc"] == ["body", "email"]
    assert len((await client.get(PATH)).json()["items"]) == 1


async def test_email_is_unique_in_updates(client: Client) -> None:
    """A change cannot take an address either, and leaves everything as it was."""
    await client.post(PATH, json=ADA)
    bob = await client.post(PATH, json={"email": "bob@example.com", "name": "Bob"})
    url = bob.headers["Location"]
    response = await client.patch(url, json={"email": ADA["email"], "name": "x"})
    assert response.status_code == 409
    assert (await client.get(url)).json() == bob.json()


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@-example.com",
        "ada@example..com",
        "ada @example.com",
        "ada@example.com\n",
        "äda@example.com",
        "a" * 250 + "@b.de",
        None,
        1,
    ],
)
async def test_impossible_email(client: Client, email: object) -> None:
    """What is no address is refused."""
    response = await client.post(PATH, json=ADA | {"email": email})
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["body", "email"]


async def test_is_active(client: Client) -> None:
    """A user is active until somebody says otherwise."""
    response = await client.post(PATH, json=ADA)
    assert response.json()["is_active"] is True
    url = response.headers["Location"]
    response = await client.patch(url, json={"is_active": False})
    assert response.json()["is_active"] is False


@pytest.mark.parametrize("value", ["true", 1, 0, None])
async def test_impossible_is_active(client: Client, value: object) -> None:
    """A boolean is a boolean."""
    response = await client.post(PATH, json=ADA | {"is_active": value})
    assert response.status_code == 422
{% endcall %}
