"""The tests of the service.

They have a database of their own. Its settings are made here, before anything of
the service is imported, and `.env` is not read: no test sees a developer's database.
"""

import os

from app.settings import Settings
from tests.server import new_url

Settings.model_config["env_file"] = None
for name in list(os.environ):
    if name.upper().startswith(("DATABASE_", "LOG_", "OTEL_")):
        del os.environ[name]
os.environ["DATABASE_URL"] = new_url().render_as_string(hide_password=False)
os.environ["DATABASE_PREPARE_ON_STARTUP"] = "true"
os.environ["DATABASE_POOL_SIZE"] = "2"  # few connections are soon too few
os.environ["DATABASE_MAX_OVERFLOW"] = "1"
