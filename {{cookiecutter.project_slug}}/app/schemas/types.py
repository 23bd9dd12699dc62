"""Types of fields: they accept exactly what their columns can hold.

Each says the same to a client, in the OpenAPI schema, as it does to Python. JSON
has numbers and booleans of its own, so `"1"` is no number and `1` no boolean.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from app import limits


def storable(text: str) -> str:
    """Refuse text that has no UTF-8 form: half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text") from None
    return text


def not_text_nor_boolean(value: Any) -> Any:
    """Take 1 and 1.0 for a whole number, as JSON does, but not `"1"` or `true`."""
    if isinstance(value, str | bool):
        raise ValueError("must be a number")  # noqa: TRY004  (what Pydantic reports)
    return value


DIGITS = re.compile("-?[0-9]+")


def number_or_digits(value: Any) -> Any:
    """Take a number, or its digits in a path or query; `true` and `1_0` are neither."""
    is_text = isinstance(value, str)
    if isinstance(value, bool) or (is_text and not DIGITS.fullmatch(value)):
        raise ValueError("must be a whole number")
    return value


CENT = 10**-limits.PRICE_DECIMALS
WHOLE_DIGITS = limits.PRICE_DIGITS - limits.PRICE_DECIMALS
MOST = 10**WHOLE_DIGITS - CENT
AMOUNT = re.compile(
    "^[0-9]{1," + str(WHOLE_DIGITS) + "}"
    r"(\.[0-9]{1," + str(limits.PRICE_DECIMALS) + "})?$"
)


def number_or_amount(value: Any) -> Any:
    """Take a number, or an amount such as `"9.90"`; `true` and `"1e3"` are neither."""
    is_text = isinstance(value, str)
    if isinstance(value, bool) or (is_text and not AMOUNT.fullmatch(value)):
        raise ValueError("must be a number, or a string such as 9.90")
    return value


def to_cents(amount: Decimal) -> Decimal:
    """Write an amount as the database does: 9.9 is answered as 9.90."""
    return amount.quantize(Decimal(1).scaleb(-limits.PRICE_DECIMALS)) + 0  # no -0.00


def to_utc(moment: datetime) -> datetime:
    """Refuse a moment that UTC has no date for: year 1 begins in the far east."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be in the years 1 to 9999, in UTC") from None


Identifier = Annotated[
    int,
    Field(ge=1, le=limits.INTEGER),
    BeforeValidator(number_or_digits),
]
"""The number of a row."""

BigIdentifier = Annotated[
    int,
    Field(ge=1, le=limits.BIG_INTEGER),
    BeforeValidator(number_or_digits),
]
"""The number of a row of a `BigEntity`."""

PageSize = Annotated[
    int,
    Field(ge=1, le=limits.PAGE),
    BeforeValidator(number_or_digits),
]

Quantity = Annotated[
    int,
    Field(ge=0, le=limits.INTEGER),
    BeforeValidator(not_text_nor_boolean),
]

Price = Annotated[
    Decimal,
    Field(ge=0, max_digits=limits.PRICE_DIGITS, decimal_places=limits.PRICE_DECIMALS),
    BeforeValidator(number_or_amount),
    AfterValidator(to_cents),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": MOST, "multipleOf": CENT},
                {"type": "string", "pattern": AMOUNT.pattern},
            ]
        }
    ),
]
"""An exact amount: answered as a string, since binary numbers cannot hold cents."""

Moment = Annotated[AwareDatetime, AfterValidator(to_utc)]
"""A date and time with its zone, for a column of `Mapped[datetime]`."""

# PostgreSQL stores no NUL character in text, so none is taken.
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.NAME, pattern=r"^[^\x00]*$"),
    AfterValidator(storable),
]
Description = Annotated[
    str,
    StringConstraints(max_length=limits.DESCRIPTION, pattern=r"^[^\x00]*$"),
    AfterValidator(storable),
]

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
