{% set has_server = cookiecutter.database != "sqlite" %}
"""What goes wrong in a database, in words for people and for programs."""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, ExceptionContext
from sqlalchemy.exc import (
    DBAPIError,
    PendingRollbackError,
    ResourceClosedError,
    SQLAlchemyError,
)


class UnknownOutcomeError(SQLAlchemyError):
    """The connection has broken at the end of a transaction: COMMIT may be done."""


BROKEN = (
    UnknownOutcomeError,
    PendingRollbackError,
    ResourceClosedError,
    NotImplementedError,  # the first one of an engine
)
"""What is raised where a connection breaks in between, beside the driver's errors."""

FAILURES = (DBAPIError, *BROKEN)
"""What is raised where the database does not do its part."""

Code = int | str | None
"""What a driver calls an error: a number, a SQLSTATE, or a name."""


@dataclass(frozen=True)
class Fault:
    """Why the database could not do its part."""

    advice: str
    """What helps."""


{% if has_server %}
AWAY = Fault("start the server, or correct host and port in DATABASE_URL")
FULL = Fault("try again, or raise the server's limits: connections, memory, disk")
{% else %}
AWAY = Fault("see that the disk works")
FULL = Fault("make room on the disk")
{% endif %}
BUSY = Fault("try again: others hold what the statement needs, or it takes too long")
MISSING = Fault("run `python -m app.database prepare` to create the database")
{% if has_server %}
EXISTS = Fault("try again: another process has just created it")
LOGIN = Fault("correct user and password in DATABASE_URL, or let them in on the server")
PRIVILEGE = Fault("grant the privilege to the user in DATABASE_URL")
PLACE = Fault("correct DATABASE_URL: host, port, database, or an option after the ?")
{% else %}
PRIVILEGE = Fault("let this process write to the file, and to its folder")
PLACE = Fault("correct the path of the file in DATABASE_URL")
{% endif %}
UNKNOWN = Fault("see the message")


@dataclass(frozen=True)
class Kind:
    """A kind of constraint that a statement may violate."""

    name: str
    """For programs."""
    status: int
    """The HTTP status that tells it."""
    message: str
    """What is wrong with the fields, for people."""
    by_value: bool = True
    """Whether a value that was sent violates it: not so where a row is deleted."""


UNIQUE = Kind("unique", 409, "is already taken")
REFERENCE = Kind("reference", 409, "refers to something that does not exist")
REFERRED = Kind("referred", 409, "is still referred to", by_value=False)
{% if not has_server %}
EITHER = Kind(
    "reference",
    409,
    f"{REFERENCE.message}, or {REFERRED.message}",
    by_value=False,
)
{% endif %}
REQUIRED = Kind("required", 422, "must not be null")
CHECK = Kind("check", 422, "is outside its bounds")


@dataclass(frozen=True)
class Violation:
    """A constraint that a statement violated, and the columns that it is about."""

    kind: Kind
    columns: list[Column[Any]]
    is_certain: bool = True
    """Whether it is about all of them; otherwise it is about one or another."""


def connection_of(context: ExceptionContext) -> Connection | None:
    """Return the connection that an error is about, if it can still be asked.

    An error while a result is fetched is reported twice: once more when the first
    report has given the connection up.
    """
    connection = context.connection
    return None if connection is None or connection.invalidated else connection


def cause_of(error: BaseException) -> BaseException:
    """Return the driver's own exception."""
    if not isinstance(error, DBAPIError):
        return error
    try:
        return error.driver_exception
    except ValueError:  # it is SQLAlchemy's own
        return error.orig or error


def words_of(error: BaseException, lines: int | None = None) -> str:
    """Return what the driver said, or its first lines, on one line."""
    if isinstance(error, BROKEN):
        return "the connection has broken"
    cause = cause_of(error)
    if isinstance(cause, TimeoutError) and not str(cause):
        return "the server does not answer"
    words = " ".join(str(cause).splitlines()[:lines])
    return re.sub(r"\s+", " ", words).strip() or type(cause).__name__
