"""The products table."""

from decimal import Decimal

from sqlalchemy import CheckConstraint, Index, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from app import limits
from app.models.base import Entity


class Product(Entity):
    """Something that is sold."""

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price"),
        CheckConstraint("quantity >= 0", name="quantity"),
        # Serves `GET /products?name=`: finds the name, in the order of its pages.
        Index(None, "name", "id"),
    )

    name: Mapped[str] = mapped_column(String(limits.NAME))
    description: Mapped[str | None] = mapped_column(String(limits.DESCRIPTION))
    price: Mapped[Decimal] = mapped_column(
        Numeric(limits.PRICE_DIGITS, limits.PRICE_DECIMALS),
    )
    quantity: Mapped[int]
