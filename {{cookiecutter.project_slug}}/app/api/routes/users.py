{% from "engine.jinja" import engine with context %}
{% call engine() %}
"""Users: create, list, read, delete and change."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status

from app.dependencies.database import DatabaseReadSession, DatabaseSession
from app.models.user import User
from app.schemas.base import Page, PageParameters
from app.schemas.types import Identifier
from app.schemas.user import UserCreate, UserRead, UserUpdate
from app.web.problems import CREATED, problems
from app.web.queries import get_or_404, read_page

router = APIRouter(prefix="/users", tags=["users"], responses=problems(422, 503))


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=UserRead,
    responses=CREATED | problems(400, 409, 413),
)
async def create_user(
    body: UserCreate,
    session: DatabaseSession,
    request: Request,
    response: Response,
) -> User:
    """Store a user."""
    user = User(**body.model_dump())
    session.add(user)
    await session.flush()
    response.headers["Location"] = f"{request.url.path}/{user.id}"
    return user


@router.get("", response_model=Page[UserRead])
async def list_users(
    page: Annotated[PageParameters, Query()],
    session: DatabaseReadSession,
) -> dict[str, Any]:
    """Return a page of users."""
    return await read_page(session, User, page)


@router.get("/{user_id}", response_model=UserRead, responses=problems(404))
async def read_user(user_id: Identifier, session: DatabaseReadSession) -> User:
    """Return one user."""
    return await get_or_404(session, User, user_id)


@router.delete(
    "/{user_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(404, 409),
)
async def delete_user(user_id: Identifier, session: DatabaseSession) -> None:
    """Delete a user."""
    user = await get_or_404(session, User, user_id, lock=True)
    await session.delete(user)


@router.patch(
    "/{user_id}",
    response_model=UserRead,
    responses=problems(400, 404, 409, 413),
)
async def update_user(
    user_id: Identifier,
    body: UserUpdate,
    session: DatabaseSession,
) -> User:
    """Change the fields that are sent, and only those."""
    user = await get_or_404(session, User, user_id, lock=True)
    for field, value in body.model_dump(exclude_unset=True).items():
        setattr(user, field, value)
    await session.flush()
    return user
{% endcall %}
