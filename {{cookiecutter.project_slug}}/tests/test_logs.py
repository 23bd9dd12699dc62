{% from "engine.jinja" import engine with context %}
"""The log: one form for all lines, an object each where programs read, no passwords."""

import json
import logging
import logging.config
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from uvicorn.config import LOGGING_CONFIG

from app import logs
from app.database.engine import build_engine
from app.logs import JSONFormatter, TextFormatter, configure_logging
from app.settings import get_settings
from tests.process import Run

URL = "postgresql://ada:s3cret@host/name"


def configure(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    """Set up the log as a start with these settings does."""
    changed = get_settings().model_copy(update=settings)
    monkeypatch.setattr(logs, "get_settings", lambda: changed)
    configure_logging()


@contextmanager
def server_log() -> Iterator[None]:
    """Set up the log as uvicorn does; put everything back afterwards."""
    names = ("", "uvicorn", "uvicorn.error", "uvicorn.access")
    loggers = [logging.getLogger(name) for name in names]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]
    logging.getLogger().handlers.clear()
    logging.config.dictConfig(LOGGING_CONFIG)
    try:
        yield
    finally:
        for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
            one.handlers[:] = handlers
            one.setLevel(level)
            one.propagate = propagate


@pytest.mark.parametrize(
    ("form", "formatter"),
    [("text", TextFormatter), ("json", JSONFormatter)],
)
def test_one_handler(
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    formatter: type[logging.Formatter],
) -> None:
    """Uvicorn's lines go where the others go, in the form of LOG_FORMAT."""
    with server_log():
        configure(monkeypatch, log_format=form)
        [handler] = logging.getLogger().handlers
        assert type(handler.formatter) is formatter
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
            assert logging.getLogger(name).handlers == []
            assert logging.getLogger(name).propagate


@pytest.mark.parametrize("level", ["DEBUG", "WARNING"])
def test_level(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """LOG_LEVEL is for all lines; those of uvicorn may have a stricter one."""
    with server_log():
        configure(monkeypatch, log_level=level)
        access = logging.getLogger("uvicorn.access")
        is_debug = logging.getLogger("app").isEnabledFor(logging.DEBUG)
        assert is_debug == (level == "DEBUG")
        assert access.isEnabledFor(logging.INFO) == (level == "DEBUG")
        assert not access.isEnabledFor(logging.DEBUG)


def test_no_access_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `uvicorn --no-access-log` has switched off stays off."""
    with server_log():
        access = logging.getLogger("uvicorn.access")
        access.handlers.clear()
        configure(monkeypatch)
        assert not access.hasHandlers()


def test_log_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that has been set up is left as it is."""
    with server_log():
        handler = logging.NullHandler()
        logging.getLogger().addHandler(handler)
        configure(monkeypatch)
        assert logging.getLogger().handlers == [handler]
        assert logging.getLogger("uvicorn.access").handlers


def test_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_ECHO writes each statement once: by the handler of all lines."""
    with server_log():
        echo = {"database_echo": True, "database_echo_pool": True}
        configure(monkeypatch, **echo)
        build_engine(get_settings().model_copy(update=echo))
        echoing = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
        handlers = [handler for logger in echoing for handler in logger.handlers]
        assert {type(handler) for handler in handlers} == {logging.NullHandler}


@pytest.mark.parametrize("formatter", [TextFormatter(), JSONFormatter()])
@pytest.mark.parametrize(
    "url",
    [
        URL,
        "mysql+asyncmy://ada:s3cret@host:3306/name?x=a@b",
        "postgresql://:s3cret@/name",
        "http://ada:a:s3cret@host",
        "http://ada:a@s3cret@host",
        '{"url": "http://ada:s3cret@host"}',
        "postgresql://ada@host/name?password=s3cret",
        "mysql://host/name?charset=utf8mb4&passwd=s3cret",
        "postgresql://host/name?sslpassword=s3cret&sslmode=require",
        "http://ada:a@host?password=a@s3cret",
    ],
)
def test_password(formatter: logging.Formatter, url: str) -> None:
    """The password in a URL is in no line, though an exception has it."""
    error = RuntimeError(f"cannot connect to {url}")
    error.__cause__ = ValueError(url)
    failure = (type(error), error, None)
    record = logging.LogRecord("app", 40, "", 1, "to %s", (url,), failure)
    text = formatter.format(record)
    assert "s3cret" not in text
    assert text.count("***") >= 3
    assert "RuntimeError: cannot connect to" in text


def test_json() -> None:
    """An object is one line, whatever is in the message."""
    record = logging.LogRecord("app", 30, "", 1, 'a\n"b" \ud800 %s', ("ä",), None)
    line = JSONFormatter().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert entry.keys() == {"time", "level", "logger", "message"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}\+00:00", entry["time"])
    assert entry["message"] == 'a\n"b" \ud800 ä'
    assert (entry["level"], entry["logger"]) == ("WARNING", "app")
{% call engine() %}


async def test_uvicorn(uvicorn_run: Run) -> None:
    """Under uvicorn, each line is an object; those of a request have its id."""
    assert "s3cret" not in "".join(uvicorn_run.log)
    entries = [json.loads(line) for line in uvicorn_run.log]
    assert "Started server process" in entries[0]["message"]
    ours = {name for entry in entries if (name := entry["logger"]).startswith("app")}
    assert ours == {"app.database.startup", "app.web.lifespan"}
    *answered, failure = [entry for entry in entries if "request_id" in entry]
    assert {entry["logger"] for entry in answered} == {"uvicorn.access"}
    assert [entry["request_id"] for entry in answered] == uvicorn_run.request_ids
    assert (failure["logger"], failure["request_id"]) == ("uvicorn.error", "ada")
    assert "RuntimeError: postgresql://ada:***@host/name" in failure["exception"]
{% endcall %}
