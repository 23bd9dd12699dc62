{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Models and routes of the tests' own: shelves, and the books on them."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import JSON, CheckConstraint, ForeignKey, MetaData, String, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.models.base import Base, Entity
from app.web.problems import problems

TABLES = MetaData(naming_convention=Base.metadata.naming_convention)
"""They are no part of the service's schema: no migration makes them."""

router = APIRouter(prefix="/own", responses=problems(409, 422), include_in_schema=False)
"""Each module adds the routes that its tests are about."""


class OwnShelf(Entity):
    """A row with others below it."""

    __tablename__ = "own_shelves"
    metadata = TABLES

    name: Mapped[str] = mapped_column(String(50), unique=True)
    notes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    books: Mapped[list["OwnBook"]] = relationship(
        lazy="raise",
        passive_deletes="all",
    )


class OwnBook(Entity):
    """A row that belongs to another one."""

    __tablename__ = "own_books"
    __table_args__ = (CheckConstraint("pages > 0", name="pages"),)
    metadata = TABLES

    title: Mapped[str] = mapped_column(String(50))
    pages: Mapped[int]
    shelf_id: Mapped[int] = mapped_column(ForeignKey(OwnShelf.id))


@router.post("/shelves", status_code=201)
async def create_shelf(name: str, session: DatabaseSession) -> int:
    """Store a shelf."""
    shelf = OwnShelf(name=name)
    session.add(shelf)
    await session.flush()
    return shelf.id


@router.get("/shelves")
async def list_shelves(session: DatabaseReadSession) -> list[str]:
    """Return the names of all."""
    names = select(OwnShelf.name).order_by(OwnShelf.id)
    return list((await session.scalars(names)).all())
{% endcall %}
