{% from "engine.jinja" import engine, run_sync with context %}
{% call engine() %}
"""Changes in place: what a row shows is what is stored."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    JSON,
{% if cookiecutter.engine == "sync" %}
    Engine,
{% endif %}
    PickleType,
    String,
    TypeDecorator,
)
from sqlalchemy.dialects.mysql import SET
from sqlalchemy.dialects.postgresql import HSTORE
{% if cookiecutter.engine == "async" %}
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
{% endif %}
from sqlalchemy.ext.mutable import MutableDict
{% if cookiecutter.engine == "async" %}
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry
{% else %}
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry
{% endif %}
from sqlalchemy.types import TypeEngine

from app.database.startup import create_database
from app.models.tracking import Tracked


class Words(TypeDecorator[list[str]]):
    """A team's own type: a list of words, in a column of text."""

    impl = String(100)
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, _: object) -> str:
        """Join the words."""
        return ",".join(value or [])

    def process_result_value(self, value: str | None, _: object) -> list[str]:
        """Split the text."""
        return value.split(",") if value else []


class OwnBase(DeclarativeBase):
    """The base of a model that no other test sees."""


class Thing(OwnBase):
    """A row with values that can be changed in place."""

    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    more: Mapped[dict[str, Any]] = mapped_column(MutableDict.as_mutable(JSON()))
    words: Mapped[list[str]] = mapped_column(Words)
    pickled: Mapped[Any] = mapped_column(PickleType)


CHANGES: list[Callable[[Thing], object]] = [
    lambda thing: thing.data.update(a={"b": [1]}),
    lambda thing: thing.data["a"].setdefault("c", []).append({}),
    lambda thing: thing.data["a"]["c"][0].update(d=[[2], [3]]),
    lambda thing: thing.data["a"]["c"][0]["d"][1].extend([{"e": 4}, [5]]),
    lambda thing: thing.data["a"]["c"][0]["d"][1][1].update(e=6),
    lambda thing: thing.data["a"]["b"].insert(0, {"f": 7}),
    lambda thing: thing.data["a"]["b"][0].pop("f"),
    lambda thing: thing.data["a"]["b"].__setitem__(slice(0, 1), [[8], 9]),
    lambda thing: thing.data["a"]["b"][0].__iadd__([10]),
    lambda thing: thing.data["a"].__ior__({"g": {}}),
    lambda thing: thing.data["a"]["g"].update(h=11),
    lambda thing: thing.more["i"]["j"].append(12),
    lambda thing: thing.words.append("two"),
    lambda thing: thing.pickled["k"].add(13),
    lambda thing: setattr(thing, "data", thing.data | {"l": {}}),
    lambda thing: thing.data["l"].update(m=14),
    lambda thing: thing.data["a"].clear(),
]


def values_of(thing: Thing) -> tuple[Any, ...]:
    """Return what a row shows."""
    return deepcopy((thing.data, thing.more, thing.words, thing.pickled))


async def test_changes_in_place(empty_engine: AsyncEngine) -> None:
    """Each is stored, at any depth, in a new row, a loaded one and one just written."""
    await create_database(empty_engine.url)
    async with empty_engine.begin() as connection:
        {{ run_sync("OwnBase.metadata.create_all") }}
    thing = Thing(more={"i": {"j": []}}, words=["one"], pickled={"k": set()})
    async with AsyncSession(empty_engine, expire_on_commit=False) as session:
        session.add(thing)
        await session.flush()
        thing.data["new"] = True
        await session.commit()
    shown = values_of(thing)
    for change in CHANGES:
        async with AsyncSession(empty_engine) as session:
            thing = await session.get_one(Thing, 1)
            assert values_of(thing) == shown
            change(thing)
            await session.flush()
            shown = values_of(thing)
            await session.commit()
    assert shown[1:] == ({"i": {"j": [12]}}, ["one", "two"], {"k": {13}})
    assert shown[0] == {"new": True, "a": {}, "l": {"m": 14}}


async def test_row_that_nobody_holds(empty_engine: AsyncEngine) -> None:
    """A change is stored though only the value is held, and not its row."""
    await create_database(empty_engine.url)
    async with empty_engine.begin() as connection:
        {{ run_sync("OwnBase.metadata.create_all") }}
    async with AsyncSession(empty_engine) as session:
        session.add(Thing(more={}, words=[], pickled=""))
        await session.commit()
        (await session.get_one(Thing, 1)).data["a"] = 1
        await session.commit()
        assert (await session.get_one(Thing, 1)).data == {"a": 1}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (JSON(), {"a": 1}),
        (ARRAY(String), ["a"]),
        (HSTORE(), {"a": "b"}),
        (SET("a", "b"), {"a"}),
        (PickleType(), ["a"]),
        (Words(), ["a"]),
    ],
)
def test_types(kind: TypeEngine[Any], value: Any) -> None:
    """Whichever type a column has, its values are tracked; a copy of one is plain."""

    @registry().mapped
    class Row:
        __tablename__ = "rows"
        id: Mapped[int] = mapped_column(primary_key=True)
        value: Mapped[Any] = mapped_column(kind)

    row = Row()
    row.value = value
    assert isinstance(row.value, Tracked)
    assert row.value == value
    for copy in (deepcopy(row.value), pickle.loads(pickle.dumps(row.value))):  # noqa: S301
        assert type(copy) is type(value)
        assert copy == value


@dataclass
class Point:
    """What can be changed in place, and cannot tell."""

    x: int


@pytest.mark.parametrize("value", [Point(1), bytearray(b"x"), [Point(1)], (["x"],)])
def test_values_that_cannot_tell(value: object) -> None:
    """They are an error where they are assigned."""
    with pytest.raises(TypeError, match="can be changed in place, and nobody would"):
        Thing(pickled=value)
{% endcall %}
