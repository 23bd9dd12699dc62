"""The users table."""

from sqlalchemy import String, true
from sqlalchemy.orm import Mapped, mapped_column

from app import limits
from app.models.base import Entity


class User(Entity):
    """Somebody who is known by an e-mail address."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(limits.EMAIL), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    is_active: Mapped[bool] = mapped_column(server_default=true())
