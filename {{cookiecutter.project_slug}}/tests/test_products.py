"""What products promise."""

from typing import ClassVar

from tests.resource import Body, ResourceTests, Values


class TestProducts(ResourceTests):
    """Products, and what each field takes."""

    path = "/api/v1/products"
    one: ClassVar[Body] = {
        "name": "name",
        "description": "description",
        "price": "1.00",
        "quantity": 1,
    }
    other: ClassVar[Body] = {
        "name": "other name",
        "description": "other description",
        "price": "2.00",
        "quantity": 2,
    }
    defaults: ClassVar[Body] = {"description": None}
    accepted: ClassVar[Values] = {
        "name": ["x", "x" * 100, "\U0001f600" * 100],
        "description": [None, "", "x" * 500, "\U0001f600" * 500],
        "price": ["0.00", "0.01", "99999999.99"],
        "quantity": [0, 2**31 - 1],
    }
    refused: ClassVar[Values] = {
        "name": [None, "", "x" * 101, "\x00", 1],
        "description": ["x" * 501, "\x00", 1],
        "price": [None, "-0.01", "0.001", "100000000.00", "1e3", "", True],
        "quantity": [None, -1, 2**31, 0.5, "1", True],
        "unknown": ["a field that there is not"],
    }
    forms: ClassVar[Values] = {"price": [("1", "1.00"), (1.5, "1.50"), (-0.0, "0.00")]}
    searched: ClassVar[list[str]] = ["name"]
