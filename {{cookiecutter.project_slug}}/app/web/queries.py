{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Queries that every resource has.

A statement is made once, with names where its values go: to make one takes longer
than to execute it.
"""

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from fastapi import HTTPException, status
from sqlalchemy import ColumnElement, Select, UnaryExpression, bindparam, select{{ ", tuple_" if cookiecutter.database != "mysql" }}
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import InstrumentedAttribute, aliased
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.sql.operators import desc_op

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


Order = InstrumentedAttribute[Any] | UnaryExpression[Any]
"""A column, or `.desc()` of it."""


@lru_cache
def page(
    model: type[Row],
    name: str,
    *,
    descending: bool = False,
    first: bool = False,
) -> Select[Any]:
    """Return the query for a page in the order of a column: the `first`, or a next one.

    Raises:
        ArgumentError: Rows may have no place in this order.
    """
    key = key_of(model)
    order: InstrumentedAttribute[Any] = getattr(model, name)
{% if cookiecutter.database == "mysql" %}
    column = order.expression
    # The server compares an ENUM as text, and sorts it by number.
    if getattr(column, "nullable", True) or getattr(column.type, "native_enum", False):
        raise ArgumentError(f"{order} may be null, or is an ENUM: pages need an order")
{% else %}
    if getattr(order.expression, "nullable", True):
        raise ArgumentError(f"{order} may be null: pages need an order of all rows")
{% endif %}
    columns = [key] if order is key else [order, key]
    query = select(model).limit(bindparam("limit", 0))  # a number, as 0 is
    query = query.order_by(*(one.desc() if descending else one for one in columns))
    if first:
        return query
    beyond = operator.lt if descending else operator.gt
    after = bindparam("after", type_=key.expression.type)
    if order is key:
        return query.where(beyond(key, after))
    last = aliased(model)
    value = select(getattr(last, name)).where(getattr(last, key.key) == after)
    seen = value.scalar_subquery()
{% if cookiecutter.database == "mysql" %}
    # It would not look up `(a, b) > (c, d)` in an index.
    same = (order == seen) & beyond(key, after)
    return query.where(beyond(order, seen) | same)
{% else %}
    return query.where(beyond(tuple_(order, key), tuple_(seen, after)))
{% endif %}


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
    if lock and session.dirty:
        await session.flush()  # what is read anew would take the place of changes
    if options:
        query = query.options(*options)
    result = await session.scalars(query, {"key": key})
    row: Row | None = (result.unique() if options else result).one_or_none()
    if row is None:
        detail = f"There is no {model.__name__.lower()} {key}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return row


async def read_page(
    session: DatabaseSession,
    model: type[Row],
    parameters: Paging[Any],
    *conditions: ColumnElement[bool],
    order: Order | None = None,
    options: Sequence[ORMOption] = (),
) -> dict[str, Any]:
    """Return the fields of a `Page`: rows after the last one seen, in order of key.

    `conditions` say which rows: `Product.name == name`. With an `order`, such as
    `Product.price.desc()`, rows come in that, and then in order of key. `options` say
    what to load with them.

    The last row seen is looked up in an index, so the millionth row costs what the
    first does. One row more than asked for tells whether there is a next page;
    counting all of them would cost more than the page.

    Raises:
        HTTPException: 404, the last row seen is gone, and its place is not known.
    """
    key, after = key_of(model).key, parameters.after
    name, descending = (key, False) if order is None else direction(model, order)
    query = page(model, name, descending=descending, first=after is None)
    if conditions or options:
        query = query.where(*conditions).options(*options)
    values = {"after": after, "limit": parameters.limit + 1}
    rows = (await session.scalars(query, values)).unique().all()
    if name != key and after is not None and not rows:
        await get_or_404(session, model, after)
    items = rows[: parameters.limit]
    more = len(rows) > parameters.limit
    return {"items": items, "next": getattr(items[-1], key) if more else None}


def direction(model: type[Row], order: Order) -> tuple[str, bool]:
    """Return the name of a model's attribute, and whether its order is descending."""
    descending = isinstance(order, UnaryExpression) and order.modifier is desc_op
    column = order.element if isinstance(order, UnaryExpression) else order.expression
    return model.__mapper__.get_property_by_column(column).key, descending
{% endcall %}
