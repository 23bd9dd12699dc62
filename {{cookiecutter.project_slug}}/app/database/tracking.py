"""Changes in place: the value of a column may be a dict, a list or a set.

SQLAlchemy stores what is assigned, and does not see `row.meta["a"] = 2`: a client
would be answered what is not stored. So a session remembers what such columns held,
and compares when it flushes and when it commits.
"""

import pickle
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ClauseElement, TypeDecorator, event
from sqlalchemy.orm import Mapper, Session, object_mapper, object_session
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.types import TypeEngine

SEEN = "what columns held"
"""Where a session keeps it: rows, each with its values as bytes."""

UNCHANGED = TypeDecorator.process_bind_param
"""What a type has that gives the database the value itself."""


def may_change(kind: TypeEngine[Any]) -> bool:
    """Tell whether values of a column's type can be changed in place."""
    # `object` is what those say that leave it open: JSON, pickles, types of a team.
    return kind.python_type in {list, object} or kind.__visit_name__ == "SET"


def as_bytes(value: Any) -> bytes:
    """Return what to compare: unlike `==`, it tells 1 from True."""
    for kind in (dict, list, set):
        if isinstance(value, kind):  # a MutableDict, say, which was a dict when read
            value = kind(value)
    return pickle.dumps(value)


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


@event.listens_for(Mapper, "mapper_configured")
def track_changes(mapper: Mapper[Any], model: type[Any]) -> None:
    """Remember what the rows of a model hold, when they are read and written."""
    columns = [one for one in mapper.column_attrs if may_change(one.columns[0].type)]
    names = [column.key for column in columns]

    def on_read(row: object, *_: object) -> None:
        session = object_session(row)
        if session is not None:
            held = {name: look_at(row, name, session) for name in names}
            session.info.setdefault(SEEN, {})[id(row)] = row, held

    def on_write(_: object, __: object, row: object) -> None:
        on_read(row)

    if names:
        for occasion in ("load", "refresh", "refresh_flush"):
            event.listen(model, occasion, on_read)
        for occasion in ("after_insert", "after_update"):
            event.listen(model, occasion, on_write)


class TrackingSession(Session):
    """A session that sees what has changed in place, whenever it looks for changes."""

    @property
    def dirty(self) -> Any:
        note_changes(self)
        return super().dirty

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        note_changes(self)
        super().flush(objects)


@event.listens_for(TrackingSession, "before_commit")
def note_changes(session: Session) -> None:
    """Compare what rows hold with what they held when they were read or written."""
    for row, held in session.info.get(SEEN, {}).values():
        for name, value in held.items():
            seen = look_at(row, name, session)
            pairs = zip(seen, value, strict=False)
            if seen and all(now != then for now, then in pairs):
                flag_modified(row, name)
