{% from "engine.jinja" import engine with context %}
{% set needed = references | rejectattr("optional") | list %}
{% set keys = ", keys: Keys" if needed else "" %}
{% set one_body = "ONE | keys" if needed else "ONE" %}
{% set other_body = "OTHER | keys" if needed else "OTHER" %}
{% set plain = fields | rejectattr("parent") | list %}
{% set optional = fields | rejectattr("required") | list %}
{% set least = "LEAST" if optional else "ONE" %}
{% macro body(name, pairs) %}
{{ name }}: dict[str, Any] = {
{% for key, value in pairs %}
    "{{ key }}": {{ code(value) }},
{% endfor %}
}
{% endmacro %}
{% call engine() %}
"""What {{ many }} promise."""

from itertools import count
from typing import Any

import pytest

from tests.client import Client
from tests.resource import Resource

PATH = "/api/v1/{{ path }}"
{{ body("ONE", plain | map(attribute="first")) -}}
{{ body("OTHER", plain | map(attribute="second")) -}}
{% if optional %}
{{ body("LEAST", plain | selectattr("required") | map(attribute="first")) -}}
"""Without what may be left out."""
{% endif %}
{% if uniques %}
{{ body("UNIQUE", uniques | map(attribute="third")) -}}
"""For a third one, what no two may have."""
{% endif %}

ACCEPTED: dict[str, list[Any]] = {
{% for field in plain %}
    "{{ field.name }}": {{ code(field.accepted) }},
{% endfor %}
}
REFUSED: dict[str, list[Any]] = {
{% for field in fields %}
    "{{ field.name }}": {{ code(field.refused) }},
{% endfor %}
    "unknown": ["a field that there is not"],
}
{% if needed %}

Keys = dict[str, Any]
{% endif %}
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
{% if needed %}


@pytest.fixture
async def keys(client: Client) -> Keys:
    """Store what {{ a_one }} has to refer to, and return the keys."""
    return {
{% for field in needed %}
        "{{ field.name }}": await create_{{ field.parent.one }}(client),
{% endfor %}
    }
{% endif %}


@pytest.fixture
def resource(client: Client{{ keys }}) -> Resource:
    """Return what is tested, and two of it."""
    return Resource(client, PATH, {{ one_body }}, {{ other_body }})


async def test_life(resource: Resource) -> None:
    """One is created, read, changed field by field, deleted, and no longer found."""
    await resource.check_life()


@pytest.mark.parametrize("field", ACCEPTED)
async def test_accepted(resource: Resource, field: str) -> None:
    """Values up to the bounds are stored and answered, in a change, too."""
    await resource.check_accepted(field, ACCEPTED[field])


@pytest.mark.parametrize("field", REFUSED)
async def test_refused(resource: Resource, field: str) -> None:
    """Others are refused, in a change, too, and the answer names the field."""
    await resource.check_refused(field, REFUSED[field])


async def test_least(resource: Resource{{ keys }}) -> None:
    """What may be left out has a value; the rest must be sent."""
    {{ "created = " if optional }}await resource.check_least({{ least }}{{ " | keys" if needed }})
{% for field in optional %}
    assert created["{{ field.name }}"] {{ "==" if field.default is not none and field.default is not boolean else "is" }} {{ code(field.default) }}
{% endfor %}


async def test_list(resource: Resource) -> None:
    """They are listed in pages."""
    await resource.check_list()
{% set searched = filters | rejectattr("parent") | list %}
{% if searched %}


@pytest.mark.parametrize("field", {{ code(searched | map(attribute="name") | list) }})
async def test_search(resource: Resource, field: str) -> None:
    """Those of a value are found, in pages, too."""
    await resource.check_search(field, third=resource.one{{ " | UNIQUE" if uniques }})
{% endif %}
{% for field in uniques %}


async def test_{{ field.name }}_is_unique(resource: Resource) -> None:
    """It is taken{{ ", in any spelling" if field.forms }}, for a new one and for another one."""
    taken = {"{{ field.name }}": {{ code(field.forms[0][0]) if field.forms else 'ONE["' ~ field.name ~ '"]' }}}
    await resource.check_unique(resource.other | UNIQUE, taken)
{% endfor %}
{% for field in fields if field.forms and not field.unique %}


@pytest.mark.parametrize(
    ("sent", "answered"),
    {{ code(field.forms) }},
)
async def test_forms_of_{{ field.name }}(client: Client{{ keys }}, sent: object, answered: str) -> None:
    """It may be written otherwise, and is answered in one form."""
    body = {{ one_body }} | {"{{ field.name }}": sent}
    response = await client.post(PATH, json=body)
    assert response.json()["{{ field.name }}"] == answered
{% endfor %}
{% for field in references %}


async def test_{{ field.name }}(client: Client{{ keys }}) -> None:
    """It is one that exists{{ ", and finds what refers to it" }}."""
    {{ field.name }} = {{ 'keys["' ~ field.name ~ '"]' if field in needed else "await create_" ~ field.parent.one ~ "(client)" }}
    key = {"{{ field.name }}": {{ field.name }}}
    created = await client.post(PATH, json={{ one_body }} | key)
    url = created.headers["Location"]
    assert created.json()["{{ field.name }}"] == {{ field.name }}
{% if field.nested %}
    assert created.json()["{{ field.relation }}"]["{{ field.parent.key }}"] == {{ field.name }}
    assert (await client.get(url)).json() == created.json()
{% endif %}
    found = (await client.get(PATH, params=key)).json()
    assert found == {"items": [created.json()], "next": None}
    missing = {"{{ field.name }}": {{ code(field.values[0]) }}}
    assert (await client.get(PATH, params=missing)).json()["items"] == []
    for response in (
        await client.post(PATH, json={{ other_body }} | missing),
        await client.patch(url, json=missing),
    ):
        assert response.status_code == 409
    assert (await client.get(url)).json() == created.json()
{% if field.parent.deletes %}
    deleted = await client.delete(f"{{ field.parent.path }}/{ {{- field.name }}}")
{% if field.on_delete == "cascade" %}
    assert deleted.status_code == 204
    assert (await client.get(url)).status_code == 404
{% elif field.on_delete == "null" %}
    assert deleted.status_code == 204
    assert (await client.get(url)).json()["{{ field.name }}"] is None
{% else %}
    assert deleted.status_code == 409
    assert (await client.get(url)).status_code == 200
{% endif %}
{% endif %}
{% endfor %}
{% endcall %}
