{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""The id of a request: in its answer, and in what the log and a problem say of it."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from app.logs import JSONFormatter, TextFormatter
from tests.client import Client

PATH = "/api/v1/users"
HEADER = "X-Request-ID"


@pytest.fixture(params=[TextFormatter, JSONFormatter])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Return what is written to the log, in both forms."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize(
    "given",
    ["1", "x" * 128, "0f8fad5b-d9cb-469f-a165-70867728950e", "Root=1-a:b/c_d.e+f"],
)
async def test_sane_id(client: Client, given: str) -> None:
    """An id that a client or a proxy has given is kept."""
    response = await client.get("/nothing", headers={HEADER: given})
    assert response.headers.get_list(HEADER) == [given]
    assert response.json()["request_id"] == given


@pytest.mark.parametrize(
    "given",
    ["", "x" * 129, "a b", "a\tb", 'a"b', "a{b}", "<b>", "a;b", "a%0Ab", b"\xe4"],
)
async def test_other_id(client: Client, given: str | bytes) -> None:
    """One that is too long, or could mean something in a log, is replaced."""
    headers = {HEADER.encode(): given.encode() if isinstance(given, str) else given}
    response = await client.get("/nothing", headers=headers)
    [current] = response.headers.get_list(HEADER)
    assert re.fullmatch("[0-9a-f]{32}", current)
    assert response.json()["request_id"] == current


async def test_new_id(client: Client) -> None:
    """No two requests have the same."""
    responses = [await client.get("/health/live") for _ in range(3)]
    assert len({response.headers[HEADER] for response in responses}) == 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/health/ready", 200),
        ("GET", "/docs", 200),
        ("GET", PATH, 200),
        ("GET", f"{PATH}/", 307),
        ("GET", "/nothing", 404),
        ("PUT", PATH, 405),
        ("POST", PATH, 422),
        ("POST", "/faults/http-exception", 418),
        ("POST", "/faults/commit?email=twin@example.com", 409),
        ("POST", "/faults/exception", 500),
        ("GET", "/faults/statement", 500),
    ],
)
async def test_every_answer(
    client: Client,
    method: str,
    path: str,
    status: int,
) -> None:
    """Each answer has the id, and so has each problem."""
    response = await client.request(
        method,
        path,
        headers={HEADER: "ada"},
        follow_redirects=False,
    )
    assert response.status_code == status
    assert response.headers.get_list(HEADER) == ["ada"]
    if status >= 400:
        assert response.json()["request_id"] == "ada"


@pytest.mark.parametrize("path", ["log", "log-in-a-thread"])
async def test_log(client: Client, log: io.StringIO, path: str) -> None:
    """A line that a request has written has its id, from whichever thread."""
    for current in ("ada", "bob"):
        await client.get(f"/faults/{path}", headers={HEADER: current})
    lines = [line for line in log.getvalue().splitlines() if "a line" in line]
    assert len(lines) == 2
    for line, current in zip(lines, ("ada", "bob"), strict=True):
        if line.startswith("{"):
            assert json.loads(line)["request_id"] == current
        else:
            assert line.endswith(f" WARNING: a line [{current}]")
{% endcall %}


def test_documentation(app: FastAPI) -> None:
    """A problem always has an id."""
    problem = app.openapi()["components"]["schemas"]["Problem"]
    assert "request_id" in problem["required"]
    assert HEADER in problem["properties"]["request_id"]["description"]
