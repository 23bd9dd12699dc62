"""The fields that a request has sent, and where: to say which of them is to blame."""

from typing import Any

from fastapi import Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from pydantic import AliasChoices, AliasPath, TypeAdapter, ValidationError

Place = tuple[str | int, ...]
"""`body`, `query` or `path`, then the names, as the request spells them."""


async def find_fields(request: Request) -> dict[str, list[Place]]:
    """Return where a request has what, by the names that the code has for it."""
    # An error that is raised again is handled again, outside of the route. There, the
    # request does not know that its body was read, and would wait for it for ever.
    if "sent_fields" not in request.scope:
        route = request.scope.get("route")
        found = await search(request, route) if isinstance(route, APIRoute) else {}
        request.scope["sent_fields"] = found
    fields: dict[str, list[Place]] = request.scope["sent_fields"]
    return fields


async def search(request: Request, route: APIRoute) -> dict[str, list[Place]]:
    """Look through what a request has sent to a route."""
    found: dict[str, list[Place]] = {}
    spelled: dict[Any, str] = {}
    for field in get_flat_params(route.dependant):
        spelled[field.validation_alias or field.alias] = field.name
    for where, sent in (("path", request.path_params), ("query", request.query_params)):
        for key in sent:
            found.setdefault(spelled.get(key, key), []).append((where, key))
    todo: list[tuple[Place, Any, Any]] = [(("body",), *await read_body(request, route))]
    while todo:
        place, sent, parsed = todo.pop()
        if isinstance(sent, dict):
            spelled = spellings(type(parsed))
            for key, value in sent.items():
                name = spelled.get(key, key)
                found.setdefault(name, []).append((*place, key))
                todo.append(((*place, key), value, getattr(parsed, name, None)))
        elif isinstance(sent, list):
            rows = parsed if isinstance(parsed, list | tuple) else [None] * len(sent)
            for index, pair in enumerate(zip(sent, rows, strict=False)):
                todo.append(((*place, index), *pair))
    return found


async def read_body(request: Request, route: APIRoute) -> tuple[Any, Any]:
    """Return the body as it was sent, and as the route has parsed it."""
    field = route.body_field
    if field is None:  # nobody has read one, and to wait for it could take for ever
        return None, None
    kind: Any = field.field_info.annotation
    try:
        if isinstance(field.field_info, params.Form):
            sent: Any = dict(await request.form())
        else:
            sent = await request.json()
    except ValueError:  # it is empty, or was not required to be JSON
        return None, None
    try:
        return sent, TypeAdapter(kind).validate_python(sent)
    except ValidationError:
        return sent, None


def spellings(model: type) -> dict[Any, str]:
    """Return the names of a model's fields by their aliases, its generator's too."""
    found: dict[Any, str] = {}
    for name, field in getattr(model, "model_fields", {}).items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        for choice in choices:
            first = choice.path[0] if isinstance(choice, AliasPath) else choice
            found[first or name] = name
    return found
