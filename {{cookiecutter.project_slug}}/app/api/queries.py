{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Queries that every resource has.

A statement is made once, with names where its values go: to make one takes longer
than to execute it.
"""

from functools import lru_cache
from typing import Any, TypeVar

from fastapi import HTTPException, status
from sqlalchemy import Integer, Select, bindparam, select

from app.dependencies.database import DatabaseSession
from app.models.base import Entity
from app.schemas.base import PageParameters

Row = TypeVar("Row", bound=Entity)


@lru_cache
def one(model: type[Row], *, lock: bool) -> Select[Any]:
    """Return the query for the row with an id."""
    query = select(model).where(model.id == bindparam("key"))
    if not lock:
        return query
    return query.with_for_update().execution_options(populate_existing=True)


@lru_cache
def page(model: type[Row], *filters: str) -> Select[Any]:
    """Return the query for a page of the rows whose columns equal some values."""
    columns = model.__table__.columns
    query = select(model).where(model.id > bindparam("after"))
    for name in filters:
        query = query.where(columns[name] == bindparam(name))
    return query.order_by(model.id).limit(bindparam("limit", type_=Integer))


async def get_or_404(
    session: DatabaseSession,
    model: type[Row],
    key: int,
    *,
    lock: bool = False,
) -> Row:
    """Return the row whose id is `key`.

    With `lock`, nobody else can change or delete the row before this transaction is
    over: what is written then follows from what was read.

    Raises:
        HTTPException: 404, there is no such row.
    """
    row: Row | None = await session.scalar(one(model, lock=lock), {"key": key})
    if row is None:
        detail = f"There is no {model.__name__.lower()} {key}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return row


async def read_page(
    session: DatabaseSession,
    model: type[Row],
    parameters: PageParameters,
) -> dict[str, Any]:
    """Return the fields of a `Page`: rows after the last one seen, in order of id.

    A parameter that has the name of a column asks for the rows with this value.

    The id is looked up in its index, so the millionth row costs what the first
    does. One row more than asked for tells whether there is a next page; counting
    all of them would cost more than the page.
    """
    filters = parameters.model_dump(exclude={"after", "limit"}, exclude_none=True)
    values = filters | {"after": parameters.after or 0, "limit": parameters.limit + 1}
    result = await session.scalars(page(model, *filters), values)
    rows = result.all()
    items = rows[: parameters.limit]
    more = len(rows) > parameters.limit
    return {"items": items, "next": items[-1].id if more else None}
{% endcall %}
