{% set dialects = ["mysql", "sqlite"] if cookiecutter.database == "mysql" else [cookiecutter.database] %}
{% set classes = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL"} %}
"""What databases do in their own way; nothing else in the service asks which it is.

{% if cookiecutter.database == "mysql" %}
SQLite is here for the tests, on machines without a MySQL server.
{% else %}
To speak another one, add a module like `{{ cookiecutter.database }}.py` and list it here.
{% endif %}
"""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.database.dialects.base import Dialect, Fault, Kind, Violation, describe
{% for name in dialects %}
from app.database.dialects.{{ name }} import {{ classes[name] }}
{% endfor %}

__all__ = [
    "Dialect",
    "Fault",
    "Kind",
    "Violation",
    "describe",
    "dialect_of",
    "parse_url",
]

LAST_PORT = 65_535
UNREADABLE = (ArgumentError, TypeError, ValueError)
ENCODING = "percent-encode the password: @ is %40, / is %2F, : is %3A, % is %25"

DIALECTS: dict[str, Dialect] = {
{% for name in dialects %}
    "{{ name }}": {{ classes[name] }}(),
{% endfor %}
}


def dialect_of(url: URL) -> Dialect:
    """Return the dialect of the database at `url`, which `parse_url` has checked."""
    return DIALECTS[url.get_backend_name()]


def parse_url(text: str | URL) -> URL:
    """Read a database URL; the driver may be left out.

    Raises:
        ValueError: It is no URL, or one for a database or driver that is not used here.
    """
    try:
        url = make_url(text)
        url.render_as_string(hide_password=False)  # fails on what is not UTF-8
    except UNREADABLE:
        message = f"is no database URL like {example()}; {ENCODING}"
        raise ValueError(message) from None
{% if cookiecutter.database == "postgresql" %}
    if url.drivername == "postgres":  # as some platforms write it
        url = url.set(drivername="postgresql")
{% elif cookiecutter.database == "mysql" %}
    if url.drivername == "mariadb":  # as some platforms write it
        url = url.set(drivername="mysql")
{% endif %}
    dialect = DIALECTS.get(url.get_backend_name())
    if dialect is None:
        message = f"{url.drivername} is not used here: expected {example()}"
        raise ValueError(message)
    if "+" not in url.drivername:
        url = url.set(drivername=dialect.drivername)
    if url.drivername != dialect.drivername:
        message = f"the driver must be {dialect.drivername}, not {url.drivername}"
        raise ValueError(message)
    if dialect.has_server:
        for name in ("password", "passwd"):  # to where SQLAlchemy does not show it
            if isinstance(password := url.query.get(name), str):
                url = url.set(password=password).difference_update_query([name])
    check(url, dialect)
    return dialect.translate(url)


def check(url: URL, dialect: Dialect) -> None:
    """Find what would otherwise fail later, in the words of a library.

    Raises:
        ValueError: No database can have this URL.
    """
    if dialect.has_server:
        if "@" in f"{url.host}{url.database}":
            raise ValueError(ENCODING)
        if not url.database or not 0 < (url.port or 1) <= LAST_PORT:
            message = f"needs a database, and a port that exists, as in {example()}"
            raise ValueError(message)
    elif url.host:
        message = f"the path of a file follows three slashes: {dialect.example}"
        raise ValueError(message)
    if "\0" in f"{url.username}{url.password}{url.host}{url.database}":
        raise ValueError("has a NUL character, %00")
    try:
        url.get_dialect()().create_connect_args(url)
    except UNREADABLE:
        message = "an option, after the ?, has a value that is not possible"
        raise ValueError(message) from None


def example() -> str:
    """Return a URL to show in a message."""
    return next(iter(DIALECTS.values())).example
