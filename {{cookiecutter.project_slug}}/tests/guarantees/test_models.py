"""What every model keeps to: an error at import, instead of one in production."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import DateTime, ForeignKey
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Mapped, configure_mappers, mapped_column, registry
from sqlalchemy.orm import relationship as relation

from app.models.base import Base, Timestamp


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"lazy": "select", "passive_deletes": "all"}, None, "would load lazily"),
        ({"lazy": "selectin", "passive_deletes": "all"}, None, "would load lazily"),
        ({"lazy": "raise"}, None, "would empty a key"),
        ({"lazy": "raise", "passive_deletes": "all"}, DateTime(), "would take a time"),
        ({"lazy": "raise", "passive_deletes": "all"}, None, None),
    ],
)
def test_models(
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    kind: DateTime | None,
    words: str | None,
) -> None:
    """What loads when it is read, loses rows' keys or time zones, is refused."""
    models = registry(type_annotation_map=Base.type_annotation_map)
    monkeypatch.setattr(Base, "registry", models)

    @models.mapped
    class Book:
        __tablename__ = "books"
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
        read_at: Mapped[datetime] = mapped_column(kind)

    @models.mapped
    class Shelf:
        __tablename__ = "shelves"
        id: Mapped[int] = mapped_column(primary_key=True)
        books: Mapped[list["Book"]] = relation(**options)

    if words is None:
        configure_mappers()
    else:
        with pytest.raises(ArgumentError, match=words):
            configure_mappers()
    models.dispose()


def test_moment() -> None:
    """A moment is stored in UTC, whichever zone it is given in; all else is refused."""
    dialect = DefaultDialect()
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    stored = Timestamp().process_bind_param(moment, dialect)
    assert stored == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert stored.tzinfo is UTC
    others: list[Any] = [datetime(2026, 1, 1), moment.date(), "2026"]  # noqa: DTZ001
    for value in others:
        with pytest.raises(ValueError, match="a Timestamp "):
            Timestamp().process_bind_param(value, dialect)
