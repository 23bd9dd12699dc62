"""Make a migration for new models: run by the Python of a service, in a copy of it.

    python migrate.py MESSAGE FILE=PLACE ...

The database is one of the service's tests, which is made for this alone, and dropped; never the one of `DATABASE_URL`.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, "")

from app.database.schema import get_heads

from tests.conftest import drop, new_url

REFUSED = 2
LACKS = "write a migration that makes it"
DIFFER = "models and migrations differ already, as `alembic check` says: write that migration first"


def refuse(message):
    """Say what the service has to change first."""
    print(message, file=sys.stderr)
    sys.exit(REFUSED)


def run(url, *command, refusal=None):
    """Run a command of the service on the database; stop when it fails, with a `refusal` if it is the service."""
    variables = {"DATABASE_URL": url.render_as_string(hide_password=False)}
    result = subprocess.run(
        [sys.executable, "-B", "-m", *command], env=os.environ | variables, text=True, capture_output=True, check=False
    )
    if result.returncode and LACKS in result.stderr:  # a table or a column: `prepare` says so before the check
        refuse(DIFFER)
    if result.returncode and refusal is not None:
        refuse(refusal or (result.stderr or result.stdout).strip())
    if result.returncode:
        sys.exit((result.stderr or result.stdout).strip() or f"{command[0]} failed")


def main():
    """Prepare a database without the new models; compare it with them."""
    message, *news = sys.argv[1:]
    if len(heads := get_heads()) > 1:
        refuse(f"the migrations have several heads, {', '.join(heads)} - join them: `alembic merge heads -m merge`")
    url = new_url()
    try:
        run(url, "app.database", "prepare")
        run(url, "alembic", "check", refusal=DIFFER)
        for new in news:
            file, _, place = new.partition("=")
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        run(url, "alembic", "revision", "--autogenerate", "-m", message, refusal="")
    finally:
        dropping = drop(url)
        if dropping is not None:  # of an asynchronous service, it is a coroutine
            asyncio.run(dropping)


main()
