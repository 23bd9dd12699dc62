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

ENUMS = '''"""Values that models and schemas share."""

from enum import Enum


class Progress(Enum):
    """How far an order is."""

    NEW = "new"
    PAID = "paid"
    SHIPPED = "shipped"
'''
MODELS = {
    "app/enums.py": ENUMS,
    "app/models/customer.py": '''"""The customers table."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Entity


class Customer(Entity):
    """Somebody who orders."""

    __tablename__ = "customers"

    name: Mapped[str] = mapped_column(String(100), unique=True)
''',
    "app/models/order.py": '''"""The orders table."""

from sqlalchemy import Enum, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.enums import Progress
from app.models.base import Entity
from app.models.customer import Customer


class Order(Entity):
    """What a customer wants."""

    __tablename__ = "orders"
    __table_args__ = (Index(None, "status", "id"),)

    number: Mapped[str] = mapped_column(String(20), unique=True)
    status: Mapped[Progress] = mapped_column(Enum(Progress, native_enum=False))
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id), index=True)
    customer: Mapped[Customer] = relationship(lazy="raise")
''',
}
SCHEMAS = {
    "app/schemas/customer.py": '''"""Customers, as clients send and receive them."""

from typing import Annotated

from app.schemas.base import Input, Output
from app.schemas.types import Identifier, Text


class CustomerCreate(Input):
    """A customer to store."""

    name: Annotated[str, Text(100, min_length=1)]


class CustomerRead(Output):
    """A customer as it is stored."""

    id: Identifier
    name: str
''',
    "app/schemas/order.py": '''"""Orders, as clients send and receive them."""

from typing import Annotated

from pydantic import Field

from app.enums import Progress
from app.schemas.base import Input, Output, PageParameters, may_be_absent
from app.schemas.customer import CustomerRead
from app.schemas.types import Identifier, Text

Number = Annotated[str, Text(20, min_length=1)]


class OrderCreate(Input):
    """An order to store."""

    number: Number
    status: Progress = Progress.NEW
    customer_id: Identifier


class OrderUpdate(Input):
    """The fields of an order to change."""

    status: Progress = may_be_absent()


class OrderSearch(PageParameters):
    """Which orders to list."""

    status: Progress | None = Field(default=None, description="Only those so far.")


class OrderRead(Output):
    """An order, with its customer."""

    id: Identifier
    number: str
    status: Progress
    customer: CustomerRead
''',
}
ROUTES = {
    "app/api/routes/customers.py": '''"""Customers: create and read."""

from fastapi import APIRouter, Request, Response, status

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.models.customer import Customer
from app.schemas.customer import CustomerCreate, CustomerRead
from app.schemas.types import Identifier
from app.web.problems import CREATED, problems
from app.web.queries import get_or_404

router = APIRouter(
    prefix="/customers",
    tags=["customers"],
    responses=problems(422, 503),
)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=CustomerRead,
    responses=CREATED | problems(400, 409, 413),
)
async def create_customer(
    body: CustomerCreate,
    session: DatabaseSession,
    request: Request,
    response: Response,
) -> Customer:
    """Store a customer."""
    customer = Customer(**body.model_dump())
    session.add(customer)
    await session.flush()
    response.headers["Location"] = f"{request.url.path}/{customer.id}"
    return customer


@router.get("/{customer_id}", response_model=CustomerRead, responses=problems(404))
async def read_customer(
    customer_id: Identifier,
    session: DatabaseReadSession,
) -> Customer:
    """Return one customer."""
    return await get_or_404(session, Customer, customer_id)
''',
    "app/api/routes/orders.py": '''"""Orders: create, list, read and change."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response, status
from sqlalchemy.orm import selectinload

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.enums import Progress
from app.models.order import Order
from app.schemas.base import Page
from app.schemas.order import OrderCreate, OrderRead, OrderSearch, OrderUpdate
from app.schemas.types import Identifier
from app.web.problems import CREATED, problems
from app.web.queries import get_or_404, read_page

router = APIRouter(prefix="/orders", tags=["orders"], responses=problems(422, 503))
WITH_CUSTOMER = [selectinload(Order.customer)]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=OrderRead,
    responses=CREATED | problems(400, 409, 413),
)
async def create_order(
    body: OrderCreate,
    session: DatabaseSession,
    request: Request,
    response: Response,
) -> Order:
    """Store an order."""
    order = Order(**body.model_dump())
    session.add(order)
    await session.flush()
    await session.refresh(order, ["customer"])
    response.headers["Location"] = f"{request.url.path}/{order.id}"
    return order


@router.get("", response_model=Page[OrderRead])
async def list_orders(
    search: Annotated[OrderSearch, Query()],
    session: DatabaseReadSession,
) -> dict[str, Any]:
    """Return a page of orders, all of them or those that are so far."""
    some = [] if search.status is None else [Order.status == search.status]
    return await read_page(session, Order, search, *some, options=WITH_CUSTOMER)


@router.get("/{order_id}", response_model=OrderRead, responses=problems(404))
async def read_order(order_id: Identifier, session: DatabaseReadSession) -> Order:
    """Return one order, with its customer."""
    return await get_or_404(session, Order, order_id, options=WITH_CUSTOMER)


@router.patch(
    "/{order_id}",
    response_model=OrderRead,
    responses=problems(400, 404, 409, 413),
)
async def update_order(
    order_id: Identifier,
    body: OrderUpdate,
    session: DatabaseSession,
) -> Order:
    """Change the fields that are sent; what is shipped is not changed any more."""
    options = WITH_CUSTOMER
    order = await get_or_404(session, Order, order_id, lock=True, options=options)
    if order.status is Progress.SHIPPED:
        raise HTTPException(status.HTTP_409_CONFLICT, "It is shipped already.")
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr(order, field, value)
    await session.flush()
    return order
''',
}
TESTS = {
    "tests/test_orders.py": '''"""What orders, and customers, promise."""

from typing import Any

import pytest

from tests.client import Client

PATH = "/api/v1/orders"

REFUSED: dict[str, list[Any]] = {
    "number": [None, "", "x" * 21, 1],
    "status": [None, "lost", 1],
    "customer_id": [None, 0, 2**31, "x"],
}


@pytest.fixture
async def order(client: Client) -> dict[str, Any]:
    """Return the body of an order, whose customer there is."""
    response = await client.post("/api/v1/customers", json={"name": "Ada"})
    assert (await client.get(response.headers["Location"])).json() == response.json()
    return {"number": "A1", "status": "new", "customer_id": response.json()["id"]}


async def test_life(client: Client, order: dict[str, Any]) -> None:
    """One is created, read with its customer, found, shipped, and then stays so."""
    created = await client.post(PATH, json=order)
    assert created.status_code == 201
    assert created.json()["customer"] == {"id": order["customer_id"], "name": "Ada"}
    url = created.headers["Location"]
    assert (await client.get(url)).json() == created.json()
    changed = await client.patch(url, json={"status": "shipped"})
    assert changed.json() == created.json() | {"status": "shipped"}
    for status, found in (("new", []), ("shipped", [changed.json()])):
        response = await client.get(PATH, params={"status": status})
        assert response.json()["items"] == found
    response = await client.patch(url, json={"status": "new"})
    assert response.status_code == 409
    assert response.json()["detail"] == "It is shipped already."


@pytest.mark.parametrize("field", REFUSED)
async def test_refused(client: Client, order: dict[str, Any], field: str) -> None:
    """What does not fit is refused, and the answer names the field."""
    for value in REFUSED[field]:
        response = await client.post(PATH, json=order | {field: value})
        assert response.status_code == 422
        assert response.json()["errors"][0]["loc"] == ["body", field]


async def test_conflicts(client: Client, order: dict[str, Any]) -> None:
    """A number is taken once, and a customer must be there."""
    assert (await client.post(PATH, json=order)).status_code == 201
    for change in ({}, {"number": "A2", "customer_id": 2**31 - 1}):
        response = await client.post(PATH, json=order | change)
        assert response.status_code == 409
''',
}
RESOURCES = MODELS | SCHEMAS | ROUTES | TESTS

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
from app.enums import Progress
from app.models.order import Order


async def ship(order_id: int) -> None:
    """Ship an order."""
    async with open_session() as session:
        order = await session.get_one(Order, order_id)
        order.status = Progress.SHIPPED
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
