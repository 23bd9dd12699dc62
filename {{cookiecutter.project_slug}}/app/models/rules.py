"""What a model must not do: it is an error at import, and not one in production."""

from collections import Counter
from collections.abc import Hashable, Iterator
from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, Time, event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.mutable import MutableComposite
from sqlalchemy.orm import (
    MappedSQLExpression,
    Mapper,
    RelationshipDirection,
    RelationshipProperty,
)

from app.models.base import Base


def lazy_parts(mapper: Mapper[Any]) -> Iterator[str]:
    """Yield what of a model would load when it is merely read: a query nobody wrote.

    A row that was just created has loaded nothing, so that `lazy="selectin"` and the
    like, too, would load when they are read.
    """
    lazy, where = "would load lazily: write", "in queries that need it, with options"
    for relationship in mapper.relationships:
        if relationship.lazy not in {"raise", "raise_on_sql", "write_only"}:
            what = "relationship(lazy='raise'), and name it"
            yield f"{relationship} {lazy} {what} {where}(selectinload(...))"
    for attribute in mapper.column_attrs:
        computed = isinstance(attribute, MappedSQLExpression)
        if computed and "query_expression" not in dict(attribute.strategy_key):
            what = "query_expression(), and compute it"
            yield f"{attribute} {lazy} {what} {where}(with_expression(...))"
        elif attribute.deferred and not attribute.raiseload:
            what = "mapped_column(deferred_raiseload=True), and name it"
            yield f"{attribute} {lazy} {what} {where}(undefer(...))"
    inherited = mapper.inherits.columns if mapper.inherits else mapper.columns
    found_by_kind = mapper.polymorphic_on is not None and not mapper.polymorphic_load
    if found_by_kind and len(mapper.columns) > len(inherited):
        what = "__mapper_args__ = {'polymorphic_load': 'selectin', ...}"
        yield f"{mapper} {lazy} {what}"


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


def is_parent_of_its_kind(relationship: RelationshipProperty[Any]) -> bool:
    """Tell whether rows refer to one of their own table: a tree.

    When several of them are deleted, SQLAlchemy looks at the parent of each.
    """
    return (
        relationship.direction is RelationshipDirection.MANYTOONE
        and not relationship.viewonly
        and relationship.mapper.base_mapper is relationship.parent.base_mapper
    )


def lossy_parts(mapper: Mapper[Any]) -> Iterator[str]:
    """Yield what would be stored, or said, otherwise than it is meant."""
    for composite in mapper.composites:
        kind: Any = composite.composite_class
        if not issubclass(kind, (Hashable, MutableComposite)):
            what = f"@dataclass(frozen=True) above class {kind.__name__}"
            yield f"{composite} would not notice a change in place: write {what}"
    for relationship in mapper.relationships:
        if empties_keys(relationship):
            what = "relationship(passive_deletes='all'), for the ForeignKey's ondelete"
            yield f"{relationship} would empty a key that must be set: write {what}"
        if is_parent_of_its_kind(relationship) and relationship.lazy == "raise":
            what = "relationship(lazy='raise_on_sql')"
            yield f"{relationship} would keep rows from being deleted: write {what}"


def zoneless_columns() -> Iterator[str]:
    """Yield the columns, of tables without a model, too, that drop time zones."""
    for table in Base.registry.metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, DateTime):
                what = "Mapped[datetime] = mapped_column(), which is a Timestamp"
                yield f"{column} would take a time without its zone: write {what}"
            if isinstance(column.type, Time) and column.type.timezone:
                what = "Mapped[datetime], or Mapped[time] without a zone"
                yield f"{column} would lose its zone, but on PostgreSQL: write {what}"


def twin_checks() -> Iterator[str]:
    """Yield the tables in which two checks have one name, as two columns of an enum."""
    for table in Base.registry.metadata.tables.values():
        checks = [one for one in table.constraints if isinstance(one, CheckConstraint)]
        names = [str(one.name) for one in checks if one.name]
        for name, number in Counter(names).items():
            if number > 1:
                what = "mapped_column(Enum(..., name=...)), another one for each column"
                yield f"{table} has {number} checks named {name}: write {what}"


@event.listens_for(Mapper, "after_configured")
def refuse_faulty_models() -> None:
    """Find at import what would else be found in production, if at all.

    Raises:
        ArgumentError: Something would load when an attribute is merely read, or
            would be lost without a word.
    """
    mappers = Base.registry.mappers
    parts = [part for one in mappers for part in (*lazy_parts(one), *lossy_parts(one))]
    for part in (*zoneless_columns(), *twin_checks(), *parts):
        raise ArgumentError(part)
