"""The HTTP contract, exercised by a client that knows nothing of the code behind it."""

import httpx2

PRODUCT = {"name": "Lamp", "price": "9.90", "quantity": 3}
USER = {"email": "ada@example.com", "name": "Ada"}


def check_contract(client: httpx2.Client) -> None:
    """Check every path of the contract, on an empty database."""
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 200
    assert client.get("/docs").status_code == 200
    for path, body in (("/api/v1/products", PRODUCT), ("/api/v1/users", USER)):
        check_resource(client, path, body)
    created = client.post("/api/v1/users", json=USER)
    check_problem(client.post("/api/v1/users", json=USER), 409)
    check_problem(client.post("/api/v1/users", json=USER | {"email": "x"}), 422)
    assert client.delete(created.headers["Location"]).status_code == 204


def check_resource(client: httpx2.Client, path: str, body: dict[str, object]) -> None:
    """Check what every resource does alike."""
    assert client.get(path).json() == {"items": [], "next": None}
    created = client.post(path, json=body)
    assert created.status_code == 201, created.text
    url = created.headers["Location"]
    assert url == f"{path}/{created.json()['id']}"
    assert client.get(url).json() == created.json()
    assert client.get(path, params={"limit": 1}).json()["items"] == [created.json()]
    assert client.get(path, params={"after": created.json()["id"]}).json()["items"] == []
    changed = client.patch(url, json={"name": "New"})
    assert changed.status_code == 200
    assert changed.json()["name"] == "New"
    assert client.delete(url).status_code == 204
    for response in (client.get(url), client.patch(url, json={}), client.delete(url)):
        check_problem(response, 404)
    check_problem(client.get(path, params={"limit": 101}), 422)
    check_problem(client.post(path, json={}), 422)
    check_problem(client.put(path), 405)


def check_problem(response: httpx2.Response, status: int) -> None:
    """Check that an answer is a problem, as RFC 9457 has it."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["instance"] == response.url.path
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert {"type", "title", "detail"} < problem.keys()
    assert bool(problem.get("errors")) == (status in {409, 422})
