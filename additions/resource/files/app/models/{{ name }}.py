"""The {{ table }} table."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, Numeric, String, Text, false, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app import limits
{% for field in enums %}
from app.enums.{{ name }} import {{ field.python }}
{% endfor %}
from app.models.base import Entity
{% for field in nested %}
from {{ field.parent.module }} import {{ field.parent.model }}
{% endfor %}


class {{ model }}(Entity):
    """{{ description }}"""

    __tablename__ = "{{ table }}"
{% set checks = fields | selectattr("check") | list %}
{% if checks or filters %}
    __table_args__ = (
{% for field in checks %}
        CheckConstraint("{{ field.check }}", name="{{ field.name }}"),
{% endfor %}
{% if filters %}
        # For the filters of the list: each finds its rows in the order of the pages.
{% for field in filters %}
        Index(None, "{{ field.name }}", "id"),
{% endfor %}
{% endif %}
    )
{% endif %}

{% for field in fields %}
    {{ field.mapped }}
{% endfor %}
{% if nested %}

{% for field in nested %}
    {{ field.relation }}: Mapped[{{ field.parent.model }}{{ " | None" if field.optional }}] = relationship(lazy="raise"{% if field.parent.table in ambiguous %}, foreign_keys="{{ model }}.{{ field.name }}"{% endif %})
{% endfor %}
{% endif %}
