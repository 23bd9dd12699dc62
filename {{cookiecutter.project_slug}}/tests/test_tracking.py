{% from "engine.jinja" import engine, run_sync with context %}
{% call engine() %}
"""Changes in place: what a row shows is what is stored."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import ARRAY, JSON, {{ "Engine, " if cookiecutter.engine == "sync" }}PickleType, String, TypeDecorator
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.exc import InvalidRequestError
{% if cookiecutter.engine == "async" %}
from sqlalchemy.ext.asyncio import AsyncEngine
{% endif %}
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from app.database.session import get_read_session_factory, get_session_factory
from app.database.startup import create_database
from app.database.tracking import may_change


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


@dataclass
class Point:
    """What can be changed in place, and tells nobody."""

    x: int = 0


class Address:
    """What keeps what it has computed, when it is read."""

    def __init__(self, text: str = "a@b") -> None:
        self.text = text

    @cached_property
    def domain(self) -> str:
        """Return a part of it."""
        return self.text.partition("@")[2]


class Addresses(TypeDecorator[Address]):
    """A team's own type, in a column of text."""

    impl = String(100)
    cache_ok = True

    def process_bind_param(self, value: Address | None, _: object) -> str | None:
        """Return the text."""
        return value.text if value else None

    def process_result_value(self, value: str | None, _: object) -> Address | None:
        """Make a value of the text."""
        return Address(value) if value else None


class Secret(TypeDecorator[str]):
    """Text that looks different each time that it is stored."""

    impl = String(100)
    cache_ok = True

    def process_bind_param(self, value: str | None, _: object) -> str:
        """Hide the text."""
        return f"{value} {uuid4()}"

    def process_result_value(self, value: str | None, _: object) -> str:
        """Find it again."""
        return (value or "").split(" ")[0]


class OwnBase(DeclarativeBase):
    """The base of a model that no other test sees."""


class Thing(OwnBase):
    """A row with values that can be changed in place."""

    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    more: Mapped[Any] = mapped_column(MutableDict.as_mutable(JSON()), default=dict)
    words: Mapped[list[str]] = mapped_column(Words, default=list)
    pickled: Mapped[Any] = mapped_column(PickleType, default=Point)
    address: Mapped[Address] = mapped_column(Addresses, default=Address)
    secret: Mapped[str] = mapped_column(Secret, default="")


CHANGES: list[Callable[[Thing], object]] = [
    lambda thing: thing.data.update(a={"b": [1]}),
    lambda thing: thing.data["a"]["b"].append({"c": 2}),
    lambda thing: thing.data["a"]["b"].__setitem__(0, True),
    lambda thing: thing.data["a"]["b"][1].pop("c"),
    lambda thing: thing.more.update(d={}),
    lambda thing: thing.more["d"].update(e=3),
    lambda thing: thing.words.append("one"),
    lambda thing: setattr(thing.pickled, "x", 4),
    lambda thing: setattr(thing.address, "text", "c@d"),
    lambda thing: setattr(thing, "data", {"f": {}}),
    lambda thing: thing.data["f"].update(g=5),
]


def values_of(thing: Thing) -> str:
    """Return what a row shows; unlike `==`, this tells 1 from true."""
    own = thing.words, thing.pickled, thing.address.text
    return repr((thing.data, thing.more, *own))


@pytest.fixture
async def tables(empty_engine: AsyncEngine) -> None:
    """Create the table, with a row."""
    await create_database(empty_engine.url)
    async with empty_engine.begin() as connection:
        {{ run_sync("OwnBase.metadata.create_all") }}
    async with get_session_factory()(bind=empty_engine) as session:
        session.add(Thing())
        await session.commit()


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("flush", [True, False])
async def test_changes_in_place(empty_engine: AsyncEngine, *, flush: bool) -> None:
    """Each is stored, at any depth, one after another and in sessions of their own."""
    shown = ""
    for change in CHANGES:
        async with get_session_factory()(bind=empty_engine) as session:
            thing = await session.get_one(Thing, 1)
            assert shown in ("", values_of(thing))
            change(thing)
            if flush:
                await session.flush()
                assert not session.dirty
            await session.commit()
            thing.data["last"] = values_of(thing)
            await session.commit()
            shown = values_of(thing)


@pytest.mark.usefixtures("tables")
async def test_changes_of_new_rows(empty_engine: AsyncEngine) -> None:
    """A row that was just written is remembered, and one that nobody holds."""
    async with get_session_factory()(bind=empty_engine) as session:
        thing = Thing()
        session.add(thing)
        await session.flush()
        thing.data["a"] = 1
        (await session.get_one(Thing, 1)).data["a"] = 2
        await session.commit()
    async with get_session_factory()(bind=empty_engine) as session:
        assert (await session.get_one(Thing, 2)).data == {"a": 1}
        thing = await session.get_one(Thing, 1)
        assert thing.data == {"a": 2}
        thing.data["a"] = 3
        await session.rollback()
        await session.refresh(thing)
        assert thing.data == {"a": 2}
        assert not session.dirty


@pytest.mark.usefixtures("tables")
async def test_reading_session_refuses_changes(empty_engine: AsyncEngine) -> None:
    """What would be answered and not stored is refused."""
    async with get_read_session_factory()(bind=empty_engine) as session:
        thing = await session.get_one(Thing, 1)
        assert thing.address.domain == "b"  # which it keeps, and nobody stores
        assert not session.dirty
        thing.data["a"] = 1
        assert session.dirty
        with pytest.raises(InvalidRequestError, match="take a DatabaseSession"):
            await session.flush()


KINDS = {
    JSON(): True,
    ARRAY(String): True,
    PickleType(): True,
    Words(): True,
    postgresql.JSONB(): True,
    postgresql.HSTORE(): True,
    mysql.SET("a", "b"): True,
    String(): False,
    mysql.INTEGER(): False,
}


@pytest.mark.parametrize(("kind", "may"), KINDS.items(), ids=repr)
def test_types(kind: TypeEngine[Any], *, may: bool) -> None:
    """Whichever type a column has, it is known whether its values may change."""
    assert may_change(kind) == may
{% endcall %}
