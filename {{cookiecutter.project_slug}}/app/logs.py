"""What the service says, and where: one form for its own lines and the server's."""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime

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


class TextFormatter(logging.Formatter):
    """A line for people, with the id of the request at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s: %(message)s%(request)s")

    def format(self, record: logging.LogRecord) -> str:
        current = request_id.get()
        record.request = f" [{current}]" if current else ""
        return mask(super().format(record))


class JSONFormatter(logging.Formatter):
    """A line for programs: an object, with what there is to say."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        if current := request_id.get():
            entry["request_id"] = current
        if record.exc_info:
            entry["exception"] = mask(self.formatException(record.exc_info))
        return json.dumps(entry)


def configure_logging() -> None:
    """Write the log to stderr, unless whoever runs this process has set it up."""
    settings = get_settings()
    # asyncmy logs the server's notes on names that it does not use; aiosqlite, when
    # it is to debug, the values in statements; SQLAlchemy, that a pool was closed.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    logging.getLogger("sqlalchemy.pool").setLevel(logging.WARNING)
    if logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    is_json = settings.log_format == "json"
    handler.setFormatter(JSONFormatter() if is_json else TextFormatter())
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    adopt_server()
    for name in ECHOES:
        logging.getLogger(name).addHandler(logging.NullHandler())


def has_server_log() -> bool:
    """Tell whether uvicorn runs this process: it sets up its log before it imports."""
    return bool(logging.getLogger("uvicorn").handlers)


def adopt_server() -> None:
    """Let the lines of uvicorn go the same way as all others."""
    level = logging.getLogger().level
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, level))  # the stricter one, of two settings
        if logger.handlers:  # --no-access-log leaves none
            logger.handlers.clear()
            logger.propagate = True
