"""Types of fields: they accept exactly what their columns can hold.

Each says the same to a client, in the OpenAPI schema, as it does to Python. JSON
has numbers and booleans of its own, so `"1"` is no number and `1` no boolean.

`Annotated[str, Text(100)]` is for a column of `String(100)`, `Annotated[int, Whole()]`
for one of `int`, `Annotated[Decimal, Amount(10, 2)]` for one of `Numeric(10, 2)`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from annotated_types import GroupedMetadata
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from app import limits

DIGITS = re.compile("-?[0-9]+")
NO_TEXT = re.compile("(?!)")  # matches nothing


def number(text: re.Pattern[str], what: str) -> BeforeValidator:
    """Take a number, 1.0 for a whole one, too, or such text; but never `true`."""

    def check(value: Any) -> Any:
        is_text = isinstance(value, str)
        if isinstance(value, bool) or (is_text and not text.fullmatch(value)):
            raise ValueError(f"must be {what}")
        return value

    return BeforeValidator(check)


def written_out(value: Any) -> Any:
    """Take text that begins with a date, and not a number of seconds."""
    if not (isinstance(value, date) or re.match("[0-9]{4}-", str(value))):
        raise ValueError("must be a string that begins with a date: 2026-01-31")
    return value


def to_utc(moment: datetime) -> datetime:
    """Refuse a moment that UTC has no date for: year 1 begins in the far east."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be in the years 1 to 9999, in UTC") from None


@dataclass(frozen=True)
class Text(GroupedMetadata):
    """Text, for a column of `String(max_length)`; half a surrogate pair is none."""

    max_length: int
    min_length: int = 0

    def __iter__(self) -> Iterator[Any]:
        """Yield what Pydantic is to check."""
        yield from StringConstraints(
            min_length=self.min_length or None,
            max_length=self.max_length,
            pattern=r"^[^\x00]*$",  # PostgreSQL stores no NUL character in text
        )


@dataclass(frozen=True)
class Whole(GroupedMetadata):
    """A whole number, for a column of `int`, or with other bounds of `BigInteger`."""

    ge: int = -limits.INTEGER - 1
    le: int = limits.INTEGER
    digits: bool = False
    """Whether it may be text, as all is in a path or query."""

    def __iter__(self) -> Iterator[Any]:
        """Yield what Pydantic is to check."""
        yield from Field(ge=self.ge, le=self.le).metadata
        if self.digits:
            yield number(DIGITS, "a whole number")
        else:
            yield number(NO_TEXT, "a number")


@dataclass(frozen=True)
class Amount(GroupedMetadata):
    """An exact number of at least 0, for a column of `Numeric(digits, decimals)`.

    It is answered as a string, since binary numbers cannot hold cents.
    """

    digits: int
    decimals: int
    signed: bool = False

    def __iter__(self) -> Iterator[Any]:
        """Yield what Pydantic is to check."""
        whole = self.digits - self.decimals
        unit = 10**-self.decimals
        most = 10**whole - unit
        least = -most if self.signed else 0
        sign = "-?" if self.signed else ""
        before, after = f"1,{whole or 1}", f"1,{self.decimals}"
        fraction = (r"(\.[0-9]{", after, "})?") if self.decimals else ()
        text = re.compile("".join(("^", sign, "[0-9]{", before, "}", *fraction, "$")))
        exponent = Decimal(1).scaleb(-self.decimals)

        def in_full(amount: Decimal) -> Decimal:
            """Write an amount as the database does: 9.9 is answered as 9.90."""
            return amount.quantize(exponent) + 0  # no -0.00

        yield from Field(
            ge=least,
            max_digits=self.digits,
            decimal_places=self.decimals,
        ).metadata
        yield number(text, "a number, or a string such as 9.90")
        yield AfterValidator(in_full)
        bounds = {"minimum": least, "maximum": most, "multipleOf": unit}
        forms = {"type": "number"} | bounds, {"type": "string", "pattern": text.pattern}
        yield WithJsonSchema({"anyOf": forms})


Identifier = Annotated[int, Whole(ge=1, digits=True)]
"""The number of a row."""

BigIdentifier = Annotated[int, Whole(ge=1, le=limits.BIG_INTEGER, digits=True)]
"""The number of a row of a `BigEntity`."""

PageSize = Annotated[int, Whole(ge=1, le=limits.PAGE, digits=True)]

Date = Annotated[date, BeforeValidator(written_out)]
"""A date, for a column of `Mapped[date]`."""

Moment = Annotated[
    AwareDatetime,
    BeforeValidator(written_out),
    AfterValidator(to_utc),
]
"""A date and time with its zone, for a column of `Mapped[datetime]`."""

# What browsers take for an address (HTML standard, "valid e-mail address").
LOCAL = r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+"
LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"

Email = Annotated[
    str,
    StringConstraints(
        max_length=limits.EMAIL,
        pattern="^" + LOCAL + "@" + LABEL + r"(?:\." + LABEL + ")*$",
        to_lower=True,
    ),
]
"""An address, kept in lower case, so that it is unique in any spelling."""
