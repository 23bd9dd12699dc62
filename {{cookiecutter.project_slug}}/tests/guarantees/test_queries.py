{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Queries that every resource has: one row, with what belongs to it, and pages."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi import HTTPException
from sqlalchemy import update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import joinedload, selectinload

from app.dependencies.database import open_read_session, open_session
from app.schemas.base import Output, PageParameters
from app.web.queries import get_or_404, read_page
from tests.client import Client
from tests.guarantees.own import OwnBook, OwnShelf


class BookRead(Output):
    """A book."""

    title: str


class ShelfRead(Output):
    """A shelf, with its books."""

    name: str
    books: list[BookRead]


@pytest.fixture
async def shelf_id(committing_client: Client) -> int:
    """Store a shelf with five books."""
    del committing_client  # it has made the tables, and empties them
    async with open_session() as session:
        books = [OwnBook(title=f"{n}", pages=1 + n % 2) for n in range(5)]
        shelf = OwnShelf(name="a", books=books)
        session.add(shelf)
        await session.flush()
        books[0].pages += 2  # PostgreSQL moves it behind the others
        await session.flush()
        return shelf.id


async def test_relations(shelf_id: int) -> None:
    """A row answers with what belongs to it, where the query has named that."""
    async with open_session() as session:
        shelf = await get_or_404(session, OwnShelf, shelf_id)
        with pytest.raises(InvalidRequestError, match="lazy='raise'"):
            assert shelf.books
        with pytest.raises(HTTPException, match="There is no ownbook 999999"):
            await get_or_404(session, OwnBook, 999_999)
    for option in (selectinload(OwnShelf.books), joinedload(OwnShelf.books)):
        for lock in (False, True):
            async with open_session() as session:
                row = await get_or_404(
                    session,
                    OwnShelf,
                    shelf_id,
                    lock=lock,
                    options=[option],
                )
                read = ShelfRead.model_validate(row)
                assert sorted(book.title for book in read.books) == list("01234")
        async with open_read_session() as session:
            page = PageParameters()
            found = await read_page(session, OwnShelf, page, options=[option])
            assert len(found["items"][0].books) == 5


ORDERS = [(None, "01234"), (OwnBook.pages, "24130"), (OwnBook.pages.desc(), "03142")]


@pytest.mark.parametrize(("order", "expected"), ORDERS)
async def test_pages(shelf_id: int, order: Any, expected: str) -> None:
    """Pages follow each other without a gap; a full last one promises no other."""
    async with open_read_session() as session:
        titles, after = [], None
        for size in (2, 2, 1):
            page = PageParameters(limit=2, after=after)
            here = OwnBook.shelf_id == shelf_id
            found = await read_page(session, OwnBook, page, here, order=order)
            titles += [book.title for book in found["items"]]
            assert len(found["items"]) == size
            after = found["next"]
        assert (titles, after) == (list(expected), None)
        last = await read_page(session, OwnBook, PageParameters(limit=5))
        assert (len(last["items"]), last["next"]) == (5, None)
        gone = PageParameters(after=999_999)
        if order is not None:  # its place in the order is not known
            with pytest.raises(HTTPException, match="There is no ownbook 999999"):
                await read_page(session, OwnBook, gone, order=order)


async def test_times(shelf_id: int) -> None:
    """The times are the server's, in UTC; a change moves one of them."""
    async with open_session() as session:
        shelf = await get_or_404(session, OwnShelf, shelf_id, lock=True)
        made = shelf.created_at
        assert shelf.updated_at == made
        assert made.utcoffset() == timedelta()
        shelf.name = "b"
        shelf.created_at = earlier = made.replace(year=2025, day=1, microsecond=123_457)
        await session.flush()
        assert vars(shelf)["updated_at"] > made  # and reading it would load nothing
        change = update(OwnShelf).values(name="c")
        await session.execute(change, execution_options={"synchronize_session": False})
        await get_or_404(session, OwnShelf, shelf_id, lock=True)
        assert shelf.name == "c"  # what is locked is read anew
        shelf.name = "d"
        await get_or_404(session, OwnShelf, shelf_id, lock=True)
        assert shelf.name == "d"
    async with open_read_session() as session:
        again = await get_or_404(session, OwnShelf, shelf_id)
        assert again.created_at == earlier
        assert again.updated_at == shelf.updated_at
{% endcall %}
