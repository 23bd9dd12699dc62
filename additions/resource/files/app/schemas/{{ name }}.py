"""{{ many | capitalize }}, as clients send and receive them."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictBool

from app import limits
{% for field in enums %}
from app.enums.{{ name }} import {{ field.python }}
{% endfor %}
from app.schemas.base import Input, Output, PageParameters, may_be_absent
from app.schemas.json_object import JsonObject
{% for field in nested %}
from {{ field.parent.schemas }} import {{ field.parent.model }}Read
{% endfor %}
from app.schemas.types import Amount, BigIdentifier, Date, Email, Identifier, Moment, Text, Whole
{% if fields | selectattr("alias") | list %}

{% for field in fields if field.alias %}
{{ field.accepts }} = {{ field.alias }}
{% endfor %}
{% endif %}


class {{ model }}Create(Input):
    """{{ a_one | capitalize }} to store."""

{% for field in fields %}
{% set default = " | None = None" if field.optional else " = " ~ field.default_code if field.default is not none %}
    {{ field.name }}: {{ field.accepts }}{{ default }}
{% endfor %}


class {{ model }}Update(Input):
    """The fields of {{ a_one }} to change."""

{% for field in fields %}
    {{ field.name }}: {{ field.accepts }}{{ " | None = None" if field.optional else " = may_be_absent()" }}
{% endfor %}
{% if filters %}


class {{ model }}Search(PageParameters):
    """Which {{ many }} to list."""

{% for field in filters %}
    {{ field.name }}: {{ field.searches }} | None = Field(default=None, description="Only those of this {{ words(field.name) | replace(" id", "") if field.parent else words(field.name) }}.")
{% endfor %}
{% endif %}


class {{ model }}Read(Output):
    """{{ a_one | capitalize }} as it is stored."""

    id: Identifier
{% for field in fields %}
    {{ field.name }}: {{ field.answers }}{{ " | None" if field.optional }}
{% if field.nested %}
    {{ field.relation }}: {{ field.parent.model }}Read{{ " | None" if field.optional }}
{% endif %}
{% endfor %}
    created_at: AwareDatetime
    updated_at: AwareDatetime
