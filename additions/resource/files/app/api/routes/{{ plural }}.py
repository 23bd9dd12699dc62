{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""{{ many | capitalize }}: create, list, read, delete and change."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status
from sqlalchemy.orm import joinedload

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.models.{{ name }} import {{ model }}
from app.schemas.base import Page, PageParameters
{% if filters %}
from app.schemas.{{ name }} import (
    {{ model }}Create,
    {{ model }}Read,
    {{ model }}Search,
    {{ model }}Update,
)
{% else %}
from app.schemas.{{ name }} import {{ model }}Create, {{ model }}Read, {{ model }}Update
{% endif %}
from app.schemas.types import Identifier
from app.web.problems import CREATED, problems
from app.web.queries import get_or_404, read_page

router = APIRouter(prefix="/{{ path }}", tags=["{{ path }}"], responses=problems(422, 503))
{% if nested %}

NESTED = [{% for field in nested %}joinedload({{ model }}.{{ field.relation }}){{ ", " if not loop.last }}{% endfor %}]
"""What is read with {{ a_one }}."""
{% endif %}
{% set options = ", options=NESTED" if nested %}


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model={{ model }}Read,
    responses=CREATED | problems(400, 409, 413),
)
async def create_{{ name }}(
    body: {{ model }}Create,
    session: DatabaseSession,
    request: Request,
    response: Response,
) -> {{ model }}:
    """Store {{ a_one }}."""
    {{ name }} = {{ model }}(**body.model_dump())
    session.add({{ name }})
    await session.flush()
{% if nested %}
    await session.refresh({{ name }}, {{ code(nested | map(attribute="relation") | list) }})
{% endif %}
    response.headers["Location"] = f"{request.url.path}/{ {{- name }}.id}"
    return {{ name }}


@router.get("", response_model=Page[{{ model }}Read])
async def list_{{ plural }}(
    {{ "search" if filters else "page" }}: Annotated[{{ model ~ "Search" if filters else "PageParameters" }}, Query()],
    session: DatabaseReadSession,
) -> dict[str, Any]:
{% if not filters %}
    """Return a page of {{ many }}."""
    return await read_page(session, {{ model }}, page{{ options }})
{% else %}
    """Return a page of {{ many }}, all of them or those searched for."""
{% if filters | length == 1 %}
{% set field = filters[0].name %}
    conditions = [] if search.{{ field }} is None else [{{ model }}.{{ field }} == search.{{ field }}]
{% else %}
    values = search.model_dump(exclude={"limit", "after"}, exclude_none=True)
    conditions = [getattr({{ model }}, name) == value for name, value in values.items()]
{% endif %}
    return await read_page(session, {{ model }}, search, *conditions{{ options }})
{% endif %}


@router.get("/{ {{- name }}_id}", response_model={{ model }}Read, responses=problems(404))
async def read_{{ name }}({{ name }}_id: Identifier, session: DatabaseReadSession) -> {{ model }}:
    """Return one {{ one }}."""
    return await get_or_404(session, {{ model }}, {{ name }}_id{{ options }})


@router.delete(
    "/{ {{- name }}_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409),
)
async def delete_{{ name }}({{ name }}_id: Identifier, session: DatabaseSession) -> None:
    """Delete {{ a_one }}."""
    {{ name }} = await get_or_404(session, {{ model }}, {{ name }}_id, lock=True)
    await session.delete({{ name }})


@router.patch(
    "/{ {{- name }}_id}",
    response_model={{ model }}Read,
    responses=problems(400, 404, 409, 413),
)
async def update_{{ name }}(
    {{ name }}_id: Identifier,
    body: {{ model }}Update,
    session: DatabaseSession,
) -> {{ model }}:
    """Change the fields that are sent, and only those."""
    {{ name }} = await get_or_404(session, {{ model }}, {{ name }}_id, lock=True)
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr({{ name }}, field, value)
    await session.flush()
{% if nested %}
    await session.refresh({{ name }}, {{ code(nested | map(attribute="relation") | list) }})
{% endif %}
    return {{ name }}
{% endcall %}
