"""What a team does with a service: a field with its migration, routes of its own, tests, a word in the README."""

import re
from pathlib import Path

MIGRATION = '''"""Products have barcodes.

Revision ID: 0002
Revises: 0001
Create Date: 2026-12-01
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("products", sa.Column("barcode", sa.String(100), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("products", "barcode")
'''
STOCK = '''"""The stock: how many there are of everything."""

from fastapi import APIRouter
from sqlalchemy import func, select

from app.dependencies.database import DatabaseSession
from app.models.product import Product

router = APIRouter(prefix="/stock", tags=["stock"])


@router.get("")
async def count_stock(session: DatabaseSession) -> int:
    """Return the number of things in stock."""
    total = await session.scalar(select(func.sum(Product.quantity)))
    return int(total or 0)
'''
BARCODE = '''

@router.get("/{product_id}/barcode", responses=problems(404))
async def read_barcode(product_id: Identifier, session: DatabaseSession) -> str | None:
    """Return the barcode of a product."""
    product = await get_or_404(session, Product, product_id)
    return product.barcode
'''
TEST = '''"""The stock."""

from tests.client import Client


async def test_stock(client: Client) -> None:
    """What is created is counted, and its barcode is kept."""
    lamp = {"name": "Lamp", "price": "9.90", "quantity": 3, "barcode": "4006381333931"}
    created = await client.post("/api/v1/products", json=lamp)
    assert created.json()["barcode"] == lamp["barcode"]
    response = await client.get("/api/v1/stock")
    assert response.json() == 3
    response = await client.get(f"{created.headers['Location']}/barcode")
    assert response.json() == lamp["barcode"]
'''
OWN_CODE = {
    "app/api/routes/products.py": BARCODE,
    "app/api/routes/stock.py": STOCK,
    "tests/test_stock.py": TEST,
}
"""What is written for one engine; in the first, it follows what the template has written."""


def written_for(engine: str, code: str) -> str:
    """Return code for an engine."""
    return code if engine == "async" else re.sub(r"\b(async|await) ", "", code)


def replace(path: Path, *changes: tuple[str, str]) -> None:
    """Change what occurs once in a file."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, f"{path}: {old}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def edit(service: Path, engine: str, migrations: str) -> None:
    """Edit a service."""
    column = "    barcode: Mapped[str | None] = mapped_column(String(100))\n"
    replace(
        service / "app" / "models" / "product.py",
        ("    quantity: Mapped[int]\n", f"    quantity: Mapped[int]\n{column}"),
    )
    fields = {
        "    quantity: Quantity\n": "    barcode: Name | None = None\n",
        "    quantity: Quantity = may_be_absent()\n": "    barcode: Name | None = None\n",
        "    quantity: int\n": "    barcode: str | None\n",
    }
    replace(service / "app" / "schemas" / "product.py", *((old, old + new) for old, new in fields.items()))
    replace(
        service / "README.md",
        ("## Where to read on\n", "## Whom to ask\n\nThe warehouse team.\n\n## Where to read on\n"),
    )
    for name, code in OWN_CODE.items():
        with (service / name).open("a", encoding="utf-8") as file:
            file.write(written_for(engine, code))
    if migrations == "alembic":
        path = service / "migrations" / "versions" / "2026_12_01_0002_barcode.py"
        path.write_text(MIGRATION, encoding="utf-8")
    (service / ".env").write_text("DATABASE_URL=somewhere.else\n", encoding="utf-8")


def rewrite(service: Path, old: str, new: str) -> None:
    """Write the team's own code for another engine."""
    for name, code in OWN_CODE.items():
        replace(service / name, (written_for(old, code), written_for(new, code)))
