"""What all schemas have in common."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.types import BigIdentifier, Identifier, PageSize

Item = TypeVar("Item")
Key = TypeVar("Key")


class Input(BaseModel):
    """The body of a request. A field that it does not know is an error."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """The body of an answer, read from the attributes of a model."""

    model_config = ConfigDict(from_attributes=True)


def may_be_absent() -> Any:
    """Let PATCH leave a field out; unlike `| None`, this takes no null for it."""
    return Field(default_factory=lambda: None)


class Paging(Input, Generic[Key]):
    """Which page of a list: the rows that follow the last one seen."""

    limit: PageSize = 50
    after: Key | None = Field(default=None, description="The last id seen.")


PageParameters = Paging[Identifier]


class KeyedPage(Output, Generic[Item, Key]):
    """Some rows in the order of their keys, and where the next page begins."""

    items: list[Item]
    next: Key | None = Field(
        description="Pass it as `after` for the next page; null on the last one.",
    )


class Page(KeyedPage[Item, BigIdentifier], Generic[Item]):
    """A page of rows that have numbers."""
