{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What all resources promise: the tests of each say of which values."""

import re
from typing import Any, ClassVar

import pytest

from tests.client import Client

Body = dict[str, Any]
Values = dict[str, list[Any]]


class ResourceTests:
    """The tests of a resource: a class that is derived from this one has its values."""

    path: str
    one: ClassVar[Body]
    other: ClassVar[Body]
    """It differs from `one` in each field."""
    unique: ClassVar[Body] = {}
    """For a third one, what no two may have."""
    defaults: ClassVar[Body] = {}
    """What the fields have that may be left out."""
    accepted: ClassVar[Values]
    """Of each field, values up to the bounds."""
    refused: ClassVar[Values]
    forms: ClassVar[Values] = {}
    """Of a field, what may be sent, and how it is answered, where that differs."""
    searched: ClassVar[list[str]] = []

    @pytest.fixture
    def parents(self) -> Body:
        """Return the keys of what each has to refer to."""
        return {}

    @pytest.fixture(autouse=True)
    def use(self, client: Client, parents: Body) -> None:
        """Let the tests use a client of the service."""
        self.client, self.keys = client, parents

    async def post(self, body: Body, **changes: Any) -> Any:
        """Send a new one; return the answer."""
        return await self.client.post(self.path, json=self.keys | body | changes)

    async def check_pages(self, search: Body, one: Body, last: Body) -> None:
        """Two rows are found, and no others."""
        first = await self.client.get(self.path, params=search | {"limit": 1})
        assert first.json() == {"items": [one], "next": one["id"]}
        after = search | {"limit": 1, "after": one["id"]}
        rest = await self.client.get(self.path, params=after)
        assert rest.json() == {"items": [last], "next": None}

    async def test_life(self) -> None:
        """One is created, read, changed field by field, deleted, and is gone."""
        created = await self.post(self.one)
        row = created.json()
        assert created.status_code == 201
        assert row.items() >= (self.keys | self.one).items()
        assert row["created_at"] == row["updated_at"]
        url = created.headers["Location"]
        assert url == f"{self.path}/{row['id']}"
        assert (await self.client.get(url)).json() == row
        for change in ({}, *({field: value} for field, value in self.other.items())):
            changed = await self.client.patch(url, json=change)
            assert changed.status_code == 200
            row |= change | {"updated_at": changed.json()["updated_at"]}
            assert changed.json() == row
        assert (await self.client.get(url)).json() == row
        assert (await self.client.delete(url)).status_code == 204
        for method in ("GET", "PATCH", "DELETE"):
            json = self.one if method == "PATCH" else None
            response = await self.client.request(method, url, json=json)
            assert response.status_code == 404

    async def test_documentation(self) -> None:
        """Its routes are a group, and say what others, or a database, may do to it."""
        paths = (await self.client.get("/openapi.json")).json()["paths"]
        own = re.compile(re.escape(self.path) + r"(/\{\w+\})?")
        for path in filter(own.fullmatch, paths):
            for method, operation in paths[path].items():
                told = {"422", "503"} | ({"409"} if method != "get" else set())
                assert told <= operation["responses"].keys(), (method, path)
                assert operation["tags"], (method, path)

    async def test_accepted(self) -> None:
        """Values up to the bounds are stored and answered, in a change, too."""
        same = [(field, (value, value)) for field, value in pairs(self.accepted)]
        for field, (sent, answered) in same + pairs(self.forms):
            created = await self.post(self.one, **{field: sent})
            assert created.status_code == 201, (field, sent)
            assert created.json()[field] == answered
            url = created.headers["Location"]
            await self.client.patch(url, json={field: self.other[field]})
            changed = await self.client.patch(url, json={field: sent})
            assert changed.status_code == 200, (field, sent)
            assert changed.json()[field] == answered
            await self.client.delete(url)

    async def test_refused(self) -> None:
        """Others are refused, in a change, too, and the answer names the field."""
        url = (await self.post(self.other)).headers["Location"]
        for field, value in pairs(self.refused):
            for response in (
                await self.post(self.one, **{field: value}),
                await self.client.patch(url, json={field: value}),
            ):
                assert response.status_code == 422, (field, value)
                assert response.json()["errors"][0]["loc"][:2] == ["body", field]
                assert "fit the schema" in response.json()["detail"]

    async def test_least(self) -> None:
        """What may be left out has a value; the rest must be sent."""
        sent = self.keys | self.one
        least = {field: sent[field] for field in sent if field not in self.defaults}
        created = await self.client.post(self.path, json=least)
        assert created.status_code == 201
        assert created.json().items() >= self.defaults.items()
        for field in least:
            body = {name: value for name, value in least.items() if name != field}
            response = await self.client.post(self.path, json=body)
            assert response.status_code == 422
            assert response.json()["errors"][0]["loc"] == ["body", field]

    async def test_list(self) -> None:
        """They are listed in pages: all of them, and those of a value."""
        one, other = [(await self.post(body)).json() for body in (self.one, self.other)]
        await self.check_pages({}, one, other)
        third = (await self.post(self.one | self.unique)).json()
        for field in self.searched:
            await self.check_pages({field: self.one[field]}, one, third)

    async def test_unique(self) -> None:
        """What is taken is so in any form, for a new one and for another one."""
        await self.post(self.one)
        twin = await self.post(self.one)
        assert twin.status_code == (409 if self.unique else 201)
        other = await self.post(self.other)
        url = other.headers["Location"]
        for field in self.unique:
            forms = self.forms.get(field, [(self.one[field], None)])
            taken = {field: forms[0][0]}
            for response in (
                await self.post(self.other | self.unique, **taken),
                await self.client.patch(url, json=taken),
            ):
                assert response.status_code == 409
                assert response.json()["detail"] == f"{field} is already taken."
                assert response.json()["errors"][0]["loc"] == ["body", field]
        assert (await self.client.get(url)).json() == other.json()


def pairs(values: Values) -> list[tuple[str, Any]]:
    """Return each value, with the field that it is for."""
    return [(field, value) for field, some in values.items() for value in some]
{% endcall %}
