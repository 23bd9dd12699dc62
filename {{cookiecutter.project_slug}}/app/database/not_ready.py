{% set alembic = cookiecutter.migrations == "alembic" %}
"""Why the service cannot work with its database: in one line, with what helps."""

{% if alembic %}
import traceback
{% endif %}
from collections.abc import Iterator
from contextlib import contextmanager
{% if alembic %}
from pathlib import Path
{% endif %}

from app.database import dialect, errors
from app.database.diagnosis import diagnose

{% if alembic %}
OF_SERVER = {errors.AWAY, errors.FULL, errors.BUSY, errors.PRIVILEGE}
"""Faults that are no fault of the migration that meets them."""

OF_MIGRATION = "correct the migration, or the rows that are in its way"


{% else %}

{% endif %}
class DatabaseNotReadyError(Exception):
    """What is wrong with the database, and what helps, in one line."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Raise `DatabaseNotReadyError` for what the database reports."""
    try:
        yield
    except TimeoutError as error:
        raise DatabaseNotReadyError(str(error)) from None
    except errors.FAILURES as error:
        fault, words = diagnose(error), dialect.describe(error)
{% if alembic %}
        if place := find_migration(error):
            advice = fault.advice if fault in OF_SERVER else OF_MIGRATION
            words, advice = f"{place}: {words}", f"{dialect.AFTER_FAILURE}; {advice}"
            raise DatabaseNotReadyError(f"{words} - {advice}") from None
{% endif %}
        raise DatabaseNotReadyError(f"{words} - {fault.advice}") from None
{% if alembic %}


@contextmanager
def one_line_exceptions() -> Iterator[None]:
    """Raise `DatabaseNotReadyError` for what the code of a migration raises."""
    try:
        yield
    except Exception as error:
        place = find_migration(error)
        if place is None:
            raise
        words = f"{place}: {type(error).__name__} - {dialect.AFTER_FAILURE}"
        message = f"{words}; `alembic upgrade head` tells more"
        raise DatabaseNotReadyError(message) from None


def find_migration(error: BaseException) -> str | None:
    """Return the file, and the line, of the migration that an error came from."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(Path(frame.filename), frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError):
        places.append((Path(error.filename or ""), error.lineno))
    for file, line in reversed(places):
        if file.parent.name == "versions":
            return f"migration {file.name}, line {line}"
    return None
{% endif %}
