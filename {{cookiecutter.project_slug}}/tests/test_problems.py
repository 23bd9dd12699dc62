{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Errors: problem details throughout, documented, and no secrets."""

from uuid import UUID

import pytest
from fastapi import FastAPI

from tests.client import Client
from tests.faults import OutOfStockError

PATH = "/api/v1/users"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PUT", PATH, 405), ("POST", "/faults/exception", 500)],
)
async def test_problem(
    client: Client,
    method: str,
    path: str,
    status: int,
) -> None:
    """Every error has the same form, those of the framework too."""
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    names = "type title status detail instance request_id"
    assert problem.keys() == set(names.split())
    assert problem["status"] == status
    assert problem["instance"] == path
    assert problem["request_id"] == response.headers["X-Request-ID"]


async def test_failure_keeps_secrets(client: Client) -> None:
    """What went wrong inside is for the log only."""
    for path in ("exception", "commit?email=a@example.com"):
        response = await client.post(f"/faults/{path}")
        for word in ("secret", "INSERT", "twin", "Traceback"):
            assert word not in response.text


async def test_failure_is_in_the_log(
    client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Pytest shows, with a test that fails, why the answer was a 500; once."""
    await client.post("/faults/exception")
    assert [bool(record.exc_info) for record in caplog.records] == [True]
    assert "RuntimeError: a secret" in caplog.text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "own",
            {
                "type": "/problems/out-of-stock",
                "title": "Not enough in stock",
                "status": 409,
                "detail": "Only 2 are left.",
                "available": "2.50",
            },
        ),
        ("dict", {"type": "about:blank", "status": 409, "code": "shipped"}),
        ("list", {"detail": "Conflict", "details": [1, str(UUID(int=1))]}),
        ("surrogate", {"status": 404, "detail": "There is no ?."}),
        ("unknown", {"status": 499, "title": "Error"}),
        ("group", {"status": 423, "detail": "locked"}),
        ("group-of-own", {"status": 418}),
        ("group-with-fault", {"status": 500}),
    ],
)
async def test_refusal(client: Client, name: str, expected: dict[str, object]) -> None:
    """What a route raises is the answer: with a type and members of its own, too."""
    response = await client.get(f"/faults/refusals/{name}")
    problem = response.json()
    assert response.status_code == problem["status"]
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert problem | expected == problem
    assert response.headers.get("X-Key") == ("1" if name == "group" else None)


async def test_refusal_without_body(client: Client) -> None:
    """A status that allows no body has none; its headers are kept."""
    response = await client.get("/faults/refusals/no-body")
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == '"1"'


def test_member_of_every_problem() -> None:
    """What every problem has, none has in another meaning."""
    with pytest.raises(TypeError, match="instance"):
        OutOfStockError("Only 2 are left.", available=2, instance="shop")


def test_documented_refusal(app: FastAPI) -> None:
    """A problem of one's own is documented; so are two of the same status."""
    schema = app.openapi()
    operation = schema["paths"]["/faults/refusals/{name}"]["get"]
    [content] = operation["responses"]["409"]["content"].values()
    names = ["Problem", "OutOfStockError", "ClosedError"]
    references = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    assert content["schema"] == {"anyOf": references}
    documented = schema["components"]["schemas"]["OutOfStockError"]
    assert {"type", "available"} < set(documented["required"])
    properties = documented["properties"]
    assert properties["type"]["const"] == "/problems/out-of-stock"
    assert properties["available"]["type"] == "string"  # as answers have a Decimal
    assert documented["description"] == "There are fewer than the client asks for."


@pytest.mark.parametrize("prefix", ["", "/shop"])
async def test_allow(app: FastAPI, client: Client, prefix: str) -> None:
    """405 lists the methods that there are, under the prefix of a proxy, too."""
    app.root_path = prefix
    response = await client.put(f"{prefix}{PATH}")
    app.root_path = ""
    assert response.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'{"name": NaN}', 422),
        (b'{"name": "\\ud800", "\\udfff": 1}', 422),
        (b'{"name": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b'{"name": ' * 100_000, 400),
    ],
)
async def test_malformed_body(
    client: Client,
    content: bytes,
    status: int,
) -> None:
    """Whatever is sent, the answer is a problem and not a failure."""
    response = await client.post(PATH, content=content, headers=JSON)
    assert response.status_code == status
    assert response.json()["status"] == status


async def test_large_body(client: Client) -> None:
    """A body has a largest size, whether it announces it or not."""
    large = b" " * 2_000_000
    for more in ({}, {"Transfer-Encoding": "chunked"}, {"Content-Length": "9" * 5000}):
        headers = JSON | more
        response = await client.post(PATH, content=large, headers=headers)
        assert response.status_code == 413
        assert response.headers["Content-Type"] == "application/problem+json"


def test_documentation(app: FastAPI) -> None:
    """The OpenAPI schema tells each status that a route may answer."""
    paths = app.openapi()["paths"]
    documented = {
        (method.upper(), path.removeprefix("/api/v1")): set(operation["responses"])
        for path, operations in paths.items()
        for method, operation in operations.items()
        if not path.startswith("/faults")
    }
    expected = {
        ("GET", "/health/live"): {"200"},
        ("GET", "/health/ready"): {"200", "503"},
    }
    for name in ("product", "user"):
        one = "/NAMEs/{NAME_id}".replace("NAME", name)
        write = {"400", "413", "422", "503"}
        expected |= {
            ("POST", f"/{name}s"): write | {"201", "409"},
            ("GET", f"/{name}s"): {"200", "422", "503"},
            ("GET", one): {"200", "404", "422", "503"},
            ("PATCH", one): write | {"200", "404", "409"},
            ("DELETE", one): {"204", "404", "409", "422", "503"},
        }
    assert documented | expected == documented  # there may be further routes


def test_documented_form(app: FastAPI) -> None:
    """Problems are documented by their schema, under their media type."""
    schema = app.openapi()
    for status in ("404", "409", "422", "503"):
        operation = schema["paths"]["/api/v1/users/{user_id}"]["patch"]
        content = operation["responses"][status]["content"]
        reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
        assert content == {"application/problem+json": reference}
    assert schema["components"]["schemas"]["Problem"]["required"]
    assert schema["components"]["schemas"]["InvalidField"]["required"]
    assert "HTTPValidationError" not in schema["components"]["schemas"]
{% endcall %}
