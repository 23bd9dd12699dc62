"""What every model keeps to: an error at import, instead of one in production."""

import subprocess
import sys
from dataclasses import make_dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    String,
    Time,
    literal,
)
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import (
    Mapped,
    column_property,
    composite,
    configure_mappers,
    mapped_column,
    query_expression,
    registry,
)
from sqlalchemy.orm import relationship as relation
from sqlalchemy.schema import CreateTable

from app.models.base import Base, Timestamp
from tests.guarantees.own import TABLES

RIGHT: dict[str, Any] = {"lazy": "raise", "passive_deletes": "all"}


def point(*, frozen: bool) -> Any:
    """Return a value of two columns, which can be changed in place, or cannot."""
    kind = make_dataclass("Point", [("x", int), ("y", int)], frozen=frozen)
    return composite(kind, mapped_column("x", Integer), mapped_column("y", Integer))


@pytest.mark.parametrize(
    ("options", "parts", "words"),
    [
        ({"body": mapped_column(String, deferred=True)}, [], "would load lazily"),
        ({"body": column_property(literal(1) + 1)}, [], "would load lazily"),
        ({"body": point(frozen=False)}, [], "would not notice a change"),
        ({"body": point(frozen=True)}, [], None),
        ({"parent": "raise"}, [], "would keep rows from being"),
        ({"lazy": "select"}, [], "would load lazily"),
        ({"lazy": "selectin"}, [], "would load lazily"),
        ({"passive_deletes": False}, [], "would empty a key"),
        ({}, [Column("at", DateTime())], "would take a time without its zone"),
        ({}, [Column("at", Time(timezone=True))], "would lose its zone"),
        ({}, [CheckConstraint(f"id > {n}", "id") for n in range(2)], "2 checks named"),
        ({}, [], None),
    ],
)
def test_models(
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    parts: list[Any],
    words: str | None,
) -> None:
    """What loads when it is read, loses rows' keys or time zones, is refused."""
    models = registry(type_annotation_map=Base.type_annotation_map)
    monkeypatch.setattr(Base, "registry", models)
    options = RIGHT | options
    content = options.pop("body", None) or query_expression()
    loads = options.pop("parent", "raise_on_sql")

    @models.mapped
    class Book:
        __tablename__ = "books"
        __table_args__ = tuple(parts)
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
        read_at: Mapped[datetime]
        body: Mapped[Any] = content

    @models.mapped
    class Shelf:
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        parent_id: Mapped[int | None] = mapped_column(ForeignKey("shelves.id"))
        parent: Mapped["Shelf"] = relation(lazy=loads, remote_side="Shelf.id")
        books: Mapped[list["Book"]] = relation(**options)

    if words is None:
        configure_mappers()
    else:
        with pytest.raises(ArgumentError, match=words):
            configure_mappers()
    models.dispose()


def test_all_are_found() -> None:
    """Who imports one has them all, as `alembic` does, which knows no route."""
    code = "from app.models.base import Base; print(*Base.metadata.tables)"
    command = [sys.executable, "-c", code]
    found = subprocess.check_output(command, text=True)  # noqa: S603  (ours)
    assert set(found.split()) == Base.metadata.tables.keys()


def test_moment() -> None:
    """A moment is stored in UTC, whichever zone it is given in; all else is refused."""
    dialect = DefaultDialect()
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    stored = Timestamp().process_bind_param(moment, dialect)
    assert stored == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert stored.tzinfo is UTC
    others: list[Any] = [datetime(2026, 1, 1), moment.date(), "2026"]  # noqa: DTZ001
    others.append(moment.replace(year=1))  # in UTC, it would be in the year 0
    for value in others:
        with pytest.raises(ValueError, match="a Timestamp "):
            Timestamp().process_bind_param(value, dialect)


class Color(StrEnum):
    """A choice."""

    RED = "red"


def test_constraints() -> None:
    """They have names, for migrations; an enum is text with a check of its values."""
    names = {part.name for table in TABLES.sorted_tables for part in table.constraints}
    keys = {"pk_own_books", "pk_own_shelves", "fk_own_books_shelf_id_own_shelves"}
    assert names == {"uq_own_shelves_name", "ck_own_books_pages", *keys}
    models = registry(type_annotation_map=Base.type_annotation_map)

    @models.mapped
    class Lamp:
        __tablename__ = "lamps"
        id: Mapped[int] = mapped_column(primary_key=True)
        color: Mapped[Color] = mapped_column(index=True)

    create = CreateTable(models.metadata.tables["lamps"])
    # It has enums of its own.
    dialect = PGDialect()  # type: ignore[no-untyped-call]
    ddl = str(create.compile(dialect=dialect))
    assert "color VARCHAR(3)" in ddl
    assert "CHECK (color IN ('red'))" in ddl
    models.dispose()
