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

from sqlalchemy import NullPool, create_engine, text
from tests.server import drop_statement, new_url


async def drop_async(url, statement):
    """Drop a database through an asynchronous driver."""
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415  (a synchronous service has none)

    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text(statement))


def drop(url):
    """Drop the database, if there is something to do."""
    statement = drop_statement(url)
    if statement is None:
        return
    server = url.set(database="postgres" if url.get_backend_name() == "postgresql" else None)
    if url.get_dialect().is_async:
        asyncio.run(drop_async(server, statement))
        return
    with create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        connection.execute(text(statement))


def run(url, *command):
    """Run a command of the service on the database; stop when it fails."""
    variables = {"DATABASE_URL": url.render_as_string(hide_password=False)}
    result = subprocess.run(
        [sys.executable, "-B", "-m", *command], env=os.environ | variables, text=True, capture_output=True, check=False
    )
    if result.returncode:
        sys.exit((result.stderr or result.stdout).strip() or f"{command[0]} failed")


def main():
    """Prepare a database without the new models; compare it with them."""
    message, *news = sys.argv[1:]
    url = new_url()
    try:
        run(url, "app.database", "prepare")
        for new in news:
            file, _, place = new.partition("=")
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        run(url, "alembic", "revision", "--autogenerate", "-m", message)
    finally:
        drop(url)


main()
