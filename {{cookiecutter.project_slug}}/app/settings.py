"""Settings: read once from the environment and `.env`, and validated."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    SettingsConfigDict,
    SettingsError,
)
from sqlalchemy import URL

from app.database.url import parse_url

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE if (PACKAGE / "pyproject.toml").exists() else PACKAGE.parent
"""The project's folder; of a wheel, the package's, in which there are its files."""

MILLISECOND = 0.001
DAY = 86_400.0
"""Bounds for times, in seconds: servers count them in milliseconds."""

DatabaseURL = Annotated[URL, NoDecode, PlainValidator(parse_url)]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class Settings(BaseSettings):
    """One field for each environment variable; unknown keys are ignored.

    Times are in seconds. A variable in the environment wins over `.env`; one that is
    empty counts as not set.
    """

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database_url: DatabaseURL = Field(
        description="Where the database is. Percent-encode special characters in "
        "the password: `@` is `%40`, `/` is `%2F`, `:` is `%3A`, `%` is `%25`."
    )
    database_read_url: DatabaseURL | None = None
    """Where to read what is not about to be written: a replica."""
    database_pool_size: int = Field(default={{ cookiecutter._databases[cookiecutter.database].pool_size }}, ge=1)
    """Connections that a process keeps open."""
    database_max_overflow: int = Field(default=0, ge=0)
    """Connections beyond those, which are opened for one use."""
    database_pool_timeout: float = Field(default=30, ge=MILLISECOND, le=DAY)
    """How long a request waits for a connection."""
    database_pool_recycle: int = Field(default=3600, ge=-1)
    """Age at which one is replaced; -1: never."""
    database_pool_pre_ping: bool = True
    """Test a connection that was idle for a second before it is used."""
    database_echo: bool = False
    """Log every statement."""
    database_echo_pool: bool = False
    """Log what the pool does."""
    database_hide_parameters: bool = True
    """Leave values out of that log and of errors."""
    database_slow_query: float = Field(default=0, ge=0, le=DAY)
    """Log statements that take longer; 0: none."""
    database_statement_timeout: float = Field(default=15, ge=MILLISECOND, le=DAY)
    """How long one statement, or lock, may take."""
    database_startup_timeout: float = Field(default=30, ge=0, le=DAY)
    """How long startup waits for the server."""
    database_prepare_on_startup: bool = False
    """Create or upgrade the database at startup; false: only verify."""
    log_format: Literal["text", "json"] = "text"
    """`json`: each line of the log is an object."""
    log_level: Annotated[Level, BeforeValidator(str.upper)] = "INFO"
    """Leave less important lines out of the log."""
{% if cookiecutter.database == "postgresql" %}
    database_pgbouncer: bool = False
    """The URL is that of PgBouncer in transaction mode."""
{% endif %}


@lru_cache
def get_settings() -> Settings:
    """Return the settings of this process.

    Raises:
        SystemExit: One line for each setting that is missing or wrong. The values
            are left out, since one of them holds a password.
    """
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        place = Path(str(Settings.model_config["env_file"])).name
        message = f"Wrong settings (environment or {place}): " + "; ".join(lines)
    except SettingsError as error:
        message = f'Wrong settings: {error}: write it as JSON, ["a", "b"], say'
    except (OSError, UnicodeError) as error:
        message = f"Wrong settings: .env cannot be read as UTF-8: {error}"
    raise SystemExit(message)
