"""`python -m app.database prepare` and `python -m app.database check`."""

import argparse
{% if cookiecutter.engine == "async" %}
import asyncio
{% endif %}
import sys
{% from "engine.jinja" import engine with context %}

from app.database.engine import build_engine
from app.database.not_ready import DatabaseNotReadyError
from app.database.startup import open_database
from app.logs import configure_logging, mask
from app.settings import get_settings

{% call engine() %}

async def run(*, prepare: bool) -> None:
    """Prepare or check the database of the settings."""
    settings = get_settings()
    patience = settings.database_startup_timeout if prepare else 0
    engine = build_engine(settings)
    try:
        await open_database(engine, prepare=prepare, patience=patience)
    finally:
        await engine.dispose()
{% endcall %}


def main() -> int:
    """Return the exit status: 0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m app.database")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="create the database and its tables")
    commands.add_parser("check", help="tell whether the service can start, or why not")
    prepare = parser.parse_args().command == "prepare"
    configure_logging()
    try:
        {{ "asyncio.run(run(prepare=prepare))" if cookiecutter.engine == "async" else "run(prepare=prepare)" }}
    except DatabaseNotReadyError as error:
        print(f"ERROR: {mask(str(error))}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
