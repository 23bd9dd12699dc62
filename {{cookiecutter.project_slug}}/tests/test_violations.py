{% from "engine.jinja" import engine, run_sync with context %}
{% call engine() %}
"""Constraints: whose fault a violation is, and which field of the request is to blame.

The models are the tests' own, with all that may come between a constraint and a field.
"""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Query
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy import (
    CheckConstraint,
    Connection,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
    delete,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database.engine import get_engine
from app.dependencies.database import DatabaseSession
from app.models.base import Base
from app.settings import get_settings
from app.web.problems import problems
from tests.client import Client

PREFIX = "/faults/violations"
router = APIRouter(prefix=PREFIX, responses=problems(409, 422))


class OwnerCreate(BaseModel):
    """A body whose fields have other names than the code has for them."""

    model_config = ConfigDict(alias_generator=to_camel)

    email: str | None = Field(validation_alias=AliasChoices("mail", "e-mail"))
    short_name: str = "ada"


class PetCreate(BaseModel):
    """A part of a body."""

    model_config = ConfigDict(alias_generator=to_camel)

    owner_id: int
    name: str
    age: int = 1
    friend_id: int | None = None


class PetsCreate(BaseModel):
    """A body with others in it."""

    pets: list[PetCreate]


def declare() -> list[Table]:
    """Return the tables, and make the routes that write to them."""

    class Owner(Base):
        __tablename__ = "owners"
        __table_args__ = (Index("one_mail", "e_mail", unique=True),)

        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = mapped_column("e_mail", String(50))
        short_name: Mapped[str] = mapped_column(String(50))

    class Pet(Base):
        __tablename__ = "pets"
        __table_args__ = (
            UniqueConstraint("owner_id", "name"),
            CheckConstraint("age between 0 and 99", name="age_of_a_pet"),
        )

        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[int] = mapped_column(ForeignKey(Owner.id))
        name: Mapped[str] = mapped_column(String(50))
        age: Mapped[int]
        friend_id: Mapped[int | None] = mapped_column(ForeignKey("pets.id"))

    @router.post("/owners", status_code=201)
    async def create_owner(body: OwnerCreate, session: DatabaseSession) -> int:
        owner = Owner(**body.model_dump())
        session.add(owner)
        await session.flush()
        return owner.id

    @router.put("/owners/{owner_id}", status_code=201)
    async def put_owner(
        owner_id: int,
        email: Annotated[str, Query(alias="e-mail")],
        session: DatabaseSession,
    ) -> None:
        session.add(Owner(id=owner_id, email=email, short_name="bob"))

    @router.delete("/owners/{owner_id}", status_code=204)
    async def delete_owner(owner_id: int, session: DatabaseSession) -> None:
        await session.delete(await session.get_one(Owner, owner_id))

    @router.post("/owners/made-up", status_code=201)
    async def make_up_owner(body: dict[str, str], session: DatabaseSession) -> None:
        del body
        session.add(Owner(email="ada@example.com", short_name="made up"))

    @router.post("/owners/forgotten", status_code=201)
    async def forget_name(email: str, session: DatabaseSession) -> None:
        session.add(Owner(email=email))

    @router.post("/pets", status_code=201)
    async def create_pets(body: PetsCreate, session: DatabaseSession) -> None:
        session.add_all([Pet(**pet.model_dump()) for pet in body.pets])

    @router.delete("/pets/{name}", status_code=204)
    async def delete_pet(name: str, session: DatabaseSession) -> None:
        await session.execute(delete(Pet).where(Pet.name == name))

    return [Owner.metadata.tables["owners"], Owner.metadata.tables["pets"]]


def create(connection: Connection, tables: list[Table]) -> None:
    """Create the tables."""
    Base.metadata.create_all(connection, tables)


def remove(connection: Connection, tables: list[Table]) -> None:
    """Drop the tables; they are no longer part of the schema."""
    for table in reversed(tables):
        table.drop(connection)  # drop_all would drop the types of others, too
        Base.metadata.remove(table)


@pytest.fixture(scope="module")
async def owners(app: FastAPI, started_client: Client) -> AsyncIterator[Client]:
    """Return a client of a service that has owners and pets, one of each."""
    tables = declare()
    app.include_router(router)
    async with get_engine().begin() as connection:
        {{ run_sync("create", "tables") }}
    ada = {"mail": "ada@example.com"}
    owner = (await started_client.post(f"{PREFIX}/owners", json=ada)).json()
    assert owner == 1
    for pet in ({"name": "Rex"}, {"name": "Fido", "friendId": 1}):
        body = {"pets": [{"ownerId": owner} | pet]}
        assert (await started_client.post(f"{PREFIX}/pets", json=body)).is_success
    yield started_client
    async with get_engine().begin() as connection:
        {{ run_sync("remove", "tables") }}


TAKEN, MISSING = "is already taken", "refers to something that does not exist"
OTHER = {"ownerId": 1, "name": "Tom"}


@pytest.mark.parametrize(
    ("path", "body", "detail", "places"),
    [
        ("owners", {"mail": "ada@example.com"}, f"email {TAKEN}", ["body.mail"]),
        ("owners", {"e-mail": "ada@example.com"}, f"email {TAKEN}", ["body.e-mail"]),
        ("owners", {"mail": None}, "email must not be null", ["body.mail"]),
        (
            "pets",
            {"pets": [OTHER | {"ownerId": 99}]},
            f"owner_id {MISSING}",
            ["body.pets.0.ownerId"],
        ),
        (
            "pets",
            {"pets": [OTHER | {"name": "Rex"}]},
            f"owner_id and name {TAKEN}",
            ["body.pets.0.ownerId", "body.pets.0.name"],
        ),
        ("pets", {"pets": [OTHER, OTHER]}, f"owner_id and name {TAKEN}", None),
        (
            "pets",
            {"pets": [OTHER | {"age": -1}]},
            "age is outside its bounds",
            ["body.pets.0.age"],
        ),
    ],
)
async def test_field_of_a_body(
    owners: Client,
    path: str,
    body: dict[str, object],
    detail: str,
    places: list[str] | None,
) -> None:
    """A field is named as the request spells it, where it is; of several, none is."""
    response = await owners.post(f"{PREFIX}/{path}", json=body)
    problem = response.json()
    assert problem["detail"] == f"{detail}."
    assert problem["status"] == (409 if TAKEN in detail or MISSING in detail else 422)
    errors = problem.get("errors")
    found = errors and [".".join(map(str, error["loc"])) for error in errors]
    assert found == places


async def test_field_of_a_path_or_query(owners: Client) -> None:
    """What is not in the body is not looked for there."""
    url = f"{PREFIX}/owners/1"
    response = await owners.put(url, params={"e-mail": "bob@example.com"})
    assert response.status_code == 409
    assert response.json()["errors"][0]["loc"] == ["path", "owner_id"]
    response = await owners.put(f"{url}0", params={"e-mail": "ada@example.com"})
    assert response.status_code == 409
    assert response.json()["errors"][0]["loc"] == ["query", "e-mail"]


async def test_row_that_is_referred_to(owners: Client) -> None:
    """Who deletes it hears that, and not that it does not exist."""
    response = await owners.delete(f"{PREFIX}/owners/1")
    assert response.status_code == 409
    assert response.json()["detail"] == "owner_id is still referred to."
    response = await owners.delete(f"{PREFIX}/pets/Rex")
    assert response.status_code == 409
    assert response.json()["detail"] == "A value is still referred to."


async def test_one_of_two_references(owners: Client) -> None:
    """SQLite does not say which one it is, and so nobody does."""
    body = {"pets": [OTHER | {"friendId": 99}]}
    response = await owners.post(f"{PREFIX}/pets", json=body)
    assert response.status_code == 409
    is_named = "friend_id" in response.json()["detail"]
    assert is_named != (get_settings().database_url.get_backend_name() == "sqlite")


@pytest.mark.parametrize("path", ["made-up", "forgotten?email=bob@example.com"])
async def test_value_of_the_service(
    owners: Client,
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the request has not sent is no fault of the client: the log tells why."""
    response = await owners.post(f"{PREFIX}/owners/{path}", json={"note": "ada"})
    assert response.status_code == 500
    assert "errors" not in response.json()
    assert "IntegrityError" in caplog.text
{% endcall %}
