{% set mysql = cookiecutter.database == "mysql" %}
"""Idempotency keys."""

from sqlalchemy import LargeBinary, String, Text
{% if mysql %}
from sqlalchemy.dialects.mysql import MEDIUMBLOB
{% endif %}
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import BigEntity

{% if mysql %}
BODY = LargeBinary().with_variant(MEDIUMBLOB(), "mysql")
"""16 MiB, where a plain one holds 64 KiB."""
{% endif %}

class IdempotencyKey(BigEntity):
    """A request that was done, and its answer: stored in the same transaction."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(64), unique=True)
    """A hash of the client's key, and of who has sent it where."""
    request: Mapped[str] = mapped_column(String(64))
    """A hash of what was asked for."""
    status: Mapped[int] = mapped_column(default=0)
    headers: Mapped[str] = mapped_column(Text, default="")
    body: Mapped[bytes] = mapped_column({{ "BODY" if mysql else "LargeBinary" }}, default=b"")
