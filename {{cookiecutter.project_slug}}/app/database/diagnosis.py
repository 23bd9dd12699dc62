"""Why a statement failed: whose fault it is, and which columns it is about."""

import re
from typing import Any

from sqlalchemy import Column, ForeignKeyConstraint, Index, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import ColumnCollectionConstraint

from app.database import dialect, errors
from app.database.errors import Fault, Kind, Violation, cause_of
from app.models.base import Base


def diagnose(error: BaseException) -> Fault:
    """Tell why the database could not do its part."""
    if isinstance(error, errors.BROKEN):
        return errors.AWAY
    cause = cause_of(error)
    code = dialect.code(cause)
    for key in (code, str(code)[:2]):  # the whole code, or its class
        if key in dialect.FAULTS:
            return dialect.FAULTS[key]
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return errors.AWAY
    return errors.AWAY if isinstance(cause, OSError) else errors.UNKNOWN


def find_violation(error: DBAPIError) -> Violation | None:
    """Tell which constraint a statement violated, if that is what happened."""
    cause = cause_of(error)
    code = dialect.code(cause)
    kind = dialect.VIOLATIONS.get(code)
    if kind is None:
        return None
    if kind is errors.REFERENCE and is_referred(error):
        kind = errors.REFERRED
    table = find_table(error.statement)
{% if cookiecutter.database == "sqlite" %}
    if kind in {errors.REFERENCE, errors.REFERRED}:
        return guess_reference(kind, table)
{% endif %}
    columns: list[Column[Any]] = []
    for subject in dialect.subjects(cause):
        columns += find_columns(subject, table, kind)
    return Violation(kind, columns)


def is_referred(error: DBAPIError) -> bool:
    """Tell whether a foreign key is violated from the row that it refers to."""
{% if cookiecutter.database == "postgresql" %}
    # At COMMIT there is no statement; a server may speak another language.
    if "update or delete on table" in str(error.orig):
        return True
{% endif %}
    return (error.statement or "").lstrip()[:6].upper() == "DELETE"


{% if cookiecutter.database == "sqlite" %}
def guess_reference(kind: Kind, table: Table | None) -> Violation:
    """Name a foreign key, of which SQLite says neither the name nor the side."""
    if table is None:  # at COMMIT
        return Violation(errors.EITHER, [])
    keys = [column for column in table.columns if column.foreign_keys]
    if kind is errors.REFERRED or not keys:
        return Violation(errors.REFERRED, list(table.primary_key.columns))
    return Violation(errors.REFERENCE, keys, is_certain=False)


{% endif %}
def find_table(statement: str | None) -> Table | None:
    """Return the table that a statement writes to."""
    written = re.search(
        r"\b(?:INTO|UPDATE|FROM)\s+(?:\S+\.)?[\"`]?(\w+)",
        statement or "",
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
            if isinstance(part, ForeignKeyConstraint) and kind is errors.REFERRED:
                return [element.column for element in part.elements]
            return columns_of(part, table)
{% if cookiecutter.database == "mysql" %}
        if name == "PRIMARY":
            return list(table.primary_key.columns)
{% endif %}
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


def field_names(columns: list[Column[Any]]) -> list[str]:
    """Return what a request may call columns: as attributes; a key, `user_id`, too."""
    found = []
    for column in columns:
        for mapper in Base.registry.mappers:
            for attribute, one in mapper.columns.items():
                if one is column:
                    found.append(attribute)
                    if column.primary_key:
                        model = mapper.class_.__name__
                        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model).lower()
                        found.append(f"{words}_{attribute}")
        found.append(column.name)
    return list(dict.fromkeys(found))
