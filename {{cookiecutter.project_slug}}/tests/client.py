"""The client of the tests: it calls the service in this process, without a network."""

{% if cookiecutter.engine == "async" %}
from httpx2 import AsyncClient

Client = AsyncClient
{% else %}
from fastapi.testclient import TestClient

Client = TestClient
{% endif %}
