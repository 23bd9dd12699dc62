"""Changes in place: what is in a column may be a dict, a list or a set.

SQLAlchemy stores what is assigned, and does not see `row.meta["a"] = 2`: the client
would be answered a value that is not stored. Here a row is told of such a change,
at any depth, whichever type the column has.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.mutable import MutableBase, MutableDict, MutableList, MutableSet
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.attributes import flag_modified, set_committed_value
from sqlalchemy.types import TypeEngine

Tell = Callable[[], None]


class Tracked:
    """What tells of its changes; a copy of it, or a pickle, is a plain value."""

    plain: type
    tell: Tell

    def changed(self) -> None:
        """Do what SQLAlchemy asks for after each change."""
        self.tell()

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        """Return what makes a copy."""
        return self.plain, (self.plain(self),)


class TrackedDict(Tracked, MutableDict[Any, Any]):
    """A dict, and all that is in it."""

    plain = dict

    def __init__(self, values: Any, tell: Tell) -> None:
        self.tell = tell
        dict.update(self, {key: tracked(values[key], tell) for key in values})

    def __setitem__(self, key: Any, value: Any) -> None:
        """Put in a value."""
        super().__setitem__(key, tracked(value, self.tell))

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *values: Any, **more: Any) -> None:
        super().update(TrackedDict(dict(*values, **more), self.tell))


class TrackedList(Tracked, MutableList[Any]):
    """A list, and all that is in it."""

    plain = list

    def __init__(self, values: Any, tell: Tell) -> None:
        self.tell = tell
        list.extend(self, [tracked(value, tell) for value in values])

    def __setitem__(self, index: Any, value: Any) -> None:
        """Put in a value, or those of a slice."""
        value = list(value) if isinstance(index, slice) else value
        super().__setitem__(index, tracked(value, self.tell))

    def append(self, x: Any) -> None:
        super().append(tracked(x, self.tell))

    def extend(self, x: Iterable[Any]) -> None:
        super().extend(TrackedList(x, self.tell))

    def insert(self, i: Any, x: Any) -> None:
        super().insert(i, tracked(x, self.tell))


class TrackedSet(Tracked, MutableSet[Any]):
    """A set; what is in it cannot change."""

    plain = set

    def __init__(self, values: Any, tell: Tell) -> None:
        self.tell = tell
        set.update(self, values)


KINDS = (TrackedDict, TrackedList, TrackedSet)


def tracked(value: Any, tell: Tell) -> Any:
    """Return a copy that calls `tell` when it changes, or a value that never does.

    Raises:
        TypeError: It can change, but not tell.
    """
    for kind in KINDS:
        if isinstance(value, kind.plain):
            return kind(value, tell)
    try:
        hash(value)  # Python's sign of what does not change
    except TypeError:
        if not isinstance(value, MutableBase):
            raise TypeError(
                f"{type(value).__name__} can be changed in place, and nobody would "
                "store it: make it immutable, as with @dataclass(frozen=True)"
            ) from None
    return value


def track(model: type[Any], name: str) -> None:
    """Have each row of a model told when the value of an attribute changes."""

    def on_load(row: object, *_: object) -> None:
        value = vars(row).get(name)
        if value is not None and not isinstance(value, Tracked):
            tell = partial(flag_modified, row, name)
            set_committed_value(row, name, tracked(value, tell))

    def on_set(row: object, value: Any, old: Any, _: object) -> Any:
        tell = partial(flag_modified, row, name)
        return value if value is old else tracked(value, tell)

    for occasion in ("load", "refresh", "refresh_flush"):
        event.listen(model, occasion, on_load)
    event.listen(getattr(model, name), "set", on_set, retval=True)


def may_change(kind: TypeEngine[Any]) -> bool:
    """Tell whether values of a column's type can be changed in place."""
    # `object` is what those say that leave it open: JSON, pickles, types of a team.
    return kind.python_type in {list, object} or kind.__visit_name__ == "SET"


@event.listens_for(Mapper, "mapper_configured")
def track_changes(mapper: Mapper[Any], model: type[Any]) -> None:
    """Find the attributes of a model whose values may change in place."""
    for attribute in mapper.column_attrs:
        if may_change(attribute.columns[0].type):
            track(model, attribute.key)
