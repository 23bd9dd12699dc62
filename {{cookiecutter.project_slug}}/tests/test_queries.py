{% from "engine.jinja" import engine, run_sync with context %}
{% set session = "AsyncSession" if cookiecutter.engine == "async" else "Session" %}
{% call engine() %}
"""Queries and models of a team: relations, keys of other types, inheritance."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import HTTPException
from sqlalchemy import {{ "Engine, " if cookiecutter.engine == "sync" }}{{ "Enum, " if cookiecutter.database == "mysql" }}ForeignKey, MetaData, String, func, select
from sqlalchemy.exc import ArgumentError
{% if cookiecutter.engine == "async" %}
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
{% endif %}
from sqlalchemy.orm import (
    InstrumentedAttribute,
    Mapped,
{% if cookiecutter.engine == "sync" %}
    Session,
{% endif %}
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from app.database.startup import create_database
from app.models.base import BigEntity, Entity, Timed
from app.schemas.base import Output, PageParameters, Paging
from app.web.queries import get_or_404, page, read_page

OWN = MetaData(naming_convention=Entity.metadata.naming_convention)
"""The tables of these tests: no part of the service's schema."""


class Shelf(Entity):
    """A row with others below it, which have others below them."""

    __tablename__ = "shelves"
    metadata = OWN

    name: Mapped[str] = mapped_column(String(50), index=True)
    note: Mapped[str | None] = mapped_column(String(50))
{% if cookiecutter.database == "mysql" %}
    size: Mapped[str] = mapped_column(Enum("small", "big"), server_default="big")
{% endif %}
    books: Mapped[list["Book"]] = relationship(
        lazy="raise",
        cascade="all, delete-orphan",
        back_populates="shelf",
    )


class Book(BigEntity):
    """A row that belongs to another one."""

    __tablename__ = "books"
    metadata = OWN

    kind: Mapped[str] = mapped_column(String(10))
    shelf_id: Mapped[int] = mapped_column(ForeignKey(Shelf.id))
    shelf: Mapped[Shelf] = relationship(lazy="raise", back_populates="books")
    pages: Mapped[list["Leaf"]] = relationship(
        lazy="raise",
        cascade="all, delete-orphan",
    )

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "book"}  # noqa: RUF012


class Atlas(Book):
    """A book with more columns."""

    __tablename__ = "atlases"
    metadata = OWN

    id: Mapped[int] = mapped_column(ForeignKey(Book.id), primary_key=True)
    scale: Mapped[int]

    __mapper_args__ = {"polymorphic_identity": "atlas", "polymorphic_load": "selectin"}  # noqa: RUF012


class Leaf(Timed):
    """A row whose key is no number."""

    __tablename__ = "leaves"
    metadata = OWN

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4, sort_order=-1)
    book_id: Mapped[int] = mapped_column(ForeignKey(Book.id))


class Pair(Timed):
    """A row whose key has two columns."""

    __tablename__ = "pairs"
    metadata = OWN

    one: Mapped[int] = mapped_column(primary_key=True)
    other: Mapped[int] = mapped_column(primary_key=True)


class BookRead(Output):
    """A book, with its shelf."""

    id: int
    scale: int | None = None


class ShelfRead(Output):
    """A shelf, with its books."""

    name: str
    books: list[BookRead]


@pytest.fixture
async def session(empty_engine: AsyncEngine) -> AsyncIterator[{{ session }}]:
    """Return a session, as a route has, on a database with these tables."""
    await create_database(empty_engine.url)
    async with empty_engine.begin() as connection:
        {{ run_sync("OWN.create_all") }}
    async with {{ session }}(empty_engine, expire_on_commit=False) as session:
        yield session


async def add_shelf(session: {{ session }}) -> Shelf:
    """Store a shelf with two books."""
    book = Book(pages=[Leaf(), Leaf(), Leaf()])
    shelf = Shelf(name="a", books=[book, Atlas(scale=9)])
    session.add(shelf)
    await session.flush()
    return shelf


async def test_relations(session: {{ session }}) -> None:
    """Rows answer with what belongs to them: created, read, listed and locked."""
    expected = {"name": "a", "books": [{"id": 1, "scale": None}, {"id": 2, "scale": 9}]}
    shelf = await add_shelf(session)
    assert ShelfRead.model_validate(shelf).model_dump() == expected
    bare = Shelf(name="b")
    session.add(bare)
    await session.flush()
    await session.refresh(bare, ["books"])
    assert ShelfRead.model_validate(bare).books == []
    await session.commit()
    for option in (selectinload(Shelf.books), joinedload(Shelf.books)):
        for lock in (False, True):
            session.expunge_all()
            shelf = await get_or_404(session, Shelf, 1, lock=lock, options=[option])
            shelf.name = "a"
            await session.flush()
            assert ShelfRead.model_validate(shelf).model_dump() == expected
        session.expunge_all()
        found = await read_page(session, Shelf, PageParameters(), options=[option])
        assert [len(shelf.books) for shelf in found["items"]] == [2, 0]


async def test_delete_of_a_tree(session: {{ session }}) -> None:
    """What belongs to a row goes with it, and what is taken from it."""
    await add_shelf(session)
    await session.commit()
    session.expunge_all()
    shelf = await get_or_404(session, Shelf, 1, options=[selectinload(Shelf.books)])
    shelf.books.pop()
    await session.flush()
    assert await session.scalar(select(func.count()).select_from(Book)) == 1
    session.expunge_all()
    await session.delete(await get_or_404(session, Shelf, 1, lock=True))
    await session.flush()
    for model in (Shelf, Book, Leaf):
        assert await session.scalar(select(func.count()).select_from(model)) == 0


async def test_times_of_a_model_with_arguments(session: {{ session }}) -> None:
    """What the server makes is known after a change, whatever a mapper is told."""
    [_, atlas] = (await add_shelf(session)).books
    before = atlas.updated_at
    atlas.shelf_id = 1
    atlas.kind = "atlas"
    atlas.created_at = before.replace(year=2000)
    await session.flush()
    assert vars(atlas)["updated_at"] >= before  # and reading it would load nothing


async def test_big_keys(session: {{ session }}) -> None:
    """They are numbered by the database, and go beyond those of an INTEGER."""
    shelf = await add_shelf(session)
    book = Book(id=2**62, shelf=shelf, pages=[])
    session.add(book)
    await session.flush()
    assert [book.id for book in shelf.books] == [1, 2, 2**62]
    assert (await get_or_404(session, Book, 2**62)) is book
    found = await read_page(session, Book, PageParameters(after=2, limit=1))
    assert found == {"items": [book], "next": None}


async def test_pages_of_other_keys(session: {{ session }}) -> None:
    """A key that is no number has pages, too, in its own order."""
    [book, _] = (await add_shelf(session)).books
    of_book = Leaf.book_id == book.id
    first = await read_page(session, Leaf, Paging[UUID](limit=2), of_book)
    search = Paging[UUID](limit=2, after=first["next"])
    rest = await read_page(session, Leaf, search, order=Leaf.book_id)
    leaves = [*first["items"], *rest["items"]]
    assert {leaf.id for leaf in leaves} == {leaf.id for leaf in book.pages}
    assert len(leaves) == 3
    assert rest["next"] is None
    assert (await get_or_404(session, Leaf, leaves[0].id)) is leaves[0]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", [Shelf.id, Shelf.name])
async def test_order(
    session: {{ session }},
    order: InstrumentedAttribute[Any],
    *,
    descending: bool,
) -> None:
    """Each row is on one page, in order; of equal rows, in that of their keys."""
    shelves = [Shelf(name=name, books=[]) for name in "babacaab"]
    session.add_all([*shelves, Shelf(name="z", books=[])])
    await session.flush()
    shelves.sort(key=lambda shelf: (vars(shelf)[order.key], shelf.id))
    for limit in (1, 3, len(shelves)):
        found: list[Shelf] = []
        after = None
        while not found or after:
            page = await read_page(
                session,
                Shelf,
                PageParameters(limit=limit, after=after),
                Shelf.name < "z",
                order=order.desc() if descending else order,
                options=[selectinload(Shelf.books)],
            )
            found += page["items"]
            after = page["next"]
        assert found == (shelves[::-1] if descending else shelves)


async def test_order_after_a_row_that_is_gone(session: {{ session }}) -> None:
    """Nobody knows its place, and nobody takes that for the end; its key is one."""
    session.add(Shelf(id=1, name="a", books=[]))
    await session.flush()
    for after, order in ((1, Shelf.name), (2, None)):
        found = await read_page(
            session,
            Shelf,
            PageParameters(after=after),
            order=order,
        )
        assert found == {"items": [], "next": None}
    with pytest.raises(HTTPException, match="404: There is no shelf 2"):
        await read_page(session, Shelf, PageParameters(after=2), order=Shelf.name)


{% if cookiecutter.database == "mysql" %}
@pytest.mark.parametrize("order", [Shelf.note, Shelf.size])
def test_no_order(order: InstrumentedAttribute[Any]) -> None:
    """A column that does not sort all rows is an error, before there is a row."""
    with pytest.raises(ArgumentError, match="pages need an order"):
        page(Shelf, order.key)
{% else %}
def test_no_order() -> None:
    """A column that does not sort all rows is an error, before there is a row."""
    with pytest.raises(ArgumentError, match=r"Shelf\.note may be null"):
        page(Shelf, "note")
{% endif %}


def test_key_of_two_columns() -> None:
    """It is an error that says so."""
    with pytest.raises(ArgumentError, match="a key of several columns: write its que"):
        page(Pair, "one")
{% endcall %}
