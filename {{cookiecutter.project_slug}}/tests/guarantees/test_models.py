"""What every model keeps to: an error at import, instead of one in production."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import DateTime, ForeignKey
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import (
    Mapped,
    configure_mappers,
    mapped_column,
    registry,
    relationship,
)

from app.models.base import Base, Timestamp


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[registry]:
    """Return a registry of models that no other test sees."""
    models = registry()
    monkeypatch.setattr(Base, "registry", models)
    yield models
    models.dispose()


def configure(models: registry, **options: Any) -> None:
    """Set up a shelf with books, which are loaded and deleted in some way."""

    @models.mapped
    class Book:
        __tablename__ = "books"
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))

    @models.mapped
    class Shelf:
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        books: Mapped[list["Book"]] = relationship(**options)

    configure_mappers()


@pytest.mark.parametrize("lazy", ["select", "selectin", "joined"])
def test_lazy_loading_is_refused(models: registry, lazy: str) -> None:
    """A relationship that loads when it is read is an error."""
    with pytest.raises(ArgumentError, match=r"Shelf\.books would load lazily: write"):
        configure(models, lazy=lazy, passive_deletes="all")


def test_deletes_that_cannot_be(models: registry) -> None:
    """A row whose deletion would empty keys that must be set is an error."""
    with pytest.raises(ArgumentError, match=r"Shelf\.books would empty a key"):
        configure(models, lazy="raise")


def test_other_relations(models: registry) -> None:
    """One that loads nothing by itself, and leaves the keys alone, is none."""
    configure(models, lazy="raise", passive_deletes="all")


def test_times_without_a_zone(models: registry) -> None:
    """A column that drops the time zone, on some databases, is an error."""

    @models.mapped
    class Event:
        __tablename__ = "events"
        id: Mapped[int] = mapped_column(primary_key=True)
        at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    with pytest.raises(ArgumentError, match=r"events\.at would take a time"):
        configure_mappers()


def test_moment() -> None:
    """A moment is stored in UTC, whichever zone it is given in; all else is refused."""
    dialect = DefaultDialect()
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    stored = Timestamp().process_bind_param(moment, dialect)
    assert stored == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert stored.tzinfo is UTC
    others: list[Any] = [datetime(2026, 1, 1), date(2026, 1, 1), "2026"]  # noqa: DTZ001
    for value in others:
        with pytest.raises(ValueError, match="a Timestamp "):
            Timestamp().process_bind_param(value, dialect)
