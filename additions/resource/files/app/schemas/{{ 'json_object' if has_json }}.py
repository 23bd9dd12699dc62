"""JSON objects that each database stores."""

from typing import Annotated, Any

from pydantic import AfterValidator

DEPTH = 20
"""Objects and lists in one another: MariaDB takes 32."""

MOST = 1e300
"""The largest number: MySQL keeps them as floats."""


def check(value: Any, depth: int = DEPTH) -> None:
    """Refuse what JSON, UTF-8 or a database does not have."""
    if depth < 0:
        raise ValueError(f"must not be deeper than {DEPTH} objects and lists")
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("must be valid Unicode text")
    elif isinstance(value, dict):
        for name, item in value.items():
            check(name)
            check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            check(item, depth - 1)
    elif isinstance(value, int | float) and not -MOST < value < MOST:
        raise ValueError(f"must have numbers between {-MOST} and {MOST}")


def storable(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse an object with anything that cannot be stored."""
    check(value)
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(storable)]
"""An object, for a column of `JSON`."""
