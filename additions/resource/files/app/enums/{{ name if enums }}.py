"""What {{ many }} have a choice of."""

from enum import StrEnum
{% for field in enums %}


class {{ field.python }}(StrEnum):
    """The {{ words(field.name) }} of {{ a_one }}."""

{% for member, value in field.members %}
    {{ member }} = {{ code(value) }}
{% endfor %}
{% endfor %}
