{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What users promise."""

from typing import Any

import pytest

from tests.client import Client

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


async def test_life(client: Client) -> None:
    """One is created, read, changed field by field, deleted, and no longer found."""
    created = await client.post(PATH, json=ONE)
    user = created.json()
    assert created.status_code == 201
    assert user.items() >= ONE.items()
    url = created.headers["Location"]
    assert url == f"{PATH}/{user['id']}"
    assert (await client.get(url)).json() == user
    for change in ({}, *({field: value} for field, value in OTHER.items())):
        changed = await client.patch(url, json=change)
        assert changed.status_code == 200
        user |= change | {"updated_at": changed.json()["updated_at"]}
        assert changed.json() == user
    assert (await client.get(url)).json() == user
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
    assert created.json()["is_active"] is True
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


async def test_email_is_unique(client: Client) -> None:
    """It is taken, in any spelling, for a new one and for another one."""
    await client.post(PATH, json=ONE)
    other = await client.post(PATH, json=OTHER)
    url = other.headers["Location"]
    taken = {"email": "One@Example.COM"}
    for response in (
        await client.post(PATH, json=OTHER | UNIQUE | taken),
        await client.patch(url, json=taken),
    ):
        assert response.status_code == 409
        assert response.json()["detail"] == "email is already taken."
        assert response.json()["errors"][0]["loc"] == ["body", "email"]
    assert (await client.get(url)).json() == other.json()
{% endcall %}
