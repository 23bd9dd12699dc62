"""What a model must not do: it is an error at import, and not one in production."""

from collections.abc import Hashable, Iterator
from typing import Any

from sqlalchemy import Column, DateTime, event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.mutable import MutableComposite
from sqlalchemy.orm import (
    MappedSQLExpression,
    Mapper,
    RelationshipDirection,
    RelationshipProperty,
)

from app.models.base import Base


def lazy_parts(mapper: Mapper[Any]) -> Iterator[tuple[object, str]]:
    """Yield what of a model would load when it is merely read, and what to write."""
    where = "in queries that need it, with options"
    for relationship in mapper.relationships:
        if relationship.lazy not in {"raise", "raise_on_sql", "write_only"}:
            what = "relationship(lazy='raise'), and name it"
            yield relationship, f"{what} {where}(selectinload(...))"
    for attribute in mapper.column_attrs:
        computed = isinstance(attribute, MappedSQLExpression)
        if computed and "query_expression" not in dict(attribute.strategy_key):
            what = "query_expression(), and compute it"
            yield attribute, f"{what} {where}(with_expression(...))"
        elif attribute.deferred and not attribute.raiseload:
            what = "mapped_column(deferred_raiseload=True), and name it"
            yield attribute, f"{what} {where}(undefer(...))"
    inherited = mapper.inherits.columns if mapper.inherits else mapper.columns
    found_by_kind = mapper.polymorphic_on is not None and not mapper.polymorphic_load
    if found_by_kind and len(mapper.columns) > len(inherited):
        yield mapper, "__mapper_args__ = {'polymorphic_load': 'selectin', ...}"


@event.listens_for(Mapper, "after_configured")
def refuse_lazy_loading() -> None:
    """Find at import what would else be found in production: a query nobody wrote.

    A row that was just created has loaded nothing, so that `lazy="selectin"` and the
    like, too, would load when they are read.

    Raises:
        ArgumentError: Something would load when an attribute is merely read.
    """
    for mapper in Base.registry.mappers:
        for part, advice in lazy_parts(mapper):
            raise ArgumentError(f"{part} would load lazily: write {advice}")


def empties_keys(relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether to delete a row would empty keys that refer to it, and cannot be."""
    return (
        relationship.direction is RelationshipDirection.ONETOMANY
        and not relationship.viewonly
        and not relationship.cascade.delete
        and relationship.passive_deletes != "all"
        and any(
            column.foreign_keys and not column.nullable
            for column in relationship.remote_side
            if isinstance(column, Column)
        )
    )


@event.listens_for(Mapper, "after_configured")
def refuse_silent_loss() -> None:
    """Find at import what would be stored, or said, otherwise than it is meant.

    Raises:
        ArgumentError: A column drops time zones, a value may change in place, or rows
            would lose the key that they must have.
    """
    for table in Base.registry.metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, DateTime):
                raise ArgumentError(
                    f"{column} would take a time without its zone: write "
                    "Mapped[datetime] = mapped_column(), which is a Timestamp"
                )
    for mapper in Base.registry.mappers:
        for composite in mapper.composites:
            kind: Any = composite.composite_class
            if not issubclass(kind, (Hashable, MutableComposite)):
                raise ArgumentError(
                    f"{composite} would not notice a change in place: write "
                    f"@dataclass(frozen=True) above class {kind.__name__}"
                )
        for relationship in mapper.relationships:
            if empties_keys(relationship):
                raise ArgumentError(
                    f"{relationship} would empty a key that must not be null, when "
                    "its row is deleted: write relationship(passive_deletes='all'), "
                    "which leaves it to the ForeignKey's ondelete"
                )
