"""What every model keeps to."""

from collections.abc import Iterator
from typing import Literal

import pytest
from sqlalchemy import ForeignKey
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import (
    Mapped,
    backref,
    configure_mappers,
    mapped_column,
    registry,
    relationship,
)

from app.models.base import Base

Loading = Literal["select", "raise", "selectin", "dynamic", "write_only"]


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
            backref=backref("shelf", lazy=back) if back else None,
        )

    configure_mappers()


@pytest.mark.parametrize("lazy", ["select", "dynamic"])
def test_lazy_loading_is_refused(models: registry, lazy: Loading) -> None:
    """A relationship that loads when it is read is an error, before any request."""
    with pytest.raises(ArgumentError, match=r"Shelf\.books would load lazily: write"):
        configure(models, lazy)


def test_lazy_backref_is_refused(models: registry) -> None:
    """The other side of a relationship is one, too."""
    with pytest.raises(ArgumentError, match=r"Book\.shelf would load lazily: write"):
        configure(models, "raise", back="select")


@pytest.mark.parametrize("lazy", ["raise", "selectin", "write_only"])
def test_other_loading_is_not(models: registry, lazy: Loading) -> None:
    """A relationship that loads with its query, or refuses to load, is none."""
    configure(models, lazy, back="raise")
