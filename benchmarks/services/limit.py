"""The limit: the products of the template, by hand, with Starlette and asyncpg alone.

No ORM, no FastAPI and no schemas: what is left is the server, the driver and the JSON. Every request is one statement,
which PostgreSQL commits by itself.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

import asyncpg
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TABLE = """
CREATE TABLE IF NOT EXISTS products (
    id serial PRIMARY KEY,
    name varchar(100) NOT NULL,
    description varchar(500),
    price numeric(10, 2) NOT NULL CHECK (price >= 0),
    quantity integer NOT NULL CHECK (quantity >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS products_name_id ON products (name, id);
"""
COLUMNS = "id, name, description, price, quantity, created_at, updated_at"
SELECT_ONE = f"SELECT {COLUMNS} FROM products WHERE id = $1"
SELECT_PAGE = f"SELECT {COLUMNS} FROM products WHERE id > $1 ORDER BY id LIMIT $2"
INSERT = f"INSERT INTO products (name, description, price, quantity) VALUES ($1, $2, $3, $4) RETURNING {COLUMNS}"
FIELDS = ("name", "description", "price", "quantity")

pool: asyncpg.Pool


def valid(field: str, value: Any) -> Any:
    """Return a value as the driver takes it, or raise ValueError."""
    match field, value:
        case "name", str() if 0 < len(value) <= 100:
            return value
        case "description", None:
            return value
        case "description", str() if len(value) <= 500:
            return value
        case "price", str() | int() | float():
            price = Decimal(str(value))
            if 0 <= price < 10**8 and price == round(price, 2):
                return price
        case "quantity", int() if 0 <= value < 2**31:
            return value
    raise ValueError(field)


async def body(request: Request, *required: str) -> dict[str, Any]:
    """Return the fields that a client sent."""
    try:
        data = from_json(await request.body())
        fields = {field: valid(field, value) for field, value in data.items()}
    except (AttributeError, InvalidOperation, ValueError):
        raise HTTPException(422) from None
    if any(field not in fields for field in required):
        raise HTTPException(422)
    return fields


def key(request: Request) -> int:
    """Return the id in the path."""
    number = request.path_params["product_id"]
    if not 0 < number < 2**31:
        raise HTTPException(422)
    return int(number)


def answer(row: asyncpg.Record | None, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer a row."""
    if row is None:
        raise HTTPException(404)
    return Response(to_json(dict(row)), status, headers, "application/json")


async def create_product(request: Request) -> Response:
    """Store a product."""
    fields = await body(request, "name", "price", "quantity")
    row = await pool.fetchrow(INSERT, *map(fields.get, FIELDS))
    return answer(row, 201, {"Location": f"/api/v1/products/{row['id']}"})


async def list_products(request: Request) -> Response:
    """Return a page of products."""
    try:
        limit, after = int(request.query_params.get("limit", 50)), int(request.query_params.get("after", 0))
    except ValueError:
        raise HTTPException(422) from None
    if not 1 <= limit <= 100 or not 0 <= after < 2**31:
        raise HTTPException(422)
    rows = await pool.fetch(SELECT_PAGE, after, limit + 1)
    items = [dict(row) for row in rows[:limit]]
    page = {"items": items, "next": items[-1]["id"] if len(rows) > limit else None}
    return Response(to_json(page), media_type="application/json")


async def read_product(request: Request) -> Response:
    """Return one product."""
    return answer(await pool.fetchrow(SELECT_ONE, key(request)))


async def update_product(request: Request) -> Response:
    """Change the fields that are sent."""
    fields = await body(request)
    changes = "".join(f"{field} = ${number}, " for number, field in enumerate(fields, 2))
    update = f"UPDATE products SET {changes}updated_at = now() WHERE id = $1 RETURNING {COLUMNS}"
    return answer(await pool.fetchrow(update, key(request), *fields.values()))


async def keep(connection: asyncpg.pool.PoolConnectionProxy) -> None:
    """Reset nothing, in place of asyncpg's statement after each use: no request changes its connection."""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the pool, as large as the template's."""
    global pool
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=5, max_size=15, reset=keep) as pool:
        await pool.execute(TABLE)
        yield


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/api/v1/products", list_products, methods=["GET"]),
        Route("/api/v1/products", create_product, methods=["POST"]),
        Route("/api/v1/products/{product_id:int}", read_product, methods=["GET"]),
        Route("/api/v1/products/{product_id:int}", update_product, methods=["PATCH"]),
    ],
)
