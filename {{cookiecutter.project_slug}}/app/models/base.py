{% set title = cookiecutter._databases[cookiecutter.database].title %}
"""What all tables have in common."""

from datetime import UTC, datetime{{ ", time" if cookiecutter.database == "mysql" }}
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
{% if cookiecutter.database != "mysql" %}
    DateTime,
{% endif %}
    Dialect,
    Enum,
    MetaData,
    TypeDecorator,
    event,
)
{% if cookiecutter.database == "mysql" %}
from sqlalchemy.dialects import mysql
{% endif %}
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.models.tracking import track_changes


class Timestamp(TypeDecorator[datetime]):
{% if cookiecutter.database == "postgresql" %}
    """A moment in UTC with microseconds, timezone-aware in Python everywhere."""
{% else %}
    """A moment in UTC with microseconds, timezone-aware in Python everywhere.

    {{ title }} stores no offset: it is given, and returns, UTC.
    """
{% endif %}

    impl = {{ "mysql.DATETIME(fsp=6)" if cookiecutter.database == "mysql" else "DateTime(timezone=True)" }}
    cache_ok = True
    python_type = datetime

    def process_bind_param(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        # Python would take a naive one for a time of this machine's zone.
        if not isinstance(value, datetime) or value.utcoffset() is None:
            what = "takes a datetime with a time zone, such as datetime.now(UTC)"
            raise ValueError(f"a Timestamp {what}")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise ValueError("a Timestamp is in the years 1 to 9999, in UTC") from None

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,
    ) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class now(FunctionElement[datetime]):  # noqa: N801  (named as in SQL)
    """The server's clock, as a `Timestamp`."""

    type = Timestamp()
    inherit_cache = True


@compiles(now)
def _now(element: now, compiler: SQLCompiler, **options: Any) -> str:
{% if cookiecutter.database == "sqlite" %}
    return "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"
{% else %}
    return "CURRENT_TIMESTAMP{{ "(6)" if cookiecutter.database == "mysql" }}"
{% endif %}


class Base(DeclarativeBase):
    """Every model's base: `Base.metadata` is the whole schema."""

    # Constraints have names, so that migrations can change them and an error that
    # the database reports can be told apart.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Timestamp,
{% if cookiecutter.database == "mysql" %}
        time: mysql.TIME(fsp=6),  # with microseconds, which TIME would cut off
{% endif %}
        # Text, and a check that is easier to change than a type of its own.
        StrEnum: Enum(
            StrEnum,
            native_enum=False,
            create_constraint=True,
            values_callable=lambda enum: [*map(str, enum)],
        ),
    }


event.listen(Mapper, "mapper_configured", track_changes)


@event.listens_for(Mapper, "mapper_configured")
def fetch_defaults(mapper: Mapper[Any], model: type[Any]) -> None:
    """Fetch values that the server makes with the INSERT or UPDATE itself.

    No refresh after a write, and no loading behind the back of a coroutine; whatever
    else a model says in `__mapper_args__`.
    """
    mapper.eager_defaults = True


{% if cookiecutter.database == "sqlite" %}
@compiles(BigInteger, "sqlite")
def _big_integer(element: BigInteger, compiler: Any, **options: Any) -> str:
    return "INTEGER"  # which is as big, and alone numbers its rows by itself


{% endif %}
class Timed(Base):
    """A table with the times at which each row was made and changed, and any key."""

    __abstract__ = True

    created_at: Mapped[datetime] = mapped_column(server_default=now(), sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(
        server_default=now(),
        onupdate=now(),
        sort_order=1,
    )


class Entity(Timed):
    """A table with a number for each row, too."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-1)


class BigEntity(Timed):
    """A table that may have more rows than 2**31; schemas take a `BigIdentifier`."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
