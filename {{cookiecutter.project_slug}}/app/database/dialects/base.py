{% set has_server = cookiecutter.database != "sqlite" %}
"""What the service wants to know of any database."""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    ForeignKeyConstraint,
    Index,
    Table,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import ColumnCollectionConstraint

from app.models.base import Base

if TYPE_CHECKING:
    from app.settings import Settings


PLAIN = re.compile(
    r"(?:[\s(]|--.*\n|/\*(?!M?!)[\s\S]*?\*/)*"
    r"(?:SELECT|INSERT|UPDATE|DELETE|MERGE|REPLACE|VALUES|WITH|CALL|EXPLAIN|SHOW"
    r"|SAVEPOINT|RELEASE|ROLLBACK)\b",
    re.IGNORECASE,
)
"""How a statement begins that changes rows, or nothing, but not its connection."""

Code = int | str | None
"""What a server calls an error: a number, or a SQLSTATE."""


class Fault(Enum):
    """Why the database could not do its part, and what helps."""

{% if has_server %}
    AWAY = "start the server, or correct host and port in DATABASE_URL"
    FULL = "try again, or raise the server's limits: connections, memory, disk"
{% else %}
    AWAY = "see that the disk works"
    FULL = "make room on the disk"
{% endif %}
    BUSY = "try again: others hold what the statement needs, or it takes too long"
    MISSING = "run `python -m app.database prepare` to create the database"
    EXISTS = "try again: another process has just created it"
{% if has_server %}
    LOGIN = "correct user and password in DATABASE_URL, or let them in on the server"
    PRIVILEGE = "grant the privilege to the user in DATABASE_URL"
    PLACE = "correct DATABASE_URL: host, port, database, or an option after the ?"
{% else %}
    PRIVILEGE = "let this process write to the file, and to its folder"
    PLACE = "correct the path of the file in DATABASE_URL"
{% endif %}
{% if cookiecutter.database == "postgresql" %}
    PGBOUNCER = "set DATABASE_PGBOUNCER=true: the URL is that of PgBouncer"
{% endif %}
    UNKNOWN = "see the message"


class Kind(Enum):
    """What a statement violates: the name, a status, and words for a client."""

    UNIQUE = "unique", 409, "is already taken"
    REFERENCE = "reference", 409, "refers to something that does not exist"
    REFERRED = "referred", 409, "is still referred to"
    EITHER = (
        "reference",
        409,
        "refers to something that does not exist, or is still referred to",
    )
    REQUIRED = "required", 422, "must not be null"
    CHECK = "check", 422, "is outside its bounds"
    RANGE = "range", 422, "does not fit its column"


@dataclass(frozen=True)
class Violation:
    """A constraint that a statement violated, and the columns that it is about."""

    kind: Kind
    columns: list[Column[Any]]
    is_certain: bool = True
    """Whether it is about all of them; otherwise it is about one or another."""

    @property
    def fields(self) -> list[str]:
        """Return by which names a request may have sent the values of the columns."""
        return list(dict.fromkeys(name for one in self.columns for name in names(one)))

    @property
    def type(self) -> str:
        """Return its name, for programs."""
        return self.kind.value[0]

    @property
    def status(self) -> int:
        """Return the HTTP status that tells it."""
        return self.kind.value[1]

    @property
    def message(self) -> str:
        """Return what is wrong with the fields, for people."""
        return self.kind.value[2]


class Dialect(ABC):
    """One kind of database server, through one driver."""

    drivername: ClassVar[str]
    """As in a URL."""

    example: ClassVar[str]
    """A URL, for messages."""

    has_server: ClassVar[bool] = True
    """Whether there is a server, or only a file."""

    after_failure: ClassVar[str] = "nothing was changed"
    """What is left of a migration, or several, of which a statement failed."""

    faults: ClassVar[Mapping[Code, Fault]]
    """By the server's error codes, or by the first two characters of one."""

    ended: ClassVar[frozenset[Code]] = frozenset()
    """Codes of a connection that was ended before COMMIT has reached the server."""

    traces: ClassVar[tuple[str, ...]] = ()
    """What changes a connection, though the statement begins as a plain one."""

    refusals: ClassVar[Set[Code]]
    """The server's codes for a write where it was told that there are none."""

    violations: ClassVar[Mapping[Code, Kind]]
    """By the server's error codes, or by the first two characters of one."""

    @abstractmethod
    def code(self, error: BaseException) -> Code:
        """Return the server's code in an exception of the driver."""

    @abstractmethod
    def subjects(self, error: BaseException) -> list[str]:
        """Return the constraint, index or columns that an exception names.

        The name of its table may come before each, with a dot.
        """

    def describe(self, error: BaseException) -> str:
        """Return what the driver said, on one line, without the values of rows."""
        return describe(error)

    def translate(self, url: URL) -> URL:
        """Return a URL with the driver's options, for one as providers write it.

        Raises:
            ValueError: It has an option that this driver does not know.
        """
        return url

    @abstractmethod
    def connect_args(self, settings: "Settings") -> dict[str, Any]:
        """Return what the driver's `connect` is to know beside the URL."""

    def engine_options(self, settings: "Settings") -> dict[str, Any]:
        """Return what `create_engine` is to know beside the URL."""
        return settings.database_options

    def leaves_no_trace(self, statement: str) -> bool:
        """Tell whether a connection is, after its transaction, as it was before."""
        text = re.sub(r"'[^'\n]*'", "''", statement).rstrip("; \n").lower()
        if PLAIN.match(text) is None or ";" in text:
            return False
        return not any(trace in text for trace in self.traces)

    def opened_read_only(self, connection: Any) -> bool:
        """Tell whether a new connection of the driver only reads, without asking."""
        del connection
        return False

    @abstractmethod
    def why_read_only(self, connection: Connection) -> str | None:
        """Return why nothing can be written, or None; the server may raise it, too."""

    def in_memory(self, url: URL) -> bool:
        """Tell whether the database lives in one connection, and ends with it."""
        del url
        return False

    def listen(self, engine: Engine) -> None:  # noqa: B027  (most need nothing)
        """Set up what each connection of `engine` needs."""

    @abstractmethod
    def refuse_writes(self, settings: "Settings") -> str:
        """Return the statement after which a connection only reads; empty: none."""

    @abstractmethod
    def creation(self, url: URL) -> tuple[URL, str]:
        """Return where to connect, and what to say, to create the database."""

    def find_gap(self, connection: Connection) -> str | None:
        """Return which characters the database cannot hold, and what helps, or None."""
        del connection
        return None

    @abstractmethod
    def lock_schema(self, connection: Connection, patience: float) -> None:
        """Let only this connection change the schema, and take the time it needs.

        The lock ends with the connection, which is to be closed instead of reused:
        a process that dies lets go, too.

        Raises:
            TimeoutError: Another one has held the lock for `patience` seconds.
        """

    @contextmanager
    def migration(self, connection: Connection) -> Iterator[None]:
        """Surround the transaction in which migrations are applied, or taken back."""
        del connection
        yield

    def diagnose(self, error: BaseException) -> Fault:
        """Tell why the database could not do its part."""
        cause = cause_of(error)
        code = self.code(cause)
        for key in (code, str(code)[:2]):  # the whole code, or its class
            if key in self.faults:
                return self.faults[key]
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return Fault.AWAY
        return Fault.AWAY if isinstance(cause, OSError) else Fault.UNKNOWN

    def violation(self, error: DBAPIError) -> Violation | None:
        """Tell which constraint a statement violated, if that is what happened."""
        cause = cause_of(error)
        code = self.code(cause)
        kind = self.violations.get(code) or self.violations.get(str(code)[:2])
        if kind is None:
            return None
        if kind is Kind.REFERENCE and self.is_referred(error):
            kind = Kind.REFERRED
        columns: list[Column[Any]] = []
        for subject in self.subjects(cause):
            columns += find_columns(subject, written_table(error), kind)
        return Violation(kind, columns)

    def is_referred(self, error: DBAPIError) -> bool:
        """Tell whether a foreign key is violated from the row that it refers to."""
        return (error.statement or "").lstrip()[:6].upper() == "DELETE"


def poll(attempt: Callable[[], Any], connection: Connection, patience: float) -> None:
    """Repeat `attempt` until it is true, without a transaction in between.

    Raises:
        TimeoutError: It was not, for `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while not attempt():
        connection.rollback()
        if time.monotonic() > deadline:
            raise TimeoutError("another process is still changing the schema")
        time.sleep(0.1)


def cause_of(error: BaseException) -> BaseException:
    """Return the driver's own exception."""
    if not isinstance(error, DBAPIError):
        return error
    try:
        return error.driver_exception
    except ValueError:  # it is SQLAlchemy's own
        return error.orig or error


def describe(error: BaseException, lines: int | None = None) -> str:
    """Return what the driver said, or its first lines, on one line."""
    cause = cause_of(error)
    if isinstance(cause, TimeoutError) and not str(cause):
        return "the server does not answer"
    words = " ".join(str(cause).splitlines()[:lines])
    return re.sub(r"\s+", " ", words).strip() or type(cause).__name__


def written_table(error: DBAPIError) -> Table | None:
    """Return the table that a statement writes to."""
    written = re.search(
        r"\b(?:INTO|UPDATE|FROM)\s+(?:\S+\.)?[\"`]?(\w+)",
        error.statement or "",
        re.IGNORECASE,
    )
    tables = Base.metadata.tables.values()
    found = (table for table in tables if written and table.name == written[1])
    return next(found, None)


def find_columns(subject: str, written: Table | None, kind: Kind) -> list[Column[Any]]:
    """Return the columns of a constraint, of an index, or of that name.

    A table may come before the name. Names are looked for in the table that the
    statement has written to, and only then in all others.
    """
    place, _, name = subject.rpartition(".")
    tables = [] if written is None else [written]
    for table in (*tables, *Base.metadata.tables.values()):
        if place and table.name != place and written is not table:
            continue
        parts: list[Any] = [*table.constraints, *table.indexes]
        for column in table.columns:
            parts += column.constraints  # written inside of it
        for part in parts:
            if part.name != name:
                continue
            if isinstance(part, ForeignKeyConstraint) and kind is Kind.REFERRED:
                return [element.column for element in part.elements]
            return columns_of(part, table)
        if name == "PRIMARY":
            return list(table.primary_key.columns)
        if name in table.columns:
            return [table.columns[name]]
    return []


def columns_of(part: Any, table: Table) -> list[Column[Any]]:
    """Return the columns of a constraint or index; of SQL, those that it mentions."""
    if isinstance(part, ColumnCollectionConstraint | Index) and part.columns:
        return list(part.columns)
    expressions = part.expressions if isinstance(part, Index) else [part.sqltext]
    words = re.findall(r"\w+", " ".join(str(one) for one in expressions))
    return [column for column in table.columns if column.name in words]


def names(column: Column[Any]) -> list[str]:
    """Return what a request may call a column: as its attribute; a key, `user_id`."""
    found = []
    for mapper in Base.registry.mappers:
        for attribute, one in mapper.columns.items():
            if one is column:
                found.append(attribute)
                if column.primary_key:
                    found.append(f"{snake_case(mapper.class_.__name__)}_{attribute}")
    return [*found, column.name]


def snake_case(name: str) -> str:
    """Write the name of a class as that of a variable."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
