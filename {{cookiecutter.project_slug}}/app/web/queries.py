{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Queries that every resource has.

A statement is made once, with names where its values go: to make one takes longer
than to execute it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from fastapi import HTTPException, status
from sqlalchemy import ColumnElement, Integer, Select, bindparam, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm.interfaces import ORMOption

from app.dependencies.database import DatabaseSession
from app.models.base import Base
from app.schemas.base import Paging

Row = TypeVar("Row", bound=Base)


@lru_cache
def key_of(model: type[Row]) -> InstrumentedAttribute[Any]:
    """Return the attribute that is the key of a model.

    Raises:
        ArgumentError: The key is not a single column.
    """
    mapper = model.__mapper__
    if len(mapper.primary_key) > 1:
        raise ArgumentError(f"{mapper} has a key of several columns: write its queries")
    name = mapper.get_property_by_column(mapper.primary_key[0]).key
    attribute: InstrumentedAttribute[Any] = getattr(model, name)
    return attribute


@lru_cache
def one(model: type[Row], *, lock: bool) -> Select[Any]:
    """Return the query for the row with a key."""
    query = select(model).where(key_of(model) == bindparam("key"))
    if not lock:
        return query
    query = query.with_for_update(of=model)  # and not what options may join
    return query.execution_options(populate_existing=True)


@lru_cache
def page(model: type[Row], schema: type[Paging], *filters: str) -> Select[Any]:
    """Return the query for a page of the rows whose columns equal some values.

    Raises:
        ArgumentError: The schema has a field that is no column.
    """
    key = key_of(model)
    columns = model.__mapper__.column_attrs.keys()
    for name, field in schema.model_fields.items():
        if name not in {"limit", "after", *columns} and not field.exclude:
            raise ArgumentError(
                f"{schema.__name__}.{name} is no column of {model.__name__}: write "
                "Field(exclude=True), and pass read_page() a condition of your own"
            )
    query = select(model)
    for name in filters:
        if name == "after":
            query = query.where(key > bindparam("after"))
        else:
            query = query.where(getattr(model, name) == bindparam(name))
    return query.order_by(key).limit(bindparam("limit", type_=Integer))


async def get_or_404(
    session: DatabaseSession,
    model: type[Row],
    key: Any,
    *,
    lock: bool = False,
    options: Sequence[ORMOption] = (),
) -> Row:
    """Return the row whose key is `key`.

    With `lock`, nobody else can change or delete the row before this transaction is
    over: what is written then follows from what was read. `options` say what to load
    with it: `[selectinload(Order.items)]`.

    Raises:
        HTTPException: 404, there is no such row.
    """
    query = one(model, lock=lock)
    if options:
        query = query.options(*options)
    result = await session.scalars(query, {"key": key})
    row: Row | None = result.unique().one_or_none()
    if row is None:
        detail = f"There is no {model.__name__.lower()} {key}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return row


async def read_page(
    session: DatabaseSession,
    model: type[Row],
    parameters: Paging,
    *conditions: ColumnElement[bool],
    options: Sequence[ORMOption] = (),
) -> dict[str, Any]:
    """Return the fields of a `Page`: rows after the last one seen, in order of key.

    A parameter that has the name of a column asks for the rows with this value;
    `conditions` narrow it further, and `options` say what to load with the rows.

    The key is looked up in its index, so the millionth row costs what the first
    does. One row more than asked for tells whether there is a next page; counting
    all of them would cost more than the page.
    """
    filters = parameters.model_dump(exclude={"limit"}, exclude_none=True)
    query = page(model, type(parameters), *filters)
    if conditions or options:
        query = query.where(*conditions).options(*options)
    values = filters | {"limit": parameters.limit + 1}
    rows = (await session.scalars(query, values)).unique().all()
    items = rows[: parameters.limit]
    more = len(rows) > parameters.limit
    last = getattr(items[-1], key_of(model).key) if more else None
    return {"items": items, "next": last}
{% endcall %}
