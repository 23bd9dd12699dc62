"""Products, as clients send and receive them."""

from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, Field

from app.schemas.base import Input, Output, PageParameters, may_be_absent
from app.schemas.types import Amount, Identifier, Text, Whole

Name = Annotated[str, Text(100, min_length=1)]
Description = Annotated[str, Text(500)]
Price = Annotated[Decimal, Amount(10, 2)]
Quantity = Annotated[int, Whole(ge=0)]


class ProductCreate(Input):
    """A product to store."""

    name: Name
    description: Description | None = None
    price: Price
    quantity: Quantity


class ProductUpdate(Input):
    """The fields of a product to change."""

    name: Name = may_be_absent()
    description: Description | None = None
    price: Price = may_be_absent()
    quantity: Quantity = may_be_absent()


class ProductSearch(PageParameters):
    """Which products to list."""

    name: Name | None = Field(default=None, description="Only those of this name.")


class ProductRead(Output):
    """A product as it is stored."""

    id: Identifier
    name: str
    description: str | None
    price: Decimal
    quantity: int
    created_at: AwareDatetime
    updated_at: AwareDatetime
