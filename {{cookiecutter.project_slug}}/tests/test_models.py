"""What every model keeps to."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, ClassVar, Literal

import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import DateTime, ForeignKey, Integer, String, literal
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import (
    Mapped,
    backref,
    column_property,
    composite,
    configure_mappers,
    mapped_column,
    query_expression,
    registry,
    relationship,
)

from app.models.base import Base, Timestamp
from app.models.user import User
from app.schemas.types import Moment

Loading = Literal[
    "select",
    "selectin",
    "joined",
    "dynamic",
    "raise",
    "raise_on_sql",
    "write_only",
]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[registry]:
    """Return a registry of models that no other test sees."""
    models = registry()
    monkeypatch.setattr(Base, "registry", models)
    yield models
    models.dispose()


def configure(models: registry, lazy: Loading, back: Loading | None = None) -> None:
    """Set up a shelf with books, which are loaded in some way, and perhaps know it."""

    @models.mapped
    class Book:
        __tablename__ = "books"
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))

    @models.mapped
    class Shelf:
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        books: Mapped[list["Book"]] = relationship(
            lazy=lazy,
            passive_deletes="all",
            backref=backref("shelf", lazy=back) if back else None,
        )

    configure_mappers()


@pytest.mark.parametrize("lazy", ["select", "selectin", "joined", "dynamic"])
def test_lazy_loading_is_refused(models: registry, lazy: Loading) -> None:
    """A relationship that loads when it is read is an error, before any request.

    That of a new row has loaded nothing, whatever its query would have done.
    """
    with pytest.raises(ArgumentError, match=r"Shelf\.books would load lazily: write"):
        configure(models, lazy)


def test_lazy_backref_is_refused(models: registry) -> None:
    """The other side of a relationship is one, too."""
    with pytest.raises(ArgumentError, match=r"Book\.shelf would load lazily: write"):
        configure(models, "raise", back="select")


@pytest.mark.parametrize("lazy", ["raise", "raise_on_sql", "write_only"])
def test_other_loading_is_not(models: registry, lazy: Loading) -> None:
    """A relationship that refuses to load by itself is none."""
    configure(models, lazy, back="raise")


@pytest.mark.parametrize(
    ("column", "refused"),
    [
        (mapped_column(String, deferred=True), True),
        (mapped_column(String, deferred=True, deferred_raiseload=True), False),
        (column_property(literal(1) + 1), True),
        (query_expression(), False),
    ],
)
def test_lazy_columns(models: registry, column: Any, *, refused: bool) -> None:
    """A column that loads when it is read is an error, too."""

    @models.mapped
    class Text:
        __tablename__ = "texts"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[Any] = column

    error = pytest.raises(ArgumentError, match=r"Text\.body would load lazily: write")
    with error if refused else nullcontext():
        configure_mappers()


@pytest.mark.parametrize("load", [None, "selectin", "inline"])
def test_lazy_inheritance(models: registry, load: str | None) -> None:
    """Columns that a query for the parent does not load are an error, too."""

    @models.mapped
    class Animal:
        __tablename__ = "animals"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__: ClassVar = {"polymorphic_on": "kind"}

    @models.mapped
    class Dog(Animal):
        breed: Mapped[str | None]
        __mapper_args__: ClassVar[dict[str, Any]] = {
            "polymorphic_identity": "dog",
            "polymorphic_load": load,
        }

    error = pytest.raises(ArgumentError, match=r"Dog.* would load lazily: write __mapp")
    with error if load is None else nullcontext():
        configure_mappers()


def test_deletes_that_cannot_be(models: registry) -> None:
    """A row whose deletion would empty keys that must be set is an error."""

    @models.mapped
    class Book:
        __tablename__ = "books"
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))

    @models.mapped
    class Shelf:
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        books: Mapped[list["Book"]] = relationship(lazy="raise")

    with pytest.raises(ArgumentError, match=r"Shelf\.books would empty a key"):
        configure_mappers()


def test_moment() -> None:
    """A moment is stored in UTC, whichever zone it is given in."""
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    stored = Timestamp().process_bind_param(moment, DefaultDialect())
    assert stored == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert stored.tzinfo is UTC


FAR_EAST = timezone(timedelta(hours=14))


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 1),  # noqa: DTZ001
        datetime.min.replace(tzinfo=FAR_EAST),
        date(2026, 1, 1),
        "2026-01-01 00:00:00+00:00",
    ],
)
def test_no_moment(value: Any) -> None:
    """What is none is refused: Python would ask this machine for its time zone."""
    with pytest.raises(ValueError, match="a Timestamp "):
        Timestamp().process_bind_param(value, DefaultDialect())


def test_moment_of_a_request() -> None:
    """A schema accepts the moments that a column can hold."""
    moments: TypeAdapter[datetime] = TypeAdapter(Moment)
    assert moments.validate_python("2026-01-01T01:00:00+01:00").tzinfo is UTC
    for value in ("0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00"):
        with pytest.raises(ValidationError):
            moments.validate_python(value)


def test_moments_are_timestamps() -> None:
    """A `datetime` in a model is one, without saying so."""
    assert isinstance(User.__table__.columns.created_at.type, Timestamp)


@pytest.mark.parametrize("kind", [DateTime(timezone=True), DATETIME(fsp=6)])
def test_other_moments_are_refused(models: registry, kind: DateTime) -> None:
    """A column that drops the time zone, on some databases, is an error."""

    @models.mapped
    class Event:
        __tablename__ = "events"
        id: Mapped[int] = mapped_column(primary_key=True)
        at: Mapped[datetime] = mapped_column(kind)

    with pytest.raises(ArgumentError, match=r"events\.at would take a time"):
        configure_mappers()


@dataclass
class Point:
    """Two columns as one value, which can be changed in place."""

    x: int
    y: int


@dataclass(frozen=True)
class FrozenPoint:
    """Two columns as one value, which cannot."""

    x: int
    y: int


def configure_composite(models: registry, kind: type[Any]) -> None:
    """Set up a model with a value of two columns."""

    @models.mapped
    class Place:
        __tablename__ = "places"
        id: Mapped[int] = mapped_column(primary_key=True)
        point: Mapped[Any] = composite(
            kind,
            mapped_column("x", Integer),
            mapped_column("y", Integer),
        )

    configure_mappers()


def test_frozen_composite(models: registry) -> None:
    """A value of several columns may be one that cannot be changed in place."""
    configure_composite(models, FrozenPoint)


def test_composite_that_can_change_is_refused(models: registry) -> None:
    """Any other is an error: nobody would notice the change."""
    with pytest.raises(ArgumentError, match=r"Place\.point would not notice a change"):
        configure_composite(models, Point)
