"""What is there already: run by the Python of a service, in its folder; prints JSON."""

import contextlib
import io
import json
import re
import sys
from typing import get_args

sys.path.insert(0, "")

from app.api.routes import find_routers
from app.models.base import Base
from sqlalchemy import BigInteger, Integer, UniqueConstraint, Uuid
from sqlalchemy.dialects import mysql, postgresql, sqlite

TEXTS = ["x", "a@example.com", "1", "1.00", "2026-01-31", "2026-01-31T12:00:00Z", "xxxxxxxxxx"]
FORMATS = {
    "uuid": "00000000-0000-4000-8000-000000000001",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "a@example.com",
    "uri": "https://example.com/",
}


class UnknownValueError(ValueError):
    """Nobody can tell which value a field takes."""


def text_for(schema):
    """Return text that a schema takes."""
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    texts = [*TEXTS, "x" * schema.get("minLength", 1)]
    for text in texts:
        long_enough = schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
        if long_enough and re.search(schema.get("pattern", ""), text):
            return text
    raise UnknownValueError


def number_for(schema):
    """Return a number that a schema takes."""
    least, most = schema.get("minimum", 1), schema.get("maximum", 1)
    return min(max(1, least), max(most, least))


def value_for(schema, definitions):
    """Return a value that a schema takes."""
    several = [name for name in ("anyOf", "oneOf", "allOf") if name in schema]
    kind, value = schema.get("type"), None
    if "$ref" in schema:
        value = value_for(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    elif several:
        value = value_for(schema[several[0]][-1 if several == ["anyOf"] else 0], definitions)
    elif "const" in schema or "enum" in schema:
        value = schema.get("const", schema.get("enum", [None])[0])
    elif kind == "object":
        value = {name: value_for(schema["properties"][name], definitions) for name in schema.get("required", [])}
    elif kind == "array":
        value = [value_for(schema["items"], definitions)] * schema.get("minItems", 0)
    elif kind in ("integer", "number"):
        value = number_for(schema)
    elif kind == "string":
        value = text_for(schema)
    elif kind == "boolean":
        value = False
    elif kind != "null":
        raise UnknownValueError
    return value


def key_type(column):
    """Return what identifies a row."""
    kinds = {BigInteger: "bigint", Integer: "int", Uuid: "uuid"}
    return next((name for kind, name in kinds.items() if isinstance(column.type, kind)), "")


def varied(value, schema):
    """Return the code for a value that is another one each time."""
    if isinstance(value, bool) or "enum" in schema or not isinstance(value, int | str):
        return None
    if schema.get("format") == "uuid":
        return 'f"00000000-0000-4000-8000-{next(NUMBERS):012}"'
    if isinstance(value, int):
        return f"{value} + next(NUMBERS)" if value else "next(NUMBERS)"
    if "format" in schema and schema["format"] != "email":
        return None
    if schema.get("maxLength", 9) > len(value) + 2 and re.search(schema.get("pattern", ""), f"1{value}"):
        return f'f"{{next(NUMBERS)}}{value}"'
    return None


def unique_columns(table):
    """Return the names of the columns of which no two rows have the same value."""
    names = {column.name for column in table.columns if column.unique}
    for one in (*table.constraints, *table.indexes):
        if isinstance(one, UniqueConstraint) or getattr(one, "unique", False):
            names |= {column.name for column in one.columns}
    return names


def nests(schema):
    """Tell whether a schema has others in it."""
    fields = getattr(schema, "model_fields", {}).values()
    kinds = (one for field in fields for one in (field.annotation, *get_args(field.annotation)))
    return any(hasattr(one, "model_fields") for one in kinds)


def ways_in():
    """Yield the path and the body of each POST, the model that it returns, and whether there is a DELETE, too."""
    for router in find_routers():
        deletes = any("DELETE" in getattr(route, "methods", ()) for route in router.routes)
        for route in router.routes:
            if "POST" in getattr(route, "methods", ()) and route.path == router.prefix:
                model = route.endpoint.__annotations__.get("return")
                body = route.endpoint.__annotations__.get("body")
                yield f"/api/v1{route.path}", body, model, deletes


def tables():
    """Return what is known of each table."""
    posts = {model: (path, body, deletes) for path, body, model, deletes in ways_in()}
    result = {}
    for mapper in Base.registry.mappers:
        table, model = mapper.local_table, mapper.class_
        path, body, deletes = posts.get(model, ("", None, False))
        keys = list(table.primary_key)
        sent, fault = {}, ""
        if body is not None:
            schema = body.model_json_schema()
            try:
                sent = value_for(schema, schema.get("$defs", {}))
            except (UnknownValueError, KeyError):
                fault = f"what POST {path} takes is not plain"
        parents = {}
        for name in sent:
            for key in table.columns[name].foreign_keys if name in table.columns else ():
                parents[name] = key.column.table.name
        unique = {}
        for name in sorted(unique_columns(table) & sent.keys() - parents.keys()):
            form = schema["properties"][name]
            codes = (varied(sent[name], one) for one in form.get("anyOf", [form]))
            unique[name] = next(filter(None, codes), None)
        if None in unique.values():
            unique = None
        module = model.__module__.rpartition(".")[2]
        schemas = f"app.schemas.{module}"
        with contextlib.suppress(ImportError):
            __import__(schemas)
        result[table.name] = {
            "table": table.name,
            "model": model.__name__,
            "module": model.__module__,
            "key": keys[0].name if len(keys) == 1 else "",
            "key_type": key_type(keys[0]) if len(keys) == 1 else "",
            "path": path,
            "body": sent,
            "parents": parents,
            "unique": unique,
            "deletes": deletes,
            "schemas": schemas,
            "read": hasattr(sys.modules.get(schemas), f"{model.__name__}Read"),
            "nests": nests(getattr(sys.modules.get(schemas), f"{model.__name__}Read", None)),
            "fault": fault,
        }
    return result


with contextlib.redirect_stdout(io.StringIO()):
    facts = {
        "tables": tables(),
        "reserved": sorted(
            set().union(*(one.dialect().identifier_preparer.reserved_words for one in (mysql, postgresql, sqlite)))
        ),
    }
print(json.dumps(facts))
