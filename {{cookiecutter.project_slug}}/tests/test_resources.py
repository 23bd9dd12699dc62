{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What all resources do alike: each test runs for each of them."""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.client import Client

PRODUCT = {"name": "Lamp", "description": "A lamp", "price": "9.90", "quantity": 3}
USER = {"email": "ada@example.com", "name": "Ada", "is_active": True}

JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=["products", "users"])
def path(request: pytest.FixtureRequest) -> str:
    """Return the path of a resource."""
    return f"/api/v1/{request.param}"


def body_for(path: str, number: int = 0) -> dict[str, Any]:
    """Return what can be stored under a path, different for each number."""
    if path.endswith("products"):
        return PRODUCT | {"name": f"Lamp {number}"}
    return USER | {"email": f"ada{number}@example.com"}


async def test_create(client: Client, path: str) -> None:
    """What is created is answered, and can be read where Location says."""
    response = await client.post(path, json=body_for(path))
    assert response.status_code == 201
    assert response.json().items() >= body_for(path).items()
    assert response.headers["Location"] == f"{path}/{response.json()['id']}"
    again = await client.get(response.headers["Location"])
    assert again.status_code == 200
    assert again.json() == response.json()


async def test_times(client: Client, path: str) -> None:
    """The times are those of the server, in UTC; a change moves one of them."""
    created = (await client.post(path, json=body_for(path))).json()
    assert created["created_at"] == created["updated_at"]
    assert created["created_at"].endswith("Z")
    changed = (await client.patch(f"{path}/{created['id']}", json={"name": "x"})).json()
    assert changed["created_at"] == created["created_at"]
    times = [datetime.fromisoformat(row["updated_at"]) for row in (created, changed)]
    assert times == sorted(times)


async def test_list_is_empty(client: Client, path: str) -> None:
    """A list of nothing is a page, too; and tests leave nothing behind."""
    response = await client.get(path)
    assert response.status_code == 200
    assert response.json() == {"items": [], "next": None}


async def test_pages(client: Client, path: str) -> None:
    """Pages follow each other without a gap, and the last one says so."""
    created = []
    for number in range(5):
        response = await client.post(path, json=body_for(path, number))
        created.append(response.json()["id"])
    seen: list[int] = []
    after: dict[str, int] = {}
    for size in (2, 2, 1):
        response = await client.get(path, params={"limit": 2, **after})
        page = response.json()
        assert len(page["items"]) == size
        seen += [item["id"] for item in page["items"]]
        after = {"after": page["next"]}
    assert seen == created
    assert page["next"] is None


async def test_full_last_page(client: Client, path: str) -> None:
    """A last page that is full does not promise another one."""
    await client.post(path, json=body_for(path))
    response = await client.get(path, params={"limit": 1})
    assert len(response.json()["items"]) == 1
    assert response.json()["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1_0",
        "limit=1.0",
        "after=0",
        "after=2147483648",
        "after=1_0",
        "after=%201",
        "a=1",
    ],
)
async def test_list_refuses(client: Client, path: str, query: str) -> None:
    """A page has bounds, and a misspelt parameter is not ignored."""
    response = await client.get(f"{path}?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["query", query.partition("=")[0]]


async def test_update(client: Client, path: str) -> None:
    """PATCH changes what is sent, and nothing else."""
    created = (await client.post(path, json=body_for(path))).json()
    url = f"{path}/{created['id']}"
    response = await client.patch(url, json={"name": "New"})
    assert response.status_code == 200
    expected = created | {"name": "New", "updated_at": response.json()["updated_at"]}
    assert response.json() == expected
    assert (await client.get(url)).json() == expected


async def test_update_of_nothing(client: Client, path: str) -> None:
    """An empty PATCH is none."""
    created = (await client.post(path, json=body_for(path))).json()
    response = await client.patch(f"{path}/{created['id']}", json={})
    assert response.status_code == 200
    assert response.json() == created


async def test_update_refuses_null(client: Client, path: str) -> None:
    """To leave a field out is one thing, to empty it another."""
    created = (await client.post(path, json=body_for(path))).json()
    url = f"{path}/{created['id']}"
    response = await client.patch(url, json={"name": None})
    assert response.status_code == 422
    assert (await client.get(url)).json() == created


async def test_delete(client: Client, path: str) -> None:
    """What is deleted is gone."""
    response = await client.post(path, json=body_for(path))
    url = response.headers["Location"]
    deleted = await client.delete(url)
    assert deleted.status_code == 204
    assert deleted.content == b""
    assert (await client.get(url)).status_code == 404
    assert (await client.delete(url)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_not_found(client: Client, path: str, method: str) -> None:
    """A row that is not there is a problem with a name."""
    body = {"name": "x"} if method == "PATCH" else None
    response = await client.request(method, f"{path}/2147483647", json=body)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": f"There is no {path[8:-1]} 2147483647.",
        "instance": f"{path}/2147483647",
        "request_id": response.headers["X-Request-ID"],
    }


@pytest.mark.parametrize(
    "key",
    ["0", "-1", "x", 2**31, 2**63, 10**400, "%00", "1_0", "1.0", "%201", "1%0A"],
)
async def test_impossible_id(client: Client, path: str, key: object) -> None:
    """No number that the column cannot hold reaches the database, nor other text."""
    response = await client.get(f"{path}/{key}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"][0] == "path"


@pytest.mark.parametrize(
    "name",
    ["", "x" * 101, "a\x00b", "\ud800", None, 1, True, ["x"], {}],
)
async def test_impossible_name(client: Client, path: str, name: object) -> None:
    """No text that the column cannot hold reaches the database."""
    content = json.dumps(body_for(path) | {"name": name})
    response = await client.post(path, content=content, headers=JSON)
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["body", "name"]


@pytest.mark.parametrize("name", ["x" * 100, "\U0001f600" * 100, "'; DROP --", " "])
async def test_awkward_name(client: Client, path: str, name: str) -> None:
    """Any other text comes back as it was sent."""
    response = await client.post(path, json=body_for(path) | {"name": name})
    assert response.status_code == 201
    assert response.json()["name"] == name


async def test_unknown_field(client: Client, path: str) -> None:
    """A misspelt field is not ignored."""
    response = await client.post(path, json=body_for(path) | {"nmae": "x"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["body", "nmae"]
{% endcall %}
