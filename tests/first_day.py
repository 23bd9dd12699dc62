"""What a team writes on its first day: its own resources in place of the samples, a key, a setting, jobs.

Each step is files, written for the asynchronous engine: `tests.team.written_for` takes its words out for the other one.
"""

SAMPLES = [
    "app/models/product.py",
    "app/models/user.py",
    "app/schemas/product.py",
    "app/schemas/user.py",
    "app/api/routes/products.py",
    "app/api/routes/users.py",
    "tests/test_products.py",
    "tests/test_users.py",
]
"""And, where there are migrations, the first one."""

RESOURCES = [
    ("name=customer", "fields=name:string(100):unique"),
    (
        "name=order",
        "fields=number:string(20):unique status:enum(new,paid,shipped):index=new customer:references:nested",
    ),
]
"""What `make resource` is told."""

RULE = {
    "app/api/routes/orders.py": [
        (
            """    order = await get_or_404(session, Order, order_id, lock=True)
    for field""",
            """    order = await get_or_404(session, Order, order_id, lock=True)
    if order.status is OrderStatus.SHIPPED:
        raise HTTPException(status.HTTP_409_CONFLICT, "It is shipped already.")
    for field""",
        ),
        (
            """@router.get("", response_model=Page[OrderRead])""",
            """@router.get("", response_model=Page[OrderRead], responses=problems(404))""",
        ),
        ("import APIRouter, Query,", "import APIRouter, HTTPException, Query,"),
        ("from app.models.order ", "from app.enums.order import OrderStatus\nfrom app.models.order "),
        (
            "    return await read_page(session, Order, search, *conditions, options=NESTED)\n",
            """    return await read_page(
        session,
        Order,
        search,
        *conditions,
        order=Order.number,
        options=NESTED,
    )
""",
        ),
    ],
    # Nothing can be shipped in passing any more: the test of all values tries the others.
    "tests/test_orders.py": [
        ('        "status": ["new", "paid", "shipped"],\n', '        "status": ["new", "paid"],\n'),
    ],
}
"""In which file, what is written in place of what."""

RULE_TEST = {
    "tests/test_shipped_orders.py": '''"""What orders promise beside what all resources do."""

from typing import Any

from tests.client import Client

PATH = "/api/v1/orders"


async def store(client: Client, *numbers: str) -> list[Any]:
    """Store orders of a customer."""
    customer = await client.post("/api/v1/customers", json={"name": "Ada"})
    body = {"customer_id": customer.json()["id"]}
    orders = [await client.post(PATH, json=body | {"number": one}) for one in numbers]
    return [order.json() for order in orders]


async def test_shipped(client: Client) -> None:
    """What is shipped stays so."""
    [order] = await store(client, "A1")
    url = f"{PATH}/{order['id']}"
    changed = await client.patch(url, json={"status": "shipped"})
    assert changed.json()["status"] == "shipped"
    response = await client.patch(url, json={"status": "new"})
    assert response.status_code == 409
    assert response.json()["detail"] == "It is shipped already."
    assert (await client.get(url)).json() == changed.json()


async def test_order(client: Client) -> None:
    """They are listed by their numbers, page by page."""
    stored = await store(client, "C", "A", "B")
    numbers: list[str] = []
    after: dict[str, Any] = {}
    for _ in stored:
        page = (await client.get(PATH, params={"limit": 1} | after)).json()
        numbers += [order["number"] for order in page["items"]]
        after = {"after": page["next"]}
    assert numbers == ["A", "B", "C"]
    assert page["next"] is None
''',
}

SETTING = {
    "app/settings.py": (
        "    database_url: DatabaseURL = Field(",
        '    api_key: str = Field(description="What clients send to write.")\n',
    ),
    ".env.example": ("DATABASE_POOL_SIZE=", "API_KEY=change-me\n"),
}
"""In which file, before which line, what is added."""

KEY = {
    "app/dependencies/api_key.py": '''"""The key that clients send to write."""

import secrets
from typing import Annotated

from fastapi import HTTPException, Request, Security, status
from fastapi.security import APIKeyHeader

from app.settings import get_settings

header = APIKeyHeader(name="X-API-Key", auto_error=False)
READS = {"GET", "HEAD"}


def require_key(request: Request, key: Annotated[str | None, Security(header)]) -> None:
    """Refuse to write without the key."""
    known = secrets.compare_digest(key or "", get_settings().api_key)
    if request.method not in READS and not known:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "X-API-Key is missing.")
''',
    "tests/test_api_key.py": '''"""What the key promises."""

import pytest

from tests.client import Client


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_key(client: Client, key: str) -> None:
    """Who has none may read, and not write."""
    headers = {"X-API-Key": key}
    response = await client.get("/api/v1/orders", headers=headers)
    assert response.status_code == 200
    body = {"name": "Ada"}
    response = await client.post("/api/v1/customers", json=body, headers=headers)
    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
''',
}
KEY_EDITS = {
    "app/main.py": [
        (
            '        app.include_router(router, prefix="/api/v1")\n',
            '        app.include_router(router, prefix="/api/v1", dependencies=PROTECTED)\n',
        ),
        ("\n\ndef create_app(", "\nPROTECTED = [Depends(require_key)]\n\n\ndef create_app("),
        ("import tomllib\n", "import tomllib\n\nfrom fastapi import Depends\n"),
        ("from app.settings ", "from app.dependencies.api_key import require_key\nfrom app.settings "),
    ],
    "tests/client.py": [
        ("HEADERS: dict[str, str] = {}\n", 'HEADERS = {"X-API-Key": get_settings().api_key}\n'),
        ("\nClient = ", "\nfrom app.settings import get_settings\n\nClient = "),
    ],
}
TASK = {
    "app/dependencies/shipping.py": '''"""What follows an order, when the client has its answer."""

from app.dependencies.database import open_session
from app.enums.order import OrderStatus
from app.models.order import Order


async def ship(order_id: int) -> None:
    """Ship an order."""
    async with open_session() as session:
        order = await session.get_one(Order, order_id)
        order.status = OrderStatus.SHIPPED
''',
    "app/api/routes/shipments.py": '''"""Shipments: they are asked for, and made later."""

from fastapi import APIRouter, BackgroundTasks, status

from app.dependencies.database import DatabaseReadSession
from app.dependencies.shipping import ship
from app.models.order import Order
from app.schemas.types import Identifier
from app.web.problems import problems
from app.web.queries import get_or_404

router = APIRouter(prefix="/shipments", responses=problems(404, 422, 503))


@router.put("/{order_id}", status_code=status.HTTP_202_ACCEPTED)
async def ship_order(
    order_id: Identifier,
    session: DatabaseReadSession,
    tasks: BackgroundTasks,
) -> None:
    """Ship an order, when this is answered."""
    await get_or_404(session, Order, order_id)
    tasks.add_task(ship, order_id)
''',
    "tests/test_shipments.py": '''"""What shipments promise."""

from tests.client import Client


async def test_shipment(client: Client) -> None:
    """An order is shipped after the answer."""
    customer = (await client.post("/api/v1/customers", json={"name": "Ada"})).json()
    body = {"number": "A1", "customer_id": customer["id"]}
    order = (await client.post("/api/v1/orders", json=body)).json()
    url = f"/api/v1/shipments/{order['id']}"
    assert (await client.put(url)).status_code == 202
    order = (await client.get(f"/api/v1/orders/{order['id']}")).json()
    assert order["status"] == "shipped"
''',
}
SCRIPT = {
    "scripts/count_orders.py": '''"""Count the orders: `python -m scripts.count_orders`."""

import asyncio
import sys

from sqlalchemy import func, select

from app.dependencies.database import open_read_session
from app.models.order import Order


async def main() -> None:
    """Write how many there are."""
    async with open_read_session() as session:
        number = await session.scalar(select(func.count()).select_from(Order))
    sys.stdout.write(f"{number} orders\\n")


if __name__ == "__main__":
    asyncio.run(main())
''',
}
