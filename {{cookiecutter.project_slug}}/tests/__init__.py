"""The tests of the service.

They have a database of their own. Its settings are made here, before anything of
the service is imported: those of `.env.example`, and not a developer's `.env`.
"""

import os

{% if cookiecutter.database == "mysql" %}
from tests.server import new_url

# isort: split
from app.settings import ROOT, Settings  # SQLite may stand in by now
{% else %}
from app.settings import ROOT, Settings
from tests.server import new_url
{% endif %}

Settings.model_config["env_file"] = ROOT / ".env.example"
for name in list(os.environ):
    if name.upper().startswith(("DATABASE_", "LOG_", "OTEL_")):
        del os.environ[name]
os.environ["DATABASE_URL"] = new_url().render_as_string(hide_password=False)
os.environ["DATABASE_POOL_SIZE"] = "2"  # few connections are soon too few
os.environ["DATABASE_MAX_OVERFLOW"] = "1"
