"""`make resource`: the grammar of its fields, and what the files of a resource are rendered with.

    name=order fields="number:string(20):unique customer:references note:text? status:enum(new,paid)=new"

A field is `name:type`, then `(arguments)`, `?` where it may be null, `:unique` or `:index`, and `=default`.
"""

import builtins
import difflib
import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

ANSWERS = {
    "name": "the resource, one of them: order",
    "fields": 'its fields: "number:string(20):unique total:decimal(10,2) note:text?"',
    "plural": "more than one of them, where it is not what one expects: people",
    "description": "a sentence: what a row is",
}
LONGEST = 40
"""Letters in a name: with them, constraints have names that PostgreSQL keeps whole."""
INTEGER, BIG_INTEGER = 2**31 - 1, 2**63 - 1
INDEXED = 500
"""Characters of text that an index of each database holds, whatever they are."""
OWN_COLUMNS = {"id", "created_at", "updated_at"}
OF_PAGES = {"limit", "after"}
OF_MODELS = {"metadata", "registry"}
OF_SCHEMAS = {"copy", "dict", "json", "schema", "schema_json", "validate", "construct", "parse_obj", "parse_raw",
              "parse_file", "from_orm", "update_forward_refs"}  # fmt: skip
OF_THE_CODE = {
    "Amount", "Annotated", "Any", "AwareDatetime", "BigIdentifier", "Date", "Decimal", "Email", "Field", "Identifier",
    "Input", "JsonObject", "Moment", "Output", "PageParameters", "StrictBool", "Text", "UUID", "Whole",
}  # fmt: skip
"""Names in a module of schemas, beside which a field's own type would stand."""
OF_MODULES = {
    "APIRouter", "BigInteger", "CheckConstraint", "DatabaseReadSession", "DatabaseSession", "Entity", "ForeignKey",
    "Index", "JSON", "Mapped", "Numeric", "Page", "Query", "Request", "Response", "String", "StrEnum",
}  # fmt: skip
"""Names in the other modules."""
TAKEN = OF_THE_CODE | OF_MODULES | {*dir(builtins)}
"""Names that nothing in a module may be given."""
IN_CLASSES = {"self", "limits", "relationship", "mapped_column", "may_be_absent", "true", "false"}
"""Names that a class uses in its body, and what SQLAlchemy passes to it."""
OF_ANSWERS = {"unknown"}
"""The field that the tests send, and no resource has."""
OF_ROUTES = {"body", "find", "limits", "problems", "request", "response", "router", "search", "session", "status"}
OF_TESTS = {"body", "change", "changed", "client", "created", "deleted", "field", "keys", "response", "url", "value"}
IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women", "foot": "feet", "mouse": "mice"}
CASCADES = {"restrict": None, "cascade": "CASCADE", "null": "SET NULL"}
"""What happens to a row when the one that it refers to is deleted."""


class FieldError(ValueError):
    """Something that is wrong with the answers, in a line."""


def words(name: str) -> str:
    """Return a name as prose has it."""
    return name.replace("_", " ")


def pascal(name: str) -> str:
    """Return a name as classes have it."""
    return "".join(word.capitalize() for word in name.split("_"))


def with_article(name: str) -> str:
    """Return a name with its article: an order, a user."""
    sounds_like_a_consonant = re.match(r"(uni|us[aeiu]|uti|eu|one)", name)
    return f"{'an' if name[0] in 'aeiou' and not sounds_like_a_consonant else 'a'} {words(name)}"


def pluralize(name: str) -> str:
    """Return the plural of a name, as English has it most of the time."""
    start, _, last = name.rpartition("_")
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif re.search(r"[^aeiou]y$", last):
        last = f"{last[:-1]}ies"
    else:
        last += "es" if re.search(r"(s|x|z|ch|sh)$", last) else "s"
    return f"{start}_{last}" if start else last


def word_fault(word: str, kind: str, taken: set[str]) -> str | None:
    """Return why a word cannot be the name of something, or None."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", word):
        return f"{word!r} is no name: take small letters, digits and single underscores, a letter first"
    if len(word) > LONGEST:
        return f"{word!r} has {len(word)} letters: take at most {LONGEST}"
    if keyword.iskeyword(word) or keyword.iskeyword(word.capitalize()):
        return f"{word!r} is a word of Python: take another name"
    if word in taken:
        return f"{word!r} is a name that {kind} has already: take another one"
    return None


@dataclass
class Column:
    """A field, as each of the files writes it."""

    name: str
    type: str
    optional: bool = False
    unique: bool = False
    index: bool = False
    nested: bool = False
    python: str = "str"
    """The type of its values, in a model."""
    column: list[str] = field(default_factory=list)
    """The arguments of `mapped_column()`."""
    check: str | None = None
    bounds: tuple[int, int] = (0, 0)
    """The least and the most of a number, or letters of text; digits and decimals."""
    alias: str | None = None
    """The definition of the type in the schemas, where it has one of its own."""
    accepts: str = ""
    """The type in the schemas."""
    searches: str = ""
    """The type of a parameter that asks for rows of a value."""
    answers: str = ""
    """The type in what is read."""
    values: tuple[Any, ...] = ()
    """Three that are in order, and of which the first two differ."""
    accepted: list[Any] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    forms: list[tuple[Any, Any]] = field(default_factory=list)
    """What may be sent, and how it is answered, where that differs."""
    members: list[tuple[str, str]] = field(default_factory=list)
    """Those of an enum."""
    default: Any = None
    default_code: str = ""
    parent: dict[str, Any] = field(default_factory=dict)
    on_delete: str = ""

    @property
    def mapped(self) -> str:
        """Return the line of the model."""
        options = [*self.column, *(["unique=True"] if self.unique else [])]
        annotation = f"Mapped[{self.python}{' | None' if self.optional else ''}]"
        return f"{self.name}: {annotation}" + (f" = mapped_column({', '.join(options)})" if options else "")

    @property
    def first(self) -> tuple[str, Any]:
        """Return its name and a value of it, for the tests."""
        return self.name, self.values[0]

    @property
    def second(self) -> tuple[str, Any]:
        """Return its name and another value of it, for the tests."""
        return self.name, self.values[1]

    @property
    def third(self) -> tuple[str, Any]:
        """Return its name and a third value of it, for the tests."""
        return self.name, self.values[2]

    @property
    def relation(self) -> str:
        """Return the name of the row that it refers to, beside that of its key."""
        return self.name.removesuffix("_id")

    @property
    def required(self) -> bool:
        """Tell whether a POST has to send it."""
        return not self.optional and self.default is None


class Code(str):
    """Text that is Python already."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def times(letter: str, count: int) -> Code:
    """Return the code for a letter, many times."""
    return Code(f'"{letter}"') if count == 1 else Code(f'"{letter}" * {count}')


def code(value: Any) -> str:
    """Return the code of a value, with the quotes that formatters like."""
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(code, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(code, value))})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{code(name)}: {code(one)}" for name, one in value.items()) + "}"
    return repr(value)


def bounds(arguments: list[str], least: int, most: int, *, same: bool = False) -> tuple[int, int]:
    """Return the bounds that a type is given, as 0..100, 0.. or ..100; they may be the `same`."""
    if not arguments:
        return least, most
    match = re.fullmatch(r"(-?\d+)?\.\.(-?\d+)?", arguments[0])
    if len(arguments) > 1 or match is None or not (match[1] or match[2]):
        raise FieldError(f"({','.join(arguments)}) are no bounds: write (0..100), or (0..)")
    low, high = int(match[1] or least), int(match[2] or most)
    if not (least <= low <= high <= most and high > low - same):
        raise FieldError(f"({arguments[0]}) are no bounds: they are in order, from {least} to {most}")
    return low, high


def number_of(text: str) -> int:
    """Return a count, of letters or digits."""
    if not re.fullmatch(r"[1-9]\d{0,4}", text):
        raise FieldError(f"({text}) is no length: write a number from 1 on")
    return int(text)


class Types:
    """What each type makes of a field."""

    def __init__(self, resource: str, plural: str, service: Any) -> None:
        """Remember for which resource, of which service."""
        self.resource = resource
        self.plural = plural
        self.service = service

    def text_values(self, one: Column, least: int, most: int) -> None:
        """Set what is alike for text."""
        one.bounds = least, most
        one.alias = f"Annotated[str, Text({most}{f', min_length={least}' if least else ''})]"
        short = [times("x", least)] if least else [""]
        one.accepted = [*(short if least != most else []), times("x", most), times("\\U0001f600", most)]
        one.refused = [*([times("x", least - 1) if least > 1 else ""] if least else []), times("x", most + 1)]
        one.refused += [times("\\x00", max(least, 1)), 1]
        first, second = (words(one.name)[:most], f"other {words(one.name)}"[:most])
        if len(first) < least or first == second:
            first, second = times("a", most), times("b", most)
        one.values = (
            first,
            second,
            f"third {words(one.name)}"[:most] if len(second) > 5 and most > 5 else times("c", most),
        )

    def string(self, one: Column, arguments: list[str]) -> None:
        """Take text of a length."""
        if arguments and ".." in arguments[0]:
            least, most = bounds(arguments, 0, 10_000, same=True)
        else:
            [most] = map(number_of, arguments or ["255"])
            least = 0 if one.optional else 1
        if (one.index or one.unique) and most > INDEXED:
            raise FieldError(f"an index holds {INDEXED} characters of each database: write string({INDEXED}), or less")
        if most > 10_000:
            raise FieldError("a string has at most 10000 characters: take text")
        one.column = [f"String({most})"]
        self.text_values(one, least, most)

    def text(self, one: Column, arguments: list[str]) -> None:
        """Take text without an index."""
        self.no_index(one)
        [most] = map(number_of, arguments or ["10000"])
        if most > 16_000:
            raise FieldError("MySQL holds 16000 characters of text: write text(16000), or less")
        one.column = ["Text"]
        self.text_values(one, 0 if one.optional else 1, most)

    def email(self, one: Column, arguments: list[str]) -> None:
        """Take an address, in small letters."""
        self.no_arguments(arguments)
        one.column = ["String(limits.EMAIL)"]
        one.accepts = "Email"
        domain = "@example.com"
        one.values = f"one{domain}", f"other{domain}", f"third{domain}"
        one.accepted = ["a@b", f"a.b+c{domain}", Code('"a" * 252 + "@b"')]
        one.refused = ["", "ada", "@b", "a@", "a b@c", "a@-b", Code('"a" * 253 + "@b"')]
        one.forms = [("One@Example.COM", "one@example.com")]

    def integer(self, one: Column, arguments: list[str], most: int = INTEGER) -> None:
        """Take a whole number."""
        least, high = bounds(arguments, -most - 1, most)
        given = [f"ge={least}"] if least != -INTEGER - 1 else []
        given += [f"le={self.power(high)}"] if high != INTEGER else []
        if most == BIG_INTEGER:
            one.column = ["BigInteger"]
            given = [f"ge={self.power(least)}", f"le={self.power(high)}"]
        one.python = one.answers = "int"
        one.alias = f"Annotated[int, Whole({', '.join(given)})]"
        one.searches = f"Annotated[int, Whole({', '.join([*given, 'digits=True'])})]"
        if arguments:
            one.check = " AND ".join(
                [
                    *([f"{one.name} >= {least}"] if least > -most - 1 else []),
                    *([f"{one.name} <= {high}"] if high < most else []),
                ]
            )
        first = 1 if least <= 1 and high >= 3 else least
        if one.unique and high < first + 2:
            raise FieldError("there are too few values to be unique: leave :unique out")
        one.values = first, first + 1, first + 2
        one.bounds = least, high
        one.accepted = [self.literal(least), self.literal(high)]
        one.refused = [self.literal(least - 1), self.literal(high + 1), 0.5, "1", True]

    def bigint(self, one: Column, arguments: list[str]) -> None:
        """Take a whole number beyond 2**31."""
        self.integer(one, arguments, BIG_INTEGER)

    @staticmethod
    def power(value: int) -> str:
        """Return a bound as people read it."""
        return {BIG_INTEGER: "limits.BIG_INTEGER", -BIG_INTEGER - 1: "-limits.BIG_INTEGER - 1"}.get(value, str(value))

    @staticmethod
    def literal(value: int) -> Any:
        """Return a bound as people read it, in a test."""
        for power in (31, 63):
            near = {2**power - 1: " - 1", 2**power: ""}.get(abs(value)) or ("" if abs(value) == 2**power else None)
            if abs(value) == 2**power + 1:
                near = " - 1" if value < 0 else " + 1"
            if near is not None:
                return Code(f"{'-(2**' if value < 0 else '2**'}{power}{')' if value < 0 else ''}{near}")
        return value

    def decimal(self, one: Column, arguments: list[str]) -> None:
        """Take an exact number."""
        signed = arguments[2:] != ["0.."]
        sizes = arguments[: 2 if signed is False else None] or ["10", "2"]
        if len(sizes) != 2:
            raise FieldError("write decimal(10,2), and decimal(10,2,0..) for those from 0 on")
        digits, decimals = map(number_of, sizes)
        if not decimals < digits <= 15 or decimals > 6:
            raise FieldError(
                f"({digits},{decimals}): at most 15 digits, which SQLite keeps, and 6 of them decimals, which JSON"
                " writes out; fewer than digits"
            )
        one.python, one.answers = "Decimal", "Decimal"
        one.bounds = digits, decimals
        one.column = [f"Numeric({digits}, {decimals})"]
        one.alias = f"Annotated[Decimal, Amount({digits}, {decimals}{', signed=True' if signed else ''})]"
        one.check = None if signed else f"{one.name} >= 0"
        zero, unit = (f"{number:.{decimals}f}" for number in (0, 10**-decimals))
        most = f"{'9' * (digits - decimals)}.{'9' * decimals}"
        one.values = tuple(f"{number:.{decimals}f}" for number in (1, 2, 3))
        one.accepted = [*([f"-{most}"] if signed else []), zero, unit, most]
        beyond = f"1{'0' * (digits - decimals)}.{'0' * decimals}"
        one.refused = [f"-{beyond if signed else unit}", f"0.{'0' * decimals}1", beyond, "1e3", "", True]
        one.forms = [("1", f"{1:.{decimals}f}"), (1.5, f"{1.5:.{decimals}f}"), (-0.0, zero)]

    def boolean(self, one: Column, arguments: list[str]) -> None:
        """Take yes or no."""
        self.no_arguments(arguments)
        if one.index or one.unique:
            raise FieldError("an index on two values finds nothing faster: leave it out")
        one.python, one.accepts, one.answers = "bool", "StrictBool", "bool"
        one.values = True, False, True
        one.accepted = [True, False]
        one.refused = ["true", 1]

    def date(self, one: Column, arguments: list[str]) -> None:
        """Take a day."""
        self.no_arguments(arguments)
        one.python, one.accepts, one.answers = "date", "Date", "date"
        one.values = "2026-01-31", "2026-02-28", "2026-03-31"
        one.accepted = ["1000-01-01", "9999-12-31"]
        one.refused = ["", "2026-02-29", "10000-01-01", "today", 1, True]

    def datetime(self, one: Column, arguments: list[str]) -> None:
        """Take a moment, with its zone."""
        self.no_arguments(arguments)
        one.python, one.accepts, one.answers = "datetime", "Moment", "AwareDatetime"
        one.values = "2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z", "2026-03-31T12:00:00Z"
        one.accepted = ["1000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
        one.refused = ["", "2026-01-31T12:00:00", "2026-02-29T12:00:00Z", "0001-01-01T00:00:00+14:00", "now", 1, True]
        one.forms = [("2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00Z")]

    def uuid(self, one: Column, arguments: list[str]) -> None:
        """Take a UUID."""
        self.no_arguments(arguments)
        one.python, one.accepts, one.answers = "UUID", "UUID", "UUID"
        one.values = tuple(f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
        one.accepted = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
        one.refused = ["", "00000000-0000-4000-8000-00000000000", "x", 1, True]

    def enum(self, one: Column, arguments: list[str]) -> None:
        """Take one of some values."""
        if len(arguments) < 2:
            raise FieldError("an enum needs its values, two of them or more: enum(new,paid)")
        for value in arguments:
            if not re.fullmatch(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", value) or len(value) > LONGEST:
                raise FieldError(
                    f"{value!r} is no value of an enum: take small letters and digits, with - or _ between"
                )
        one.members = [(value.upper().replace("-", "_"), value) for value in arguments]
        if len({name for name, _ in one.members}) < len(arguments):
            raise FieldError("two values of the enum are the same")
        if one.unique:
            raise FieldError("there would be one row for each value at most: leave :unique out")
        one.python = one.accepts = one.answers = f"{pascal(self.resource)}{pascal(one.name)}"
        one.values = arguments[0], arguments[1], arguments[-1]
        one.accepted = list(arguments)
        one.refused = ["", f"no {arguments[0]}", 1]

    def json(self, one: Column, arguments: list[str]) -> None:
        """Take an object of JSON."""
        self.no_arguments(arguments)
        self.no_index(one)
        one.python, one.accepts, one.answers = "dict[str, Any]", "JsonObject", "dict[str, Any]"
        one.column = ["JSON(none_as_null=True)"]
        one.values = {"a": 1}, {"b": [True, None]}, {}
        deep = Code("[" * 20 + "]" * 20)
        one.accepted = [{}, {"a": {"b": ["x", 1, 0.5, True, None]}}, {"a": Code('"\\x00"')}, {"a": deep}]
        one.refused = [[], "x", 1, {"a": Code("1e301")}, {"a": Code(f"[{deep}]")}]

    def references(self, one: Column, arguments: list[str]) -> None:
        """Take a row of another table."""
        cascades = [word for word in arguments if word in CASCADES]
        cascade = cascades[0] if cascades else "restrict"
        tables = [word for word in arguments if word not in CASCADES]
        if len(tables) > 1 or len(cascades) > 1:
            raise FieldError(f"write references(table), or references(table,{'|'.join(CASCADES)})")
        table = tables[0] if tables else pluralize(one.name)
        parents = self.service.tables
        if table == self.plural:
            raise FieldError("a reference to the resource itself: add it without, and then this column by hand")
        if table not in parents:
            close = difflib.get_close_matches(table, parents, n=1)
            hint = f"did you mean references({close[0]})?" if close else f"there are {', '.join(sorted(parents))}"
            raise FieldError(f"there is no table {table!r} to refer to; {hint}")
        parent = one.parent = parents[table]
        if not parent["key"] or parent["key_type"] not in {"int", "bigint", "uuid"}:
            raise FieldError(f"the key of {table} is not one number or UUID: write this field by hand")
        if one.unique or one.index:
            raise FieldError("a reference is indexed anyway: leave it out")
        if one.name.endswith("_id"):
            raise FieldError(f"its column gets the _id: write {one.name.removesuffix('_id')}:references({table})")
        if cascade == "null" and not one.optional:
            raise FieldError(f"what becomes null must be optional: {one.name}:references({','.join(arguments)})?")
        if one.nested and not parent["read"]:
            raise FieldError(
                f"{table} has no schema {parent['model']}Read in app/schemas to be nested: leave :nested out"
            )
        if one.nested and parent["nests"]:
            raise FieldError(f"what is read of {table} has rows of others in it: leave :nested out")
        one.on_delete = cascade
        one.name += "_id"
        one.index = True
        uuid = parent["key_type"] == "uuid"
        one.python = one.answers = "UUID" if uuid else "int"
        key = f'ForeignKey("{table}.{parent["key"]}"'
        one.column = [key + (f', ondelete="{CASCADES[cascade]}")' if CASCADES[cascade] else ")")]
        big = ", le=limits.BIG_INTEGER" if parent["key_type"] == "bigint" else ""
        one.alias = None if uuid else f"Annotated[int, Whole(ge=1{big})]"
        one.accepts = "UUID" if uuid else ""
        one.searches = "UUID" if uuid else "BigIdentifier" if big else "Identifier"
        beyond = Code("2**63" if big else "2**31")
        one.refused = ["", "x", True] if uuid else [0, beyond, 0.5, "1", True]
        one.values = ("00000000-0000-4000-8000-000000000001" if uuid else Code("2**31 - 1"),)

    @staticmethod
    def no_arguments(arguments: list[str]) -> None:
        """Refuse arguments."""
        if arguments:
            raise FieldError(f"it takes no arguments: leave ({','.join(arguments)}) out")

    @staticmethod
    def no_index(one: Column) -> None:
        """Refuse an index."""
        if one.index or one.unique:
            raise FieldError(
                f"databases do not index {one.type} alike: leave :{'index' if one.index else 'unique'} out"
            )


TYPES = ["string", "text", "email", "integer", "bigint", "decimal", "boolean", "date", "datetime", "uuid", "enum",
         "json", "references"]  # fmt: skip
FLAGS = ("unique", "index", "nested")


def split(text: str) -> list[str]:
    """Return the fields of a text: white space is between them, but in parentheses it is nothing."""
    fields, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter.isspace():
            fields += [""] if depth <= 0 and fields[-1] else []
        else:
            fields[-1] += letter
    if depth > 0:
        raise FieldError("a ( is not closed: close it, or write a default that has one by hand, later")
    return [one for one in fields if one]


FORM = re.compile(r"([^:()?=]*)(?::([^:()?=]*))?(?:\(([^()]*)\))?(\?)?((?::[^:=()?]*)*)(?:=(.*))?")


def field_fault(name: str, kind: str | None, reserved: set[str]) -> str | None:
    """Return why there is no such field, or None."""
    if fault := word_fault(name, "every resource", OWN_COLUMNS | OF_PAGES | OF_MODELS | OF_ANSWERS | IN_CLASSES):
        return fault
    if name in OF_SCHEMAS or name.startswith("model_"):
        return f"{name!r} is a name that Pydantic uses itself: take another one"
    if kind != "references" and name in reserved:
        return f"{name!r} is a word of SQL: take another name"
    if kind is None:
        return f"of which type? {name}:string, say; there are {', '.join(TYPES)}"
    if kind not in TYPES:
        close = difflib.get_close_matches(kind, TYPES, n=1)
        return f"there is no type {kind!r}; " + (
            f"did you mean {close[0]}?" if close else f"there are {', '.join(TYPES)}"
        )
    return None


def set_flags(one: Column, flags: list[str]) -> None:
    """Give a field what is written behind its type."""
    for flag in flags:
        if flag not in FLAGS:
            raise FieldError(f"there is no :{flag}; there are :unique, :index, and :nested for a reference")
        setattr(one, flag, True)
    if one.unique and one.index:
        raise FieldError(":unique is an index already: take one of the two")
    if one.nested and one.type != "references":
        raise FieldError(":nested is for references: leave it out")


def parse(text: str, types: Types) -> Column:
    """Return a field."""
    match = FORM.fullmatch(text)
    if match is None:
        raise FieldError(
            "this is no field: write name:type, name:type(arguments), then ? or :unique or :index, then =default"
        )
    name, kind, arguments, optional, flags, default = match.groups()
    if fault := field_fault(name, kind, types.service.reserved):
        raise FieldError(fault)
    one = Column(name, kind, optional=optional is not None)
    set_flags(one, flags.split(":")[1:])
    if arguments is not None and not all(arguments.split(",")):
        missing = f"({arguments}) has an argument too few"
        raise FieldError(missing if arguments else "there is nothing between the parentheses")
    getattr(types, kind)(one, arguments.split(",") if arguments else [])
    if one.alias:
        one.accepts = pascal(one.name)
        if one.accepts in TAKEN:
            one.accepts = pascal(types.resource) + one.accepts
    one.searches = one.searches or one.accepts
    one.answers = one.answers or "str"
    (one.accepted if one.optional else one.refused).insert(0, None)
    if default is not None:
        set_default(one, default)
    return one


def set_default(one: Column, text: str) -> None:
    """Give a field a default."""
    if one.type not in DEFAULTS:
        raise FieldError(f"a default is for {', '.join(DEFAULTS)}: leave ={text} out")
    if one.optional:
        raise FieldError(f"a field that may be null is null by default: leave out the ?, or ={text}")
    if one.unique:
        raise FieldError(f"a default would be taken by the first row: leave out :unique, or ={text}")
    one.default, one.default_code, server = DEFAULTS[one.type](one, text)
    one.column.append(f"server_default={server}")


def default_boolean(one: Column, text: str) -> tuple[Any, str, str]:
    """Return a default, its code, and that for the server."""
    if text not in ("true", "false"):
        raise FieldError(f"={text}: a boolean is true or false")
    one.values = text == "true", text != "true", text == "true"
    return text == "true", text.capitalize(), f"{text}()"


def default_enum(one: Column, text: str) -> tuple[Any, str, str]:
    """Return a default, its code, and that for the server."""
    names = {value: f"{one.python}.{member}" for member, value in one.members}
    if text not in names:
        hint = ": write :index and the like before it" if ":" in text else ""
        raise FieldError(f"={text} is none of {', '.join(names)}{hint}")
    return text, names[text], names[text]


def default_string(one: Column, text: str) -> tuple[Any, str, str]:
    """Return a default, its code, and that for the server."""
    least, most = one.bounds
    if not max(least, 1) <= len(text) <= most or not text.isprintable():
        raise FieldError(f"={text} does not fit: it is printable text of {max(least, 1)} to {most} characters")
    return text, code(text), code(text)


def default_decimal(one: Column, text: str) -> tuple[Any, str, str]:
    """Return a default, its code, and that for the server."""
    digits, decimals = one.bounds
    sign = "" if one.check else "-?"
    if not re.fullmatch(rf"{sign}[0-9]{{1,{digits - decimals}}}(\.[0-9]{{1,{decimals}}})?", text):
        raise FieldError(f"={text} does not fit decimal({digits},{decimals}{',0..' if one.check else ''})")
    amount = f"{Decimal(text) + 0:.{decimals}f}"
    return amount, f'Decimal("{amount}")', f'"{amount}"'


def default_number(one: Column, text: str) -> tuple[Any, str, str]:
    """Return a default, its code, and that for the server."""
    least, most = one.bounds
    if not re.fullmatch(r"-?[0-9]+", text) or not least <= int(text) <= most:
        raise FieldError(f"={text} does not fit: it is a number from {least} to {most}")
    return int(text), str(int(text)), f'"{int(text)}"'


DEFAULTS: dict[str, Callable[[Column, str], tuple[Any, str, str]]] = {
    "string": default_string,
    "integer": default_number,
    "bigint": default_number,
    "decimal": default_decimal,
    "boolean": default_boolean,
    "enum": default_enum,
}
"""The types that may have a default."""


def makers(fields: list[Column], tables: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of which the tests need a row, each after those to which it refers itself.

    Raises:
        FieldError: One of them cannot be made.

    """
    found: dict[str, dict[str, Any]] = {}
    needs: Counter[str] = Counter()

    def visit(table: str, field: str) -> None:
        needs[table] += 1
        if not tables[table]["path"] or tables[table]["fault"]:
            why = tables[table]["fault"] or "no POST of the service returns its model"
            raise FieldError(f"{field}: the tests could not make a row of {table}: {why}")
        for other in tables[table]["parents"].values():
            visit(other, field)
        found[table] = tables[table]

    for one in fields:
        if one.parent:
            visit(one.parent["table"], one.name)
    for table, parent in found.items():
        parent["one"] = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parent["model"]).lower()
        parent["a_one"] = with_article(parent["one"])
        parent["varied"] = parent["unique"] if needs[table] > 1 else {}
        if parent["varied"] is None:
            raise FieldError(f"the tests could not make two rows of {table}: each needs values of its own")
    for parent in found.values():
        parent["makers"] = {name: found[table]["one"] for name, table in parent["parents"].items()}
    return list(found.values())


def name_faults(answers: dict[str, str], service: Any) -> Iterator[str]:
    """Return what is wrong with the names of the resource, a line for each."""
    name = answers.get("name", "")
    plural = answers.get("plural") or pluralize(name or "x")
    if not name:
        yield f"name: what is it called? {ANSWERS['name']}"
        return
    taken = OF_ROUTES | OF_TESTS | {name for name in dir(builtins) if name.islower()}
    for question, word in (("name", name), ("plural", plural)):
        fault = word_fault(word, "the code around it", taken)
        if fault is None and question == "plural" and word in service.reserved:
            fault = f"{word!r} is a word of SQL: say plural=..."
        if fault is None and word in ("base", "types", "rules", "tracking", "health", "json_object"):
            fault = f"{word!r} is a module that there is already: take another name"
        if fault:
            yield f"{question}: {fault}"
            return
    if pascal(name) in TAKEN:
        yield f"name: {name!r} is a name that the code uses itself: take another one"
    if plural.startswith("sqlite_"):
        yield f"plural: {plural!r} is a name of SQLite's own: take another one"
    if plural in service.tables:
        yield f"plural: there is a table {plural!r} already: take another name"
    elif pascal(name) in {table["model"] for table in service.tables.values()}:
        yield f"name: there is a model {pascal(name)} already: take another name"


def shared_names(model: str, fields: list[Column]) -> Iterator[str]:
    """Return which names would be given twice, a line for each."""
    modules = Counter([model, *(model + kind for kind in ("Create", "Update", "Search", "Read"))])
    modules.update(TAKEN)
    modules.update(one.accepts for one in fields if one.alias)
    enums = Counter(one.python.lower() for one in fields if one.members)  # a check is named after each
    modules.update({one.python for one in fields if one.members})
    columns = Counter(one.name for one in fields) + Counter(one.relation for one in fields if one.nested)
    kinds = Counter(one.python.partition("[")[0] for one in fields)
    for one in fields:
        of_others = kinds[one.name] - (one.python.partition("[")[0] == one.name)
        if columns[one.name] > 1 or (one.nested and columns[one.relation] > 1):
            yield f"fields: {one.name}: there is a field of this name already"
        elif one.alias and modules[one.accepts] > 1:
            yield f"fields: {one.name}: {one.accepts} is a name that the code uses itself: take another one"
        elif one.members and (modules[one.python] > 1 or enums[one.python.lower()] > 1):
            yield f"fields: {one.name}: {one.python} is a name that the code uses itself: take another one"
        elif one.name == one.python and one.unique:
            yield f"fields: {one.name}: one that is unique needs a name of its own, not that of its type"
        elif of_others:
            yield f"fields: {one.name}: another field is of this type: take another name"


def context(answers: dict[str, str], service: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what the files are rendered with, and what is wrong with the answers, a line for each."""
    lines = list(name_faults(answers, service))
    name = answers.get("name", "")
    plural = answers.get("plural") or pluralize(name or "x")
    fields: list[Column] = []
    texts = []
    try:
        texts = split(answers.get("fields", ""))
    except FieldError as fault:
        lines.append(f"fields: {fault}")
    if not texts and not lines:
        lines.append(f"fields: a resource has some; {ANSWERS['fields']}")
    for text in texts:
        try:
            fields.append(parse(text, Types(name, plural, service)))
        except FieldError as fault:
            lines.append(f"fields: {text}: {fault}")
    lines += shared_names(pascal(name), fields)
    parents = []
    try:
        parents = makers(fields, service.tables)
    except FieldError as fault:
        lines.append(f"fields: {fault}")
    for one in fields:
        longest = f"fk_{plural}_{one.name}_{one.parent['table']}" if one.parent else f"ix_{plural}_{one.name}_id"
        if len(longest) > 63:
            lines.append(f"fields: {one.name}: {longest} is too long for the name of a constraint: take shorter names")
    letters = sum(one.bounds[1] for one in fields if one.type == "string")
    if service.answers["database"] == "mysql" and letters > 16_000:
        lines.append(f"fields: strings of {letters} characters, and a row of MySQL holds 16000: take text for some")
    described = answers.get("description") or f"{with_article(name or 'x').capitalize()}."
    described += "" if described[-1] in ".!?" else "."
    if '"' in described or "\\" in described or not described.isprintable() or not 1 < len(described) <= 76:
        lines.append("description: take one sentence of at most 76 letters, without quotes and backslashes")
    model = pascal(name)
    referred = Counter(one.parent["table"] for one in fields if one.parent)
    return {
        "name": name,
        "plural": plural,
        "table": plural,
        "model": model,
        "path": plural.replace("_", "-"),
        "one": words(name),
        "a_one": with_article(name or "x"),
        "many": words(plural),
        "description": described,
        "message": words(plural).capitalize(),
        "fields": fields,
        "code": code,
        "words": words,
        "pascal": pascal,
        "parents": parents,
        "references": [one for one in fields if one.parent],
        "filters": [one for one in fields if one.index],
        "nested": [one for one in fields if one.nested],
        "ambiguous": {table for table, number in referred.items() if number > 1},
        "enums": [one for one in fields if one.members],
        "unique": dict(one.third for one in fields if one.unique),
        "defaults": {one.name: one.default for one in fields if not one.required},
        "forms": {one.name: one.forms for one in fields if one.forms},
        "has_json": any(one.type == "json" for one in fields),
    }, lines
