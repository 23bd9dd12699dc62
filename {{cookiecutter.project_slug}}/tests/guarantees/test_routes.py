{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Every route that the service has, yours too, as its OpenAPI schema describes it."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from app.database.limiter import Limiter
from tests.client import Client

JSON = {"Content-Type": "application/json"}
PROBLEM = "application/problem+json"
METHODS = ["post", "put", "get", "head", "options", "trace", "patch", "delete"]
"""In this order: what was created is there for those that follow."""

HOSTILE: list[Any] = [None, True, "", "x" * 10_000, "a\x00b", "\ud800", " 1", "1_0"]
HOSTILE += [-1, 0, 9**9, 2**31, 2**63, 10**400, 0.001, float("nan"), [], {}, "'; DROP"]
"""Values that some field or column cannot hold."""

MALFORMED = [b"\xff", b" " * (2**20 + 1)]
"""Bodies that are no text, or too long."""


def failing(error: Exception) -> Callable[..., NoReturn]:
    """Return a function that raises an error."""

    def fail(*_: object) -> NoReturn:
        raise error

    return fail


BUSY, STALE = failing(PoolTimeoutError()), failing(StaleDataError())
FAULTS = [(Limiter, "acquire", BUSY), (Session, "flush", STALE), None]
"""What may go wrong in any route; then, nothing."""

TEXTS = ["a", "a@example.com", "1", "2026-01-01T00:00:00Z", "2026-01-01"]


def resolve(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return what a part of a schema refers to: of several forms, the first."""
    while "$ref" in part or "anyOf" in part:
        reference = part.get("$ref", "").removeprefix("#/components/schemas/")
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
) -> Iterator[tuple[Any, dict[tuple[str, str], Any], bytes | None]]:
    """Yield faults, parameters and bodies: those that fit, and each value replaced."""
    parts = {}
    for one in operation.get("parameters", ()):
        value = key if key and one["in"] == "path" else example(schema, one["schema"])
        parts[one["in"], one["name"]] = value
    content = operation.get("requestBody", {}).get("content", {})
    form = content.get("application/json", {}).get("schema")
    body: Any = example(schema, form) if form else None
    sent = json.dumps(body).encode() if form else None
    yield from ((fault, parts, sent) for fault in FAULTS)
    for part in parts:
        yield from ((None, parts | {part: value}, sent) for value in HOSTILE)
    for name in resolve(schema, form or {}).get("properties", ()):
        values = [*HOSTILE, *([value] for value in HOSTILE)]
        bodies = (json.dumps(body | {name: value}).encode() for value in values)
        yield from ((None, parts, one) for one in bodies)
    yield from ((None, parts, one) for one in MALFORMED if form)


def check_problem(schema: dict[str, Any], form: dict[str, Any], sent: Any) -> None:
    """Compare a problem with what its documentation says of it."""
    known = resolve(schema, form)["properties"]
    assert sent.keys() <= known.keys()
    for error in sent.get("errors", ()):
        items = resolve(schema, resolve(schema, known["errors"])["items"])
        assert error.keys() == items["properties"].keys()


async def test_every_route(
    app: FastAPI,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is sent, the answer is documented, and none of them a 500."""
    schema = app.openapi()
    operations = [
        (METHODS.index(method), path, operation)
        for path, some in schema["paths"].items()
        for method, operation in some.items()
    ]
    keys: dict[str, str] = {}
    for place, path, operation in sorted(operations, key=lambda one: one[:2]):
        method, documented = METHODS[place], operation["responses"]
        key = keys.get(path.partition("/{")[0])
        for fault, parts, content in requests(schema, operation, key):
            url, query, headers = path, {}, dict(JSON)
            for (where, name), value in parts.items():
                text = str(value).encode(errors="replace").decode()
                if where == "path":
                    url = url.replace("{" + name + "}", quote(text, safe="") or "%20")
                elif where == "query":
                    query[name] = text
                elif where == "header":
                    headers[name] = re.sub(r"[^ -~]", "?", text)
                else:
                    headers["Cookie"] = f"{name}={quote(text)}"
            with monkeypatch.context() as patch:
                patch.setattr(*fault) if fault else None
                options: Any = {"params": query, "content": content, "headers": headers}
                response = await client.request(method, url, **options)
            status, sent = str(response.status_code), (method, url, query, content)
            lacking = f"{status} is not among its responses=problems(...): {sent}"
            assert fault or response.status_code not in {500, 503}, sent
            assert fault or status in documented, lacking
            if response.is_error:
                assert response.headers["Content-Type"] == PROBLEM, sent
            if response.is_error and status in documented:
                assert PROBLEM in documented[status]["content"], sent
                form = documented[status]["content"][PROBLEM]["schema"]
                check_problem(schema, form, response.json())
            if "Location" in response.headers:  # what was created is read and changed
                assert "Location" in documented[status]["headers"]
                keys[path] = response.headers["Location"].rpartition("/")[2]
{% endcall %}
