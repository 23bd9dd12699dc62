"""Types of fields: what their columns can hold is accepted, and nothing else."""

from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.schemas import types
from app.schemas.types import Amount, Text, Whole

PRICE, CHANGE = Amount(4, 2), Amount(4, 2, signed=True)
LEAST, MOST, BIG = -(2**31), 2**31 - 1, 2**63 - 1
BOUNDS: list[tuple[Any, list[Any], list[Any]]] = [
    (Annotated[str, Text(2)], ["", "ab"], ["abc", "\0", "\ud800", 1]),
    (Annotated[int, Whole()], [LEAST, MOST, 1.0], [LEAST - 1, MOST + 1, "1", True]),
    (types.Identifier, [1, "1", MOST], [0, MOST + 1, "1_0", " 1", "x1", True]),
    (types.BigIdentifier, [1, BIG, "9"], [0, BIG + 1, "1_0"]),
    (types.PageSize, [1, 100, "9"], [0, 101, "1_0"]),
    (Annotated[Decimal, PRICE], ["00.00", 99.99, "1"], [-0.01, "-1", 100, 1.001]),
    (Annotated[Decimal, PRICE], ["9.9", 1], [True, "1e1", "1.", "1.001", " 1"]),
    (Annotated[Decimal, CHANGE], [-99.99, "-0.01"], [-100, "100.00", "--1"]),
    (Annotated[Decimal, Amount(2, 0)], [99, "0"], [100, 0.5, "1.0"]),
    (Annotated[Decimal, Amount(2, 2)], [0.99, "0.5"], [1, "1.00", "0.001"]),
    (types.Date, ["2026-01-31"], ["1-1-1", "20260131", 0, "0"]),
    (types.Moment, ["2026-01-31T00:00:00Z"], ["2026-01-31T00:00:00", 0, "0"]),
    (types.Moment, ["9999-12-31T23:59:59Z"], ["0001-01-01T00:00:00+01:00"]),
]


@pytest.mark.parametrize(("kind", "accepted", "refused"), BOUNDS)
def test_bounds(kind: Any, accepted: list[Any], refused: list[Any]) -> None:
    """Each type is tried on both sides of its bounds."""
    adapter = TypeAdapter[Any](kind)
    for value in accepted:
        adapter.validate_python(value)
    for value in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_amount() -> None:
    """It is answered in full; the OpenAPI schema tells the same bounds."""
    price = TypeAdapter(Annotated[Decimal, PRICE])
    assert [str(price.validate_python(one)) for one in (-0.0, 9.9)] == ["0.00", "9.90"]
    number, text = price.json_schema()["anyOf"]
    bounds = {"minimum": 0, "maximum": 99.99, "multipleOf": 0.01}
    assert number == {"type": "number"} | bounds
    assert text == {"type": "string", "pattern": r"^[0-9]{1,2}(\.[0-9]{1,2})?$"}
    change = TypeAdapter(Annotated[Decimal, CHANGE]).json_schema()
    assert change["anyOf"][0]["minimum"] == -99.99
    assert change["anyOf"][1]["pattern"].startswith("^-?[0-9]")
