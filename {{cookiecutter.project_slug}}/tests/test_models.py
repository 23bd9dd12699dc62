"""What every model keeps to."""

from collections.abc import Iterator
from typing import Literal

import pytest
from sqlalchemy import ForeignKey
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import (
    Mapped,
    configure_mappers,
    mapped_column,
    registry,
    relationship,
)

Loading = Literal["select", "raise", "selectin"]


@pytest.fixture
def models() -> Iterator[registry]:
    """Return a registry of models that no other test sees."""
    models = registry()
    yield models
    models.dispose()


def configure(models: registry, lazy: Loading) -> None:
    """Set up a shelf with books, which are loaded in some way."""

    @models.mapped
    class Shelf:
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        books: Mapped[list["Book"]] = relationship(lazy=lazy)

    @models.mapped
    class Book:
        __tablename__ = "books"
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))

    configure_mappers()


def test_lazy_loading_is_refused(models: registry) -> None:
    """A relationship that loads when it is read is an error, before any request."""
    with pytest.raises(ArgumentError, match=r"Shelf\.books would load lazily: write"):
        configure(models, "select")


@pytest.mark.parametrize("lazy", ["raise", "selectin"])
def test_other_loading_is_not(models: registry, lazy: Loading) -> None:
    """A relationship that loads with its query, or refuses to load, is none."""
    configure(models, lazy)
