"""The fields that a request has sent, and where: to say which of them is to blame."""

from typing import Any, get_args

from fastapi import HTTPException, Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from pydantic import AliasChoices, AliasPath
from starlette.types import Message

from app.web.middleware import BODY

Place = tuple[str | int, ...]
"""`body`, `query` or `path`, then the names, as the request spells them."""

UNREADABLE = (ValueError, HTTPException)
"""What a body raises that is empty, cut off, or no JSON."""


async def find_fields(request: Request) -> dict[str, list[Place]]:
    """Return where a request has what, by the names that the code has for it."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return {}
    names: dict[Any, str] = {}
    for field in get_flat_params(route.dependant):
        names[field.validation_alias or field.alias] = field.name
    todo: list[tuple[Place, Any]] = [(("path",), request.path_params)]
    todo.append((("query",), dict(request.query_params)))
    if route.body_field is not None:  # nobody has read another one
        names |= spellings(route.body_field.field_info.annotation)
        is_form = isinstance(route.body_field.field_info, params.Form)
        todo.append((("body",), await read_body(request, is_form=is_form)))
    found: dict[str, list[Place]] = {}
    while todo:
        place, sent = todo.pop()
        if isinstance(sent, dict):
            for key, value in sent.items():
                found.setdefault(str(names.get(key, key)), []).append((*place, key))
                todo.append(((*place, key), value))
        elif isinstance(sent, list):
            todo += [((*place, index), one) for index, one in enumerate(sent)]
    return found


async def read_body(request: Request, *, is_form: bool) -> Any:
    """Return the body as it was sent, or its first mebibyte."""

    # The server has sent it already: who asks for it again waits for ever.
    async def receive() -> Message:
        return {"type": "http.request", "body": b"".join(request.scope.get(BODY, ()))}

    again = Request(request.scope, receive)
    try:
        return dict(await again.form()) if is_form else await again.json()
    except UNREADABLE:
        return None


def spellings(kind: Any) -> dict[Any, str]:
    """Return by their aliases the names of a model's fields, and of those in them."""
    found: dict[Any, str] = {}
    kinds = [kind]
    for one in kinds:  # which grows
        kinds += [part for part in get_args(one) if part not in kinds]
        for name, field in getattr(one, "model_fields", {}).items():
            alias = field.validation_alias
            choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
            for choice in choices:
                first = choice.path[0] if isinstance(choice, AliasPath) else choice
                found[first or name] = name
            kinds += [field.annotation] if field.annotation not in kinds else []
    return found
