{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Queries that every resource has."""

from typing import Any, TypeVar

from fastapi import HTTPException, status
from sqlalchemy import Select

from app.dependencies.database import DatabaseSession
from app.models.base import Entity
from app.schemas.base import PageParameters

Row = TypeVar("Row", bound=Entity)


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
    row = await session.get(model, key, with_for_update=lock or None)
    if row is None:
        detail = f"There is no {model.__name__.lower()} {key}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return row


async def read_page(
    session: DatabaseSession,
    model: type[Row],
    query: Select[Row],
    parameters: PageParameters,
) -> dict[str, Any]:
    """Return the fields of a `Page`: rows after the last one seen, in order of id.

    The id is looked up in its index, so the millionth row costs what the first
    does. One row more than asked for tells whether there is a next page; counting
    all of them would cost more than the page.
    """
    if parameters.after is not None:
        query = query.where(model.id > parameters.after)
    query = query.order_by(model.id).limit(parameters.limit + 1)
    result = await session.scalars(query)
    rows = result.all()
    items = rows[: parameters.limit]
    more = len(rows) > parameters.limit
    return {"items": items, "next": items[-1].id if more else None}
{% endcall %}
