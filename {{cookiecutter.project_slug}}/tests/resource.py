{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""What all resources promise: the tests of each say of which values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.client import Client

Body = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """A resource, and two of it, which differ in each field."""

    client: Client
    path: str
    one: Body
    other: Body

    async def check_life(self) -> None:
        """One is created, read, changed field by field, deleted, and is gone."""
        await self.check_documentation()
        created = await self.client.post(self.path, json=self.one)
        row = created.json()
        assert created.status_code == 201
        assert row.items() >= self.one.items()
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

    async def check_documentation(self) -> None:
        """Its routes are a group, and say what others, or a database, may do to it."""
        paths = (await self.client.get("/openapi.json")).json()["paths"]
        own = re.compile(re.escape(self.path) + r"(/\{\w+\})?")
        for path in filter(own.fullmatch, paths):
            for method, operation in paths[path].items():
                told = {"422", "503"} | ({"409"} if method != "get" else set())
                assert told <= operation["responses"].keys(), (method, path)
                assert operation["tags"], (method, path)

    async def check_accepted(self, field: str, values: Sequence[Any]) -> None:
        """Values of a field are stored and answered, in a change, too."""
        for value in values:
            created = await self.client.post(self.path, json=self.one | {field: value})
            assert created.status_code == 201, value
            assert created.json()[field] == value
            url = created.headers["Location"]
            await self.client.patch(url, json={field: self.other[field]})
            changed = await self.client.patch(url, json={field: value})
            assert changed.status_code == 200, value
            assert changed.json()[field] == value
            await self.client.delete(url)

    async def check_refused(self, field: str, values: Sequence[Any]) -> None:
        """Values are refused, in a change, too, and the answer names the field."""
        created = await self.client.post(self.path, json=self.other)
        url = created.headers["Location"]
        for value in values:
            body = {field: value}
            for response in (
                await self.client.post(self.path, json=self.one | body),
                await self.client.patch(url, json=body),
            ):
                assert response.status_code == 422, value
                assert response.json()["errors"][0]["loc"][:2] == ["body", field]
                assert "fit the schema" in response.json()["detail"]

    async def check_least(self, least: Body) -> Any:
        """No field of `least` may be left out; return what is stored of it."""
        created = await self.client.post(self.path, json=least)
        assert created.status_code == 201
        for field in least:
            body = {name: value for name, value in least.items() if name != field}
            response = await self.client.post(self.path, json=body)
            assert response.status_code == 422
            assert response.json()["errors"][0]["loc"] == ["body", field]
        return created.json()

    async def check_list(self) -> None:
        """Rows are listed in pages."""
        await self.check_pages({}, *await self.create(self.one, self.other))

    async def check_search(self, field: str, third: Body) -> None:
        """One, and a third that is alike in a field, are found, in pages, too."""
        one, _, last = await self.create(self.one, self.other, third)
        await self.check_pages({field: self.one[field]}, one, last)

    async def check_pages(self, search: Body, one: Body, last: Body) -> None:
        """Two rows are found, and no others."""
        first = await self.client.get(self.path, params=search | {"limit": 1})
        assert first.json() == {"items": [one], "next": one["id"]}
        after = search | {"limit": 1, "after": one["id"]}
        rest = await self.client.get(self.path, params=after)
        assert rest.json() == {"items": [last], "next": None}

    async def check_unique(self, third: Body, taken: Body) -> None:
        """The value that one has is taken, for a third one and for the other one."""
        [field] = taken
        await self.client.post(self.path, json=self.one)
        other = await self.client.post(self.path, json=self.other)
        url = other.headers["Location"]
        for response in (
            await self.client.post(self.path, json=third | taken),
            await self.client.patch(url, json=taken),
        ):
            assert response.status_code == 409
            assert response.json()["detail"] == f"{field} is already taken."
            assert response.json()["errors"][0]["loc"] == ["body", field]
        assert (await self.client.get(url)).json() == other.json()

    async def create(self, *bodies: Body) -> list[Body]:
        """Store some, and return them."""
        posts = [await self.client.post(self.path, json=body) for body in bodies]
        return [response.json() for response in posts]
{% endcall %}
