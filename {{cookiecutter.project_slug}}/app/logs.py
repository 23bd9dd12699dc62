{% set clean = "mask" if cookiecutter.database == "sqlite" else "clean" %}
"""What the service says, and where: one form for its own lines and the server's."""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime

{% if cookiecutter.database != "sqlite" %}
from app.database import dialect
{% endif %}
from app.settings import get_settings

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is handled; its tasks and threads inherit it."""

PASSWORDS = (
    re.compile(r"([?&]\w*passw(?:or)?d=)[^\s&]*"),
    re.compile(r"(://[^\s:/@]*:)[^\s/]*(?=@)"),
)
"""In a URL: among its options, then before the last @, since one may hold an @."""

ECHOES = (
    "sqlalchemy.engine.Engine",
    "sqlalchemy.pool.impl.AsyncAdaptedQueuePool",
    "sqlalchemy.pool.impl.QueuePool",
)
"""For DATABASE_ECHO, SQLAlchemy adds a handler to each that has none."""


def mask(text: str) -> str:
    """Return `text` without the passwords of the URLs in it."""
    for password in PASSWORDS:
        text = password.sub(r"\1***", text)
    return text


{% if cookiecutter.database != "sqlite" %}
def clean(text: str) -> str:
    """Return `text` without passwords, and without what a driver quotes of rows."""
    if get_settings().database_hide_parameters:
        text = dialect.without_values(text)
    return mask(text)


{% endif %}
class TextFormatter(logging.Formatter):
    """A line for people, with the id of the request at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s: %(message)s%(request)s")

    def format(self, record: logging.LogRecord) -> str:
        current = request_id.get()
        record.request = f" [{current}]" if current else ""
        return {{ clean }}(super().format(record))


class JSONFormatter(logging.Formatter):
    """A line for programs: an object, with what there is to say."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": {{ clean }}(record.getMessage()),
        }
        if current := request_id.get():
            entry["request_id"] = current
        if record.exc_info:
            entry["exception"] = {{ clean }}(self.formatException(record.exc_info))
        return json.dumps(entry)


def shorten_failed_start(record: logging.LogRecord) -> bool:
    """Leave out the traceback that a server logs when the database is not ready."""
    _, is_it, reason = record.getMessage().rpartition("DatabaseNotReadyError: ")
    if is_it:
        record.msg, record.args = "The database is not ready: %s", (reason.strip(),)
    return True


def configure_logging() -> None:
    """Write the log to stderr, unless whoever runs this process has set it up."""
    settings = get_settings()
{% if cookiecutter.engine == "async" and cookiecutter.database == "mysql" %}
    # It logs the server's notes on names that it does not use.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
{% elif cookiecutter.engine == "async" and cookiecutter.database == "sqlite" %}
    # It logs, when it is to debug, the values in statements.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
{% endif %}
    logging.getLogger("sqlalchemy.pool").setLevel(logging.WARNING)  # that it is closed
    logging.getLogger("uvicorn.error").addFilter(shorten_failed_start)
    if logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    is_json = settings.log_format == "json"
    handler.setFormatter(JSONFormatter() if is_json else TextFormatter())
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):  # go the same way
        logger = logging.getLogger(name)
        # The stricter one, of two settings.
        logger.setLevel(max(logger.level, logging.getLogger().level))
        if logger.handlers:  # --no-access-log leaves none
            logger.handlers.clear()
            logger.propagate = True
    for name in ECHOES:
        logging.getLogger(name).addHandler(logging.NullHandler())
