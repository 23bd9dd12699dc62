"""Changes in place: the value of a column may be a dict, a list or a set.

SQLAlchemy stores what is assigned, and does not see `row.meta["a"] = 2`: a client
would be answered what is not stored. So a row remembers what such columns held, and
its session compares when it flushes and when it commits.
"""

import pickle
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import ClauseElement, TypeDecorator, event, inspect
from sqlalchemy.orm import (
    Mapper,
    Session,
    SessionTransaction,
    object_mapper,
    object_session,
)
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.types import TypeEngine

SEEN = "what columns held"
"""Where a row keeps it, and a session the rows that have it."""

FIXED = {bool, bytes, date, datetime, Decimal, float, int, str, time, timedelta, UUID}
"""Kinds of values that nobody can change."""

UNPICKLABLE = (AttributeError, TypeError, pickle.PicklingError)

UNCHANGED = TypeDecorator.process_bind_param
"""What a type has that gives the database the value itself."""


def may_change(kind: TypeEngine[Any]) -> bool:
    """Tell whether values of a column's type can be changed in place."""
    # `object` is what those say that leave it open: JSON, pickles, types of a team.
    python = kind.python_type
    is_fixed = python in FIXED or issubclass(python, Enum)
    return not is_fixed or kind.__visit_name__ == "SET"


def as_bytes(value: Any) -> bytes:
    """Return what to compare: unlike `==`, it tells 1 from True."""
    for kind in (dict, list, set):
        if isinstance(value, kind):  # a MutableDict, say, which was a dict when read
            value = kind(value)
    try:
        return pickle.dumps(value)
    except UNPICKLABLE:  # a MappingProxyType, say, which is there to forbid changes
        return b""


def look_at(row: object, name: str, session: Session) -> list[bytes]:
    """Return a value as it is, and as its type would store it: nothing, if SQL does.

    It has changed if both have. To read a value may change it, when it keeps what it
    computes; to store it differs each time, when it is encrypted.
    """
    value = vars(row).get(name)
    if value is None or isinstance(value, ClauseElement):
        return []
    mapper = object_mapper(row)
    kind: Any = mapper.columns[name].type
    own = getattr(type(kind), "process_bind_param", UNCHANGED)
    if own is UNCHANGED:
        return [as_bytes(value)]
    dialect = session.get_bind(mapper).dialect
    return [as_bytes(value), as_bytes(own(kind, value, dialect))]


def track_changes(mapper: Mapper[Any], model: type[Any]) -> None:
    """Remember what the rows of a model hold, when they are read and written."""
    columns = [one for one in mapper.column_attrs if may_change(one.columns[0].type)]
    names = {column.key for column in columns}

    def remember(row: object, which: Collection[str]) -> None:
        session = object_session(row)
        if session is not None:
            held = inspect(row).info.setdefault(SEEN, {})
            held.update({name: look_at(row, name, session) for name in which})
            keep(session, row)

    def on_read(row: object, _: object, read: Collection[str] | None = None) -> None:
        remember(row, names if read is None else names.intersection(read))

    def on_insert(_: object, __: object, row: object) -> None:
        remember(row, names)

    def on_update(_: object, __: object, row: object) -> None:
        # A listener of a team's may have changed what was not sent.
        states = inspect(row).attrs
        remember(row, {name for name in names if states[name].history.has_changes()})

    if names:
        for occasion in ("load", "refresh", "refresh_flush"):
            event.listen(model, occasion, on_read)
        event.listen(model, "after_insert", on_insert)
        event.listen(model, "after_update", on_update)


def find_changes(session: Session) -> Iterator[tuple[object, str]]:
    """Yield rows, and of each what differs from when it was read or written."""
    for row in tuple(session.info.get(SEEN, {}).values()):
        for name, value in inspect(row).info[SEEN].items():
            seen = look_at(row, name, session)
            pairs = zip(seen, value, strict=False)
            if seen and all(now != then for now, then in pairs):
                yield row, name


class TrackingSession(Session):
    """A session that sees what has changed in place, whenever it looks for changes."""

    @property
    def dirty(self) -> Any:
        note_changes(self)
        return super().dirty

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        note_changes(self)
        super().flush(objects)
        note_changes(self)  # what listeners have changed: COMMIT flushes once more

    def expunge(self, instance: object) -> None:
        super().expunge(instance)
        self.info.get(SEEN, {}).pop(id(instance), None)

    def expunge_all(self) -> None:
        super().expunge_all()
        self.info.pop(SEEN, None)


@event.listens_for(TrackingSession, "after_attach")
def keep(session: Session, row: object) -> None:
    """Hold a row, which nobody else may, as long as it might change."""
    if SEEN in inspect(row).info:
        session.info.setdefault(SEEN, {})[id(row)] = row


@event.listens_for(TrackingSession, "before_commit")
def note_changes(session: Session) -> None:
    """Let changes in place be stored."""
    for row, name in find_changes(session):
        flag_modified(row, name)


@event.listens_for(TrackingSession, "after_soft_rollback")
def undo_changes(session: Session, transaction: SessionTransaction) -> None:
    """Forget, with a savepoint, what has changed since: its begin stores the rest."""
    if transaction.nested:
        for row, name in find_changes(session):
            if row in session:
                session.expire(row, [name])
