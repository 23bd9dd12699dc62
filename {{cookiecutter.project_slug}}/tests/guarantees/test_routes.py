{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Every route that the service has, yours too, as its OpenAPI schema describes it."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI

from tests.client import Client

JSON = {"Content-Type": "application/json"}
PROBLEM = "application/problem+json"
METHODS = ["post", "put", "get", "head", "options", "trace", "patch", "delete"]
"""In this order: what was created is there for those that follow."""

HOSTILE: list[Any] = [None, True, "", "x" * 10_000, "a\x00b", "\ud800", " 1", "1_0"]
HOSTILE += [-1, 0, 2**31, 2**63, 10**400, 0.001, float("nan"), [], {}, "'; DROP TABLE"]
"""Values that some field or column cannot hold."""

TEXTS = ["a", "a@example.com", "1", "2026-01-01T00:00:00Z", "2026-01-01"]


def resolve(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return what a part of a schema refers to: of several forms, the first."""
    while "$ref" in part or "anyOf" in part:
        reference = part.get("$ref", "").rpartition("/")[2]
        known = schema["components"]["schemas"]
        part = known[reference] if reference else part["anyOf"][0]
    return part


def example(schema: dict[str, Any], part: dict[str, Any]) -> Any:
    """Return a value that fits a part of a schema, as far as it is known here."""
    part = resolve(schema, part)
    kind = part.get("type")
    if "enum" in part or "const" in part:
        return part.get("const", (part.get("enum") or [None])[0])
    if kind == "object":
        names = part.get("required", ())
        return {name: example(schema, part["properties"][name]) for name in names}
    if kind == "string":
        fitting = [one for one in TEXTS if re.search(part.get("pattern", ""), one)]
        return next(iter(fitting), "a").ljust(part.get("minLength", 0), "a")
    values = {"boolean": True, "array": [], "null": None}
    return values.get(str(kind), part.get("minimum", 1))


def requests(
    schema: dict[str, Any],
    operation: dict[str, Any],
    key: object,
) -> Iterator[tuple[dict[tuple[str, str], Any], Any]]:
    """Yield parameters and a body: those that fit, and with each value replaced."""
    parts = {}
    for one in operation.get("parameters", ()):
        value = key if key and one["in"] == "path" else example(schema, one["schema"])
        parts[one["in"], one["name"]] = value
    content = operation.get("requestBody", {}).get("content", {})
    form = content.get("application/json", {}).get("schema", {})
    body: Any = example(schema, form) if form else None
    yield parts, body
    for part in parts:
        for value in HOSTILE:
            yield parts | {part: value}, body
    for name in resolve(schema, form).get("properties", ()):
        for value in HOSTILE:
            yield parts, body | {name: value}


async def test_every_route(app: FastAPI, client: Client) -> None:
    """Whatever is sent, the answer is one that is documented, and never a 5xx."""
    schema = app.openapi()
    operations = [
        (METHODS.index(method), path, operation)
        for path, some in schema["paths"].items()
        for method, operation in some.items()
    ]
    keys: dict[str, str] = {}
    for place, path, operation in sorted(operations, key=lambda one: one[:2]):
        method = METHODS[place]
        key = keys.get(path.partition("/{")[0])
        for parts, body in requests(schema, operation, key):
            url, query = path, {}
            for (where, name), value in parts.items():
                text = str(value).encode(errors="replace").decode()
                if where == "path":
                    url = url.replace("{" + name + "}", quote(text, safe="") or "%20")
                else:
                    query[name] = text
            content = None if body is None else json.dumps(body)
            response = await client.request(
                method,
                url,
                params=query,
                content=content,
                headers=JSON,
            )
            status, sent = str(response.status_code), (method, url, query, body)
            lacking = f"{status} is not among its responses=problems(...): {sent}"
            assert not response.is_server_error, sent
            assert status in operation["responses"], lacking
            if response.is_client_error:
                assert PROBLEM in operation["responses"][status]["content"], sent
                assert response.headers["Content-Type"] == PROBLEM, sent
            if "Location" in response.headers:  # what was created is read and changed
                keys[path] = response.headers["Location"].rpartition("/")[2]
{% endcall %}
