"""The template's service with more in it, for `benchmarks/growth.py`: copies of its routes, and ways to send all rows.

It is started in the folder of a generated project, whose `app` it imports.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from anyio import CancelScope
from app.web.queries import read_page
from app.api.routes import products
from app.database.session import get_session_factory
from app.dependencies.database import get_read_session
from app.main import app
from app.models.product import Product
from app.schemas.product import ProductRead, ProductSearch
from fastapi import Depends, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

for number in range(int(os.environ.get("COPIES", "0"))):
    app.include_router(products.router, prefix=f"/api/copy{number}")


@asynccontextmanager
async def open_read_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Open a session for what a stream reads next; it is closed while that is sent."""
    with CancelScope(shield=True):  # a client that goes away costs no connection
        async with asynccontextmanager(get_read_session)(request) as session:
            yield session


@app.get("/export/pages")
async def send_pages(request: Request) -> AsyncIterator[ProductRead]:
    """Send all rows, as the README has it: a page at a time, each with a session of its own."""
    search = ProductSearch(limit=100)
    while True:
        async with open_read_session(request) as session:
            page = await read_page(session, Product, search)
        for product in page["items"]:
            yield product
        if page["next"] is None:
            return
        search.after = page["next"]


async def get_stream_session() -> AsyncIterator[AsyncSession]:
    """Give a stream a session that ends with it: one snapshot, and a connection all the while."""
    session = get_session_factory()()
    try:
        await session.connection(execution_options={"read_only": True})
        yield session
    finally:
        await session.close()


StreamSession = Annotated[AsyncSession, Depends(get_stream_session, max_concurrency=2)]


@app.get("/export/cursor")
async def send_cursor(session: StreamSession) -> AsyncIterator[ProductRead]:
    """Send all rows of one query, which the server hands over a thousand at a time."""
    query = select(Product).order_by(Product.id).execution_options(yield_per=1000)
    async for product in await session.stream_scalars(query):
        yield product


@app.get("/export/list", response_model=list[ProductRead])
async def send_list(session: StreamSession) -> Any:
    """Send all rows as one list."""
    return (await session.scalars(select(Product).order_by(Product.id))).all()
