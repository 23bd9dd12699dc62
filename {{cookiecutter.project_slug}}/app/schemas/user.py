"""Users, as clients send and receive them."""

from typing import Annotated

from pydantic import AwareDatetime, StrictBool

from app.schemas.base import Input, Output, may_be_absent
from app.schemas.types import Email, Identifier, Text

Name = Annotated[str, Text(100, min_length=1)]


class UserCreate(Input):
    """A user to store."""

    email: Email
    name: Name
    is_active: StrictBool = True


class UserUpdate(Input):
    """The fields of a user to change."""

    email: Email = may_be_absent()
    name: Name = may_be_absent()
    is_active: StrictBool = may_be_absent()


class UserRead(Output):
    """A user as it is stored."""

    id: Identifier
    email: str
    name: str
    is_active: bool
    created_at: AwareDatetime
    updated_at: AwareDatetime
