{% from "engine.jinja" import engine with context %}
{% set needed = references | rejectattr("optional") | list %}
{% set plain = fields | rejectattr("parent") | list %}
{% set searched = filters | rejectattr("parent") | list %}
{% macro table(name, kind, pairs) %}
    {{ name }}: ClassVar[{{ kind }}] = {
{% for key, value in pairs %}
        "{{ key }}": {{ code(value) }},
{% endfor %}
    }
{% endmacro %}
{% call engine() %}
"""What {{ many }} promise."""

from itertools import count
from typing import Any, ClassVar

import pytest

from tests.client import Client
from tests.resource import Body, ResourceTests, Values
{% if parents | selectattr("varied") | list %}

NUMBERS = count(1)
"""For what no two may have."""
{% endif %}
{% for parent in parents %}


async def create_{{ parent.one }}(client: Client) -> Any:
    """Store {{ parent.a_one }}, and return its key."""
    body{{ "" if parent.body and not parent.parents and not parent.varied else ": dict[str, Any]" }} = {{ code(parent.body) }}
{% for name, value in parent.varied.items() %}
    body["{{ name }}"] = {{ value }}
{% endfor %}
{% for name, other in parent.makers.items() %}
    body["{{ name }}"] = await create_{{ other }}(client)
{% endfor %}
    response = await client.post("{{ parent.path }}", json=body)
    return response.json()["{{ parent.key }}"]
{% endfor %}


class Test{{ pascal(plural) }}(ResourceTests):
    """{{ many | capitalize }}, and what each field takes."""

    path = "/api/v1/{{ path }}"
{{ table("one", "Body", plain | map(attribute="first")) -}}
{{ table("other", "Body", plain | map(attribute="second")) -}}
{% if unique %}
    unique: ClassVar[Body] = {{ code(unique) }}
{% endif %}
{% if defaults %}
    defaults: ClassVar[Body] = {{ code(defaults) }}
{% endif %}
    accepted: ClassVar[Values] = {
{% for field in plain %}
        "{{ field.name }}": {{ code(field.accepted) }},
{% endfor %}
    }
    refused: ClassVar[Values] = {
{% for field in fields %}
        "{{ field.name }}": {{ code(field.refused) }},
{% endfor %}
        "unknown": ["a field that there is not"],
    }
{% if forms %}
    forms: ClassVar[Values] = {{ code(forms) }}
{% endif %}
{% if searched %}
    searched: ClassVar[list[str]] = {{ code(searched | map(attribute="name") | list) }}
{% endif %}
{% if needed %}

    @pytest.fixture
    async def parents(self, client: Client) -> Body:
        """Store what {{ a_one }} has to refer to, and return the keys."""
        return {
{% for field in needed %}
            "{{ field.name }}": await create_{{ field.parent.one }}(client),
{% endfor %}
        }
{% endif %}
{% for field in references %}

    async def test_{{ field.name }}(self) -> None:
        """It is one that exists{{ ", and finds what refers to it" }}."""
        {{ field.name }} = {{ 'self.keys["' ~ field.name ~ '"]' if field in needed else "await create_" ~ field.parent.one ~ "(self.client)" }}
        key = {"{{ field.name }}": {{ field.name }}}
        created = await self.post(self.one, **key)
        url = created.headers["Location"]
        assert created.json()["{{ field.name }}"] == {{ field.name }}
{% if field.nested %}
        assert created.json()["{{ field.relation }}"]["{{ field.parent.key }}"] == {{ field.name }}
        assert (await self.client.get(url)).json() == created.json()
{% endif %}
        found = (await self.client.get(self.path, params=key)).json()
        assert found == {"items": [created.json()], "next": None}
        missing = {"{{ field.name }}": {{ code(field.values[0]) }}}
        found = (await self.client.get(self.path, params=missing)).json()
        assert found["items"] == []
        for response in (
            await self.post(self.other, **missing),
            await self.client.patch(url, json=missing),
        ):
            assert response.status_code == 409
        assert (await self.client.get(url)).json() == created.json()
{% if field.parent.deletes %}
        deleted = await self.client.delete(f"{{ field.parent.path }}/{ {{- field.name }}}")
{% if field.on_delete == "cascade" %}
        assert deleted.status_code == 204
        assert (await self.client.get(url)).status_code == 404
{% elif field.on_delete == "null" %}
        assert deleted.status_code == 204
        assert (await self.client.get(url)).json()["{{ field.name }}"] is None
{% else %}
        assert deleted.status_code in {204, 409}  # 204 where its row stays
        assert (await self.client.get(url)).status_code == 200
{% endif %}
{% endif %}
{% endfor %}
{% endcall %}
