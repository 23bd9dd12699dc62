"""The limit: the products of the template, by hand, with Starlette and asyncpg alone.

No ORM, no FastAPI and no schemas: what is left is the server, the driver and the JSON. Every request is one statement,
which PostgreSQL commits by itself, and refuses where a value is out of bounds. The table is the template's.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

COLUMNS = "id, name, description, price, quantity, created_at, updated_at"
FIELDS = ("name", "description", "price", "quantity")
SELECT_ONE = f"SELECT {COLUMNS} FROM products WHERE id = $1"
SELECT_PAGE = f"SELECT {COLUMNS} FROM products WHERE id > $1 ORDER BY id LIMIT $2"
INSERT = f"INSERT INTO products ({', '.join(FIELDS)}) VALUES ($1, $2, $3, $4) RETURNING {COLUMNS}"

pool: asyncpg.Pool


def answer(row: asyncpg.Record | None, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    if row is None:
        raise HTTPException(404)
    return Response(to_json(dict(row)), status, headers, "application/json")


async def create_product(request: Request) -> Response:
    row = await pool.fetchrow(INSERT, *map(from_json(await request.body()).get, FIELDS))
    return answer(row, 201, {"Location": f"/api/v1/products/{row['id']}"})


async def list_products(request: Request) -> Response:
    limit, after = int(request.query_params.get("limit", 50)), int(request.query_params.get("after", 0))
    rows = await pool.fetch(SELECT_PAGE, after, min(limit, 100) + 1)
    items = [dict(row) for row in rows[:limit]]
    page = {"items": items, "next": items[-1]["id"] if len(rows) > limit else None}
    return Response(to_json(page), media_type="application/json")


async def read_product(request: Request) -> Response:
    return answer(await pool.fetchrow(SELECT_ONE, request.path_params["product_id"]))


async def update_product(request: Request) -> Response:
    body = from_json(await request.body())
    fields = [field for field in FIELDS if field in body]
    changes = "".join(f"{field} = ${number}, " for number, field in enumerate(fields, 2))
    update = f"UPDATE products SET {changes}updated_at = now() WHERE id = $1 RETURNING {COLUMNS}"
    return answer(await pool.fetchrow(update, request.path_params["product_id"], *map(body.get, fields)))


def refuse(request: Request, error: Exception) -> Response:
    return Response(status_code=422)


async def keep(connection: asyncpg.pool.PoolConnectionProxy) -> None:
    """Reset nothing, in place of asyncpg's statement after each use: no request changes its connection."""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    global pool
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=5, max_size=15, reset=keep) as pool:
        yield


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/api/v1/products", list_products, methods=["GET"]),
        Route("/api/v1/products", create_product, methods=["POST"]),
        Route("/api/v1/products/{product_id:int}", read_product, methods=["GET"]),
        Route("/api/v1/products/{product_id:int}", update_product, methods=["PATCH"]),
    ],
    exception_handlers={asyncpg.IntegrityConstraintViolationError: refuse, asyncpg.DataError: refuse},
)
