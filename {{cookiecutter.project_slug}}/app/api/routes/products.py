{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Products: create, list, read, delete and change."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.models.product import Product
from app.schemas.base import Page
from app.schemas.product import (
    ProductCreate,
    ProductRead,
    ProductSearch,
    ProductUpdate,
)
from app.schemas.types import Identifier
from app.web.problems import CREATED, problems
from app.web.queries import get_or_404, read_page

router = APIRouter(prefix="/products", tags=["products"], responses=problems(422, 503))


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=ProductRead,
    responses=CREATED | problems(400, 409, 413),
)
async def create_product(
    body: ProductCreate,
    session: DatabaseSession,
    request: Request,
    response: Response,
) -> Product:
    """Store a product."""
    product = Product(**body.model_dump())
    session.add(product)
    await session.flush()
    response.headers["Location"] = f"{request.url.path}/{product.id}"
    return product


@router.get("", response_model=Page[ProductRead])
async def list_products(
    search: Annotated[ProductSearch, Query()],
    session: DatabaseReadSession,
) -> dict[str, Any]:
    """Return a page of products, all of them or those searched for."""
    conditions = [] if search.name is None else [Product.name == search.name]
    return await read_page(session, Product, search, *conditions)


@router.get("/{product_id}", response_model=ProductRead, responses=problems(404))
async def read_product(product_id: Identifier, session: DatabaseReadSession) -> Product:
    """Return one product."""
    return await get_or_404(session, Product, product_id)


@router.delete(
    "/{product_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409),
)
async def delete_product(product_id: Identifier, session: DatabaseSession) -> None:
    """Delete a product."""
    product = await get_or_404(session, Product, product_id, lock=True)
    await session.delete(product)


@router.patch(
    "/{product_id}",
    response_model=ProductRead,
    responses=problems(400, 404, 409, 413),
)
async def update_product(
    product_id: Identifier,
    body: ProductUpdate,
    session: DatabaseSession,
) -> Product:
    """Change the fields that are sent, and only those."""
    product = await get_or_404(session, Product, product_id, lock=True)
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr(product, field, value)
    await session.flush()
    return product
{% endcall %}
